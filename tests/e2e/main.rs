//! Longshore as people use it: the built programs against a real server, Keeper and object store.

mod answers;
mod broken;
mod checker;
mod claims;
mod clickload;
mod crashes;
mod doctor;
mod drain;
mod forgotten;
mod gc;
mod grants;
mod load;
mod names;
mod refusals;
mod take_over;
mod views;
mod zombies;
