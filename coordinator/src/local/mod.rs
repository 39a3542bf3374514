//! What `run` does on this machine: worker processes, their logs, signals, and the bar that shows how a job goes.

pub(crate) mod dead_workers;
mod logs;
pub(crate) mod progress;
pub(crate) mod signals;
pub(crate) mod supervisor;
