//! From a source to chunks, in three stages: [`input`] is what a command asks for, [`build`] lists, decides
//! the columns, cuts and rehearses, and [`write`] writes tasks and job.

pub(crate) mod build;
mod cut;
mod draft;
pub(crate) mod explain;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod input;
pub(crate) mod replay;
pub(crate) mod servers;
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod unfinished;
pub(crate) mod window;
pub(crate) mod write;
