//! One file a command: its arguments, and `run`.

pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod gc;
pub(crate) mod init;
mod job_filter;
pub(crate) mod jobs;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod task;
pub(crate) mod tasks;
