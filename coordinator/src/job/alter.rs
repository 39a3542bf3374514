//! Changes a job by an event, whoever else changes it meanwhile.

use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent};

use crate::ui::error::{Error, Kind, Report};

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: usize = 10;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Altered {
    /// The job as it is now, by our event.
    Now(Job),
    /// The event does not belong in the state that the job is in.
    Refused(Job),
}

/// Applies the event to the job as it is in force.
pub(crate) async fn alter(
    store: &impl TaskStore,
    mut job: Job,
    event: JobEvent,
    reason: &str,
) -> Result<Altered, Error> {
    for _ in 0..TRIES_MAX {
        let Ok(next) = job.after(event, reason) else { return Ok(Altered::Refused(job)) };
        match store.swap_job(&job, &next).await? {
            Swap::Won => return Ok(Altered::Now(next)),
            Swap::Lost(Some(now)) => job = now,
            Swap::Lost(None) => break,
        }
    }
    Err(keeps_changing(&job))
}

/// The error of a job that somebody else changes again and again, or has deleted.
pub(crate) fn keeps_changing(job: &Job) -> Error {
    let message = format!("job {} keeps changing, or is gone", job.id);
    Report::new(Kind::Conflict, message).help("look at it: longshore status").into()
}
