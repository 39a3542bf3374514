//! From a source to chunks: list once, decide the columns, pack, rehearse, write.

mod cut;
pub(crate) mod explain;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod missing;
pub(crate) mod replay;
pub(crate) mod servers;
pub(crate) mod tables;
pub(crate) mod target;
mod task_rows;
pub(crate) mod unfinished;
pub(crate) mod window;
pub(crate) mod write;
