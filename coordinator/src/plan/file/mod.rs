//! A plan as a file: read by people in a review, kept in version control, imported elsewhere.
//!
//! It holds everything that makes the plan and nothing that happened to it since: no states, and of
//! shadows only where the target stood. The same plan gives the same file, byte by byte.

pub(crate) mod adopt;
mod canonical;
mod compare;
mod on_disk;
mod plan;
mod read;
mod secrets;
mod write;

pub(crate) use compare::{ChunkChange, Comparison, FieldChange, FileChange};
pub(crate) use on_disk::is_stream;
pub(crate) use plan::PlanFile;

#[cfg(test)]
mod tests;
