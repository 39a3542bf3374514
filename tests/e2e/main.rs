//! Longshore as people use it: the built programs against a real server, Keeper and object store.

mod answers;
mod broken;
mod checker;
mod claims;
mod clickload;
mod clock;
mod codes;
mod crashes;
mod disk;
mod doctor;
mod drain;
mod forgotten;
mod gc;
mod grants;
mod load;
mod names;
mod network;
mod object_store;
mod refusals;
mod secrets;
mod take_over;
mod tls;
mod views;
mod wire;
mod zombies;
