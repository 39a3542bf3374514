//! A plan that reads tables: each is cut by its index into chunks, as it is, as a snapshot, or on another server.

pub(crate) mod clones;
pub(crate) mod cut_tables;
pub(crate) mod engines;
mod errors;
pub(crate) mod feed;
pub(crate) mod part_blocks;
pub(crate) mod remote;
pub(crate) mod since;
pub(crate) mod snapshot;
