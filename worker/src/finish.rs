//! The end of a job: the last worker sweeps what crashes left and closes it.

use std::collections::HashSet;

use longshore_shared::clickhouse::Server;
use longshore_shared::faults;
use longshore_shared::store::{StoreError, Swap, TaskStore};
use longshore_shared::task::{Cursor, Job, JobEvent, Stamp, StateName, TaskId};

use crate::context::Worker;
use crate::trouble::Trouble;
use crate::{shares, staging, swap};

/// Closes a job whose segments are all finished.
///
/// The staging database is swept first: a closed job has left nothing there but the sets of
/// quarantined tasks, which are evidence.
pub(crate) async fn job(worker: &Worker, job: &Job, cursor: &Cursor) -> Result<(), Trouble> {
    worker.edge(faults::FINISH_BEFORE).await?;
    let is_over = |state| matches!(state, StateName::Done | StateName::Failed);
    if !sweep_all(worker, job, is_over).await? {
        return Ok(());
    }
    swap::drop_shadows(worker, &worker.server, job, |state| state == StateName::Done).await?;
    let tally = &cursor.tally;
    let unfinished = tally.unfinished();
    if unfinished > 0 {
        let reason = format!("tasks failed: {}, quarantined: {}", tally.failed, tally.quarantined);
        return change(worker, job, JobEvent::Finished { unfinished }, reason).await;
    }
    // The chunks do not overlap and leave nothing out, or this sum is another.
    if let Some(expected) = job.spec.rows_expected().filter(|rows| *rows != tally.rows) {
        let reason = format!(
            "the source held {expected} rows when it was planned, and its chunks held {} together",
            tally.rows
        );
        return change(worker, job, JobEvent::Finished { unfinished: 1 }, reason).await;
    }
    let Some(servers) = worker.all_servers(job) else { return Ok(()) };
    if let Some(reason) = shares::differ(&servers, job, cursor).await? {
        return change(worker, job, JobEvent::Finished { unfinished: 1 }, reason).await;
    }
    drop_snapshots(worker, job).await?;
    change(worker, job, JobEvent::Finished { unfinished: 0 }, String::new()).await
}

/// Closes a cancelled job of which nothing is in flight: what was published stays, nothing else does
/// but the evidence of quarantined tasks.
pub(crate) async fn cancelled(worker: &Worker, job: &Job) -> Result<(), Trouble> {
    worker.edge(faults::CANCEL_BEFORE).await?;
    let is_over = |state| !matches!(state, StateName::Quarantined) && !StateName::is_owned(state);
    if !sweep_all(worker, job, is_over).await? {
        return Ok(());
    }
    swap::drop_shadows(worker, &worker.server, job, is_over).await?;
    drop_snapshots(worker, job).await?;
    worker.edge(faults::CANCEL_SWEPT).await?;
    change(worker, job, JobEvent::WoundDown, job.reason.clone()).await
}

/// Every row is where it belongs: nobody reads the snapshots again. Those of a job that failed stay.
async fn drop_snapshots(worker: &Worker, job: &Job) -> Result<(), Trouble> {
    for snapshot in staging::list(&worker.server, &job.id.snapshot_prefix()).await? {
        worker.lease.check()?;
        staging::drop_one(&worker.server, &snapshot).await?;
    }
    Ok(())
}

/// Stops new claims of a job, because every task would meet the same trouble.
pub(crate) async fn pause(worker: &Worker, job: &Job, trouble: &Trouble) -> Result<(), Trouble> {
    tracing::error!(job = %job.id, %trouble, "the job is paused");
    change(worker, job, JobEvent::Paused, trouble.to_string()).await
}

async fn change(
    worker: &Worker,
    job: &Job,
    event: JobEvent,
    reason: String,
) -> Result<(), Trouble> {
    let Some(now) = worker.store.job(&job.id).await? else {
        return Err(StoreError::Record(format!("job {} is gone", job.id)).into());
    };
    // Somebody else closed or paused it: nothing to do.
    let Ok(state) = now.state.next(event) else { return Ok(()) };
    let next = Job { state, reason, epoch: now.epoch.next(), stamp: Stamp::fresh(), ..now.clone() };
    match worker.store.swap_job(&now, &next).await? {
        Swap::Won => tracing::info!(job = %job.id, state = state.as_str(), "the job has changed"),
        Swap::Lost(_) => {}
    }
    Ok(())
}

/// Drops staging tables of this job whose task is over, on each of its servers. False while one of
/// several is away: the job waits for it, other jobs do not.
async fn sweep_all(
    worker: &Worker,
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<bool, Trouble> {
    let Some(servers) = worker.all_servers(job) else {
        tracing::info!(job = %job.id, "not closed yet: a server of the job is away");
        return Ok(false);
    };
    for server in servers {
        match sweep(worker, &server, job, &is_over).await {
            Err(error @ Trouble::Failure(_)) if job.spec.is_sharded() => {
                tracing::warn!(job = %job.id, %error, "not closed yet");
                return Ok(false);
            }
            swept => swept?,
        }
    }
    Ok(true)
}

async fn sweep(
    worker: &Worker,
    server: &Server,
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<(), Trouble> {
    let prefix = format!("{}_", job.id);
    let left = staging::list(server, &prefix).await?;
    if left.is_empty() {
        return Ok(());
    }
    let owner = |name: &str| {
        let ordinal = name.strip_prefix(&prefix)?.split('_').next()?.parse().ok()?;
        Some(TaskId { job: job.id.clone(), ordinal })
    };
    let tasks: HashSet<TaskId> = left.iter().filter_map(|staged| owner(&staged.name)).collect();
    let tasks: Vec<TaskId> = tasks.into_iter().collect();
    let ended: HashSet<TaskId> = worker
        .store
        .briefs(&tasks)
        .await?
        .into_iter()
        .filter(|brief| is_over(brief.state))
        .map(|brief| brief.id)
        .collect();
    for staged in left {
        if owner(&staged.name).is_some_and(|task| ended.contains(&task)) {
            worker.lease.check()?;
            staging::drop_one(server, &staged).await?;
        }
    }
    Ok(())
}
