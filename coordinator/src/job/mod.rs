//! What happens to a job after it was planned: it is admitted, looked at, changed, and its ended tasks are done again.

pub(crate) mod admission;
pub(crate) mod alter;
pub(crate) mod choice;
pub(crate) mod dry_run;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod in_flight;
pub(crate) mod overlap;
pub(crate) mod reopen;
pub(crate) mod replayable;
pub(crate) mod timeline;
