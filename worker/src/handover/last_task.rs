//! Which task publishes what all others have loaded.

use longshore_shared::task::{Job, TaskId};

use crate::claim::Claim;

/// The task that publishes what all others have loaded; none in a job whose tasks append.
pub(crate) fn last_of(job: &Job) -> Option<TaskId> {
    let ordinal = job.tasks.checked_sub(1)?;
    job.spec.publish.mode.has_last_task().then(|| TaskId { job: job.id.clone(), ordinal })
}

/// Is this the task that publishes?
pub(crate) fn is_last(claim: &Claim) -> bool {
    last_of(&claim.job).as_ref() == Some(&claim.task.id)
}
