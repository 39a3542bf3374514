//! A plan that reads tables: each is cut by its index into chunks, as it is, as a snapshot, or on another server.

mod clones;
pub(crate) mod delta;
pub(crate) mod engines;
mod errors;
pub(crate) mod feed;
mod part_blocks;
mod recut;
pub(crate) mod remote;
pub(crate) mod since;
mod snapshot;
pub(crate) mod source_tables;
