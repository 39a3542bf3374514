//! Longshore as people use it: the built programs against a real server, Keeper and object store.

mod answers;
mod broken;
mod checker;
mod claims;
mod clickload;
mod coordinator;
mod crashes;
mod drain;
mod forgotten;
mod load;
mod names;
mod panics;
mod refusals;
mod take_over;
mod views;
mod wire;
mod zombies;
