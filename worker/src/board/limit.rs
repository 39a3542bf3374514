//! A person's limit on loads at the same time (`--max-loads`, `longshore scale`).
//!
//! It holds for a job as a whole, over all workers. Nobody counts in one place: each worker counts claimed
//! tasks in the task table before it claims one, and once more after, because others may have claimed at the
//! same moment. Then those that were first stay.

use std::collections::HashSet;

use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{TaskBrief, TaskStore, segment_tasks};
use longshore_shared::task::{Cursor, Job, StateName, TaskEvent, TaskId};

use super::look::orphans;
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// A task that was one too many may be claimed again after this, in milliseconds.
const BACK_MS: std::ops::RangeInclusive<u64> = 200..=1_000;

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
    let mut all = loading(worker, &claim.job, &cursor).await?;
    all.sort_by(|a, b| (a.changed_ms, &a.id).cmp(&(b.changed_ms, &b.id)));
    let before = all.iter().take_while(|brief| brief.id != claim.task.id).count();
    if before < limit as usize {
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
