//! The wait of a job whose rows must be on several replicas.

use longshore_shared::clickhouse::Server;
use longshore_shared::task::{Job, JobEvent, Stamp};

use crate::error::AttemptError;
use crate::job_change::change;
use crate::waits::replicas::Look;
use crate::worker::Worker;

/// Do too few replicas have every row of this job? Its row says then what it waits for. No task is held by
/// that: all of them are done, and no worker is bound to it.
pub(super) async fn are_awaited(
    worker: &Worker,
    job: &Job,
    of: &Stamp,
    servers: &[Server],
) -> Result<bool, AttemptError> {
    if job.spec.replicas_wait.is_one() {
        return Ok(false);
    }
    match worker.replicas.check_parts(job, of, servers).await? {
        Look::Whole => Ok(false),
        Look::Lacking(note) => {
            if let Some(words) = note {
                tracing::info!(job = %job.id, "{words}");
                change(worker, job, JobEvent::Waits, &words).await?;
            }
            Ok(true)
        }
    }
}
