//! Changes of a job's row by a worker: a pause, and the end.

use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent, JobSpec};

use crate::error::AttemptError;
use crate::worker::Worker;

/// Stops new claims of a job, because every task would meet the same trouble. Not when the job has
/// changed since it was read: a person may have mended the cause, and else it is met again.
pub(crate) async fn pause(
    worker: &Worker,
    job: &Job,
    error: &AttemptError,
) -> Result<(), AttemptError> {
    tracing::error!(job = %job.id, %error, "the job is paused");
    change(worker, job, JobEvent::Paused, &error.to_string()).await
}

/// Fails the job by what the closing audit found. That stays in its row when the job is cancelled or let go on.
pub(crate) async fn fail_audit(
    worker: &Worker,
    job: &Job,
    found: &str,
) -> Result<(), AttemptError> {
    let event = JobEvent::Finished { unfinished: 1 };
    change_spec(worker, job, event, found, |spec| spec.audit_failed = Some(found.to_owned())).await
}

/// Changes the job if its row is exactly this one.
pub(crate) async fn change(
    worker: &Worker,
    job: &Job,
    event: JobEvent,
    reason: &str,
) -> Result<(), AttemptError> {
    change_spec(worker, job, event, reason, |_| {}).await
}

async fn change_spec(
    worker: &Worker,
    job: &Job,
    event: JobEvent,
    reason: &str,
    spec: impl FnOnce(&mut JobSpec),
) -> Result<(), AttemptError> {
    let was = if planted(Bug::CloseBlindly) {
        worker.store.job(&job.id).await?.unwrap_or_else(|| job.clone())
    } else {
        job.clone()
    };
    let Ok(mut next) = was.after(event, reason) else { return Ok(()) };
    spec(&mut next.spec);
    match worker.store.swap_job(&was, &next).await? {
        Swap::Won => {
            tracing::info!(job = %job.id, state = next.state.as_str(), "the job has changed");
        }
        Swap::Lost(_) => {
            tracing::info!(job = %job.id, "the job has changed since it was looked at");
        }
    }
    Ok(())
}
