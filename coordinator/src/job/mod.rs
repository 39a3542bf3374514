//! What happens to a job after it was planned: it is admitted, looked at, changed, and its ended tasks are done again.
//!
//! Begin with `admission`: every command that makes a job live goes through it, so that no rule has a back
//! door. `alter` applies any other event. Both write by compare-and-set and decide anew from the row that they
//! lost to. `reopen` changes ended tasks back; its request stands in the row of the job before the first task
//! is changed, so that whoever goes on carries out exactly that. The rest reads and changes nothing.

pub(crate) mod admission;
pub(crate) mod alter;
pub(crate) mod audited;
pub(crate) mod choice;
pub(crate) mod dry_run;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod in_flight;
pub(crate) mod overlap;
pub(crate) mod reopen;
pub(crate) mod replayable;
pub(crate) mod timeline;
