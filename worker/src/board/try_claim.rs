//! Taking a task: one compare-and-set, decided on a fresh read. Finding it is the board's ([`crate::board`]).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Swap, TaskStore, WorkerRecord};
use longshore_shared::task::{Job, Stamp, Task, TaskEvent, TaskId};
use tokio::time::Instant;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Takes one task by compare-and-set; `None` when somebody else has it.
pub(crate) async fn try_claim(
    worker: &Worker,
    job: &Arc<Job>,
    id: &TaskId,
) -> Result<Option<Claim>, AttemptError> {
    if worker.drain.is_cancelled() {
        return Ok(None);
    }
    let Some(acting) = worker.begin(id) else { return Ok(None) };
    let began = Instant::now();
    let task = worker.store.task(id).await?.ok_or_else(|| AttemptError::TaskMissing(id.clone()))?;
    // While its server is away nobody can do anything for it.
    let Some(endpoint) = worker.endpoint(job, &task) else { return Ok(None) };
    let by = worker.owner(&endpoint.url);
    let event = match task.progress.state.owner() {
        None => TaskEvent::Claimed { by },
        Some(owner) => {
            // Decided on a fresh read: the owner may have renewed its lease since the page was read.
            let ours = owner.worker == worker.id;
            let live = worker.store.worker(&owner.worker).await?;
            let lapsed = live.as_ref().is_none_or(WorkerRecord::has_lapsed);
            if !ours && !lapsed && !planted(Bug::IgnoreLease) {
                return Ok(None);
            }
            let died = !ours && has_died(worker, live.as_ref()).await?;
            TaskEvent::TakenOver { by, died }
        }
    };
    let Ok(progress) = task.progress.next(&event) else { return Ok(None) };
    worker.edge(faults::CLAIM_BEFORE).await?;
    let next = Task { progress, stamp: Stamp::fresh(), ..task.clone() };
    match worker.store.swap_task(&task, &next).await? {
        Swap::Lost(_) => Ok(None),
        Swap::Won => {
            worker.edge(faults::CLAIM_AFTER).await?;
            // What was known of the job is older than the claim: it may be cancelled by now.
            let job = worker.store.refreshed(job).await?.unwrap_or_else(|| Arc::clone(job));
            let (stop, job) = (worker.stop_of(&job.id), on_its_server(job, &next.id));
            Ok(Some(Claim::new(job, next, endpoint, stop, began, acting, worker.unloaded())))
        }
    }
}

/// The job as a task of one of its servers sees it.
fn on_its_server(job: Arc<Job>, task: &TaskId) -> Arc<Job> {
    if !job.spec.is_sharded() {
        return job;
    }
    let spec = job.spec.on(job.spec.shard(task));
    Arc::new(Job { spec, ..Job::clone(&job) })
}

/// Did the owner of a lapsed lease die? Not when Keeper, the server or the machine was slow for
/// everybody at that time.
async fn has_died(worker: &Worker, owner: Option<&WorkerRecord>) -> Result<bool, AttemptError> {
    let Some(owner) = owner else { return Ok(true) };
    if planted(Bug::CountOutages) {
        return Ok(true);
    }
    let silent = Duration::from_millis(u64::try_from(owner.age_ms).unwrap_or(0));
    // Whoever has lived as long knows: every heartbeat of its own was answered, or not.
    if worker.lease.age() >= silent {
        return Ok(worker.lease.healthy_for() >= silent);
    }
    let lost = worker
        .options
        .lost
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some_and(|at| at.elapsed() < silent);
    if lost || worker.server.facts().await?.uptime_secs < silent.as_secs() {
        return Ok(false);
    }
    // Several that fell silent together have a cause in common.
    let lease_ms = i64::try_from(owner.lease_ms).unwrap_or(i64::MAX);
    let together = |other: &WorkerRecord| {
        other.id != owner.id
            && other.has_lapsed()
            && (other.age_ms - owner.age_ms).abs() < lease_ms / 2
    };
    Ok(!worker.store.workers().await?.iter().any(together))
}
