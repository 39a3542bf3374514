//! What keeps a job from loading more at the moment: a busy server, or a person's limit.
//!
//! The limit (`--max-loads`, `longshore scale`) holds for a job as a whole, over all workers. Nobody counts in
//! one place: each worker counts claimed tasks in the task table before it claims one, and once more after,
//! because others may have claimed at the same moment. Then each of those hands its task back, and the pauses
//! that they draw tell who is first the next time.

use std::collections::HashSet;
use std::sync::Arc;

use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{TaskBrief, TaskStore, segment_tasks};
use longshore_shared::task::{Cursor, Job, JobEvent, StateName, TaskEvent, TaskId};

use super::look::orphans;
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::job_change::change;
use crate::waits::governor::Look;
use crate::worker::Worker;

/// A task that was one too many may be claimed again after this, in milliseconds.
const BACK_MS: std::ops::RangeInclusive<u64> = 200..=1_000;

/// Does the server of the job have too much to do? The row of the job says then for what it waits.
pub(super) async fn is_held(worker: &Worker, job: &Arc<Job>) -> Result<bool, AttemptError> {
    if !worker.wait_when_busy {
        if worker.governor.takes_back(job) {
            change(worker, job, JobEvent::Waits, "").await?;
        }
        return Ok(false);
    }
    let Look { is_held, note } = worker.governor.look(job, worker.servers_there(job));
    if let Some(words) = note {
        tracing::info!(job = %job.id, "{}", if words.is_empty() { "loads go on" } else { &words });
        change(worker, job, JobEvent::Waits, &words).await?;
    }
    Ok(is_held)
}

/// May another task of the job be loaded?
pub(super) async fn has_room(
    worker: &Worker,
    job: &Job,
    cursor: &Cursor,
) -> Result<bool, AttemptError> {
    let Some(limit) = job.spec.loads_max.filter(|_| !planted(Bug::IgnoreLimit)) else {
        return Ok(true);
    };
    Ok(loading(worker, job, cursor).await?.len() < limit as usize)
}

/// Hands a task back that was claimed while others took the last room. No attempt is used up.
pub(super) async fn is_one_too_many(
    worker: &Worker,
    claim: &mut Claim,
) -> Result<bool, AttemptError> {
    let Some(limit) = claim.job.spec.loads_max else { return Ok(false) };
    if claim.task.progress.state.name() != StateName::Claimed || planted(Bug::IgnoreLimit) {
        return Ok(false);
    }
    let Some(cursor) = worker.store.cursor(&claim.job.id).await? else { return Ok(false) };
    let all = loading(worker, &claim.job, &cursor).await?;
    // Not by the times of their rows: a row that was written later can have the earlier time.
    let others = all.iter().filter(|brief| brief.id != claim.task.id).count();
    if others < limit as usize {
        return Ok(false);
    }
    let error = format!("waits: the job loads {limit} tasks at a time");
    let (epoch, delay_ms) = (claim.epoch(), rand::random_range(BACK_MS));
    let event = TaskEvent::Interrupted { epoch, delay_ms, error, died: false };
    claim.advance(worker, &event).await?;
    Ok(true)
}

/// The tasks that live workers are loading.
async fn loading(
    worker: &Worker,
    job: &Job,
    cursor: &Cursor,
) -> Result<Vec<TaskBrief>, AttemptError> {
    let mut all = Vec::new();
    for segment in cursor.open_segments() {
        let page = worker.store.briefs(&segment_tasks(job, segment)).await?;
        let left: HashSet<TaskId> = orphans(worker, &page).await?.into_iter().collect();
        let is_loading =
            |brief: &TaskBrief| brief.state == StateName::Claimed && !left.contains(&brief.id);
        all.extend(page.into_iter().filter(is_loading));
    }
    Ok(all)
}
