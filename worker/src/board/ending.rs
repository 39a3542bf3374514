//! The end of a job, away from the board: whoever closes it asks all of its servers, and nobody waits for that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_shared::task::{Job, JobId, JobState};
use tokio::time::Instant;

use crate::error::AttemptError;
use crate::waits::outage;
use crate::worker::Worker;
use crate::{close as closing, job_change};

/// Between two tries to close a job: meanwhile a lane looks at the jobs behind it.
const TRY_PAUSE: Duration = Duration::from_secs(1);

/// Jobs that a lane of this worker is closing, and those that could not be closed: when that was tried.
#[derive(Clone, Default)]
pub(super) struct Closing(Arc<Mutex<HashMap<JobId, Option<Instant>>>>);

impl Closing {
    /// Marks a job as being closed; nothing when another lane is at it, or was a moment ago.
    pub(super) fn begin(&self, job: Arc<Job>) -> Option<Ending> {
        let mut all = self.lock();
        all.retain(|_, tried| tried.is_none_or(|at| at.elapsed() < TRY_PAUSE));
        let is_free = !all.contains_key(&job.id);
        is_free.then(|| {
            all.insert(job.id.clone(), None);
            Ending { job, closing: self.clone() }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Option<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job of which nothing is left to do but its end. One lane has it in hand for as long as this lives.
///
/// The end asks every server of the job and may take long. Nobody else waits for it: the board is free.
pub(crate) struct Ending {
    job: Arc<Job>,
    closing: Closing,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.closing.lock().insert(self.job.id.clone(), Some(Instant::now()));
    }
}

/// Closes a job. What goes wrong is this job's own: others go on, and a later look tries again. True when its row
/// is to be read anew.
///
/// # Errors
/// When its server is away, or the words of what a person has to mend cannot be written to the job.
pub(super) async fn close(worker: &Worker, ending: &Ending) -> Result<bool, AttemptError> {
    let job = &ending.job;
    let closed = async {
        if job.state == JobState::Cancelling {
            closing::close_cancelled(worker, job).await
        } else {
            closing::close_job(worker, job).await
        }
    };
    match worker.while_all_there(job, Box::pin(closed)).await {
        Some(Ok(())) => Ok(true),
        None => {
            tracing::info!(job = %job.id, "not closed yet: a server of the job is away");
            Ok(false)
        }
        Some(Err(missing @ AttemptError::CursorMissing(_))) => {
            job_change::pause(worker, job, &missing).await?;
            Ok(true)
        }
        Some(Err(trouble)) if trouble.needs_operator().is_some() => {
            if job_change::pause(worker, job, &trouble).await.is_err() {
                return Err(trouble);
            }
            Ok(true)
        }
        // The home server or its Keeper is away, and everything else waits for it too.
        Some(Err(trouble)) if outage::is_outage(&trouble) && !job.spec.is_sharded() => Err(trouble),
        Some(Err(trouble)) => {
            tracing::warn!(job = %job.id, error = %trouble, "not closed yet");
            Ok(false)
        }
    }
}
