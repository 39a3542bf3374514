//! Longshore as people use it: the built programs against a real server, Keeper and object store.

mod checker;
mod forgotten;
