//! A plan for several servers: each is looked at, chunks are dealt out, rows are divided.

pub(crate) mod deal;
pub(crate) mod endpoints;
pub(crate) mod shard;
