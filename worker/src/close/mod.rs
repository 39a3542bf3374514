//! The end of a job: the last worker sweeps what crashes left and closes it.
//!
//! Begin with [`close_job`], for a job whose tasks have all ended; [`close_cancelled`] is for one that was
//! cancelled. Any number of workers may be here with the same job: whatever they drop belongs to nobody any
//! more, and one compare-and-set on the row of the job decides who has closed it.
//!
//! A job is *completed* only after `audit` has compared tasks, receipts and targets, all read anew. The audit
//! believes no counter of the job itself. A server that was started again since it was read is read again.

mod audit;
mod replicas;
mod shard_totals;

use std::collections::HashSet;

use longshore_shared::clickhouse::Server;
use longshore_shared::faults;
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Job, JobEvent, JobState, StateName, TaskId};

use crate::attempt::staging;
use crate::error::AttemptError;
use crate::handover::shadows;
use crate::job_change::{change, fail_audit};
use crate::server_clock::{self, START_MARGIN_MS};
use crate::worker::Worker;

/// Closes a job whose segments are all finished.
///
/// Everything is decided from the row of the job that is read here, and the change is a compare-and-set
/// on that very row: a job that was closed, reopened, or deleted and planned again meanwhile is left
/// alone. The staging database is swept first: a closed job has left nothing there but evidence.
pub(crate) async fn close_job(worker: &Worker, seen: &Job) -> Result<(), AttemptError> {
    worker.edge(faults::FINISH_BEFORE).await?;
    let Some(job) = worker.store.job(&seen.id).await? else { return Ok(()) };
    let job = if planted(Bug::CloseBlindly) { seen.clone() } else { job };
    let Some(cursor) = worker.store.cursor(&job.id).await? else {
        return Err(AttemptError::CursorMissing(job.id));
    };
    let is_finished = cursor.finished_segments() == job.segments() || planted(Bug::CloseBlindly);
    if job.state != JobState::Running || !is_finished {
        return Ok(());
    }
    let is_waiting = worker.replicas.waits(&job.id, &cursor.stamp);
    if is_waiting {
        let Some(servers) = worker.all_servers(&job) else { return Ok(()) };
        if replicas::are_awaited(worker, &job, &cursor.stamp, &servers).await? {
            return Ok(());
        }
    }
    let is_over = |state| matches!(state, StateName::Done | StateName::Failed);
    if !sweep_all(worker, &job, is_over).await? {
        return Ok(());
    }
    let Some(servers) = worker.all_servers(&job) else { return Ok(()) };
    drop_shadows(worker, &servers, &job, |state| state == StateName::Done).await?;
    let tally = &cursor.tally;
    let unfinished = tally.unfinished();
    if unfinished > 0 {
        let reason = format!("tasks failed: {}, quarantined: {}", tally.failed, tally.quarantined);
        return change(worker, &job, JobEvent::Finished { unfinished }, &reason).await;
    }
    let started = server_clock::starts(&servers).await?;
    if let Some(reason) = Box::pin(audit::find_difference(worker, &job, &servers)).await? {
        tracing::error!(job = %job.id, "{reason}");
        if !are_the_same(&job, &servers, &started).await? {
            return Ok(());
        }
        return fail_audit(worker, &job, &reason).await;
    }
    // After the audit, so that rows that are lost are told at once; then it is made once more.
    if !is_waiting && replicas::are_awaited(worker, &job, &cursor.stamp, &servers).await? {
        return Ok(());
    }
    drop_snapshots(worker, &servers, &job).await?;
    worker.edge(faults::FINISH_AUDITED).await?;
    if !are_the_same(&job, &servers, &started).await? {
        return Ok(());
    }
    // What was finished may have been reopened and finished again: then it is somebody else's to close.
    let now = worker.store.cursor(&job.id).await?;
    if now.is_none_or(|now| now.stamp != cursor.stamp) && !planted(Bug::CloseBlindly) {
        return Ok(());
    }
    change(worker, &job, JobEvent::Finished { unfinished: 0 }, "").await
}

/// Do the servers still run that the audit looked at? One that was started again may have lost what was
/// seen, or not have loaded all of its parts then: the next look at the job decides.
async fn are_the_same(
    job: &Job,
    servers: &[Server],
    started: &[i64],
) -> Result<bool, AttemptError> {
    let now = server_clock::starts(servers).await?;
    let is_same = |(before, now): (&i64, &i64)| (before - now).abs() <= START_MARGIN_MS;
    let are_same = started.iter().zip(&now).all(is_same) || planted(Bug::AuditBeforeRestart);
    if !are_same {
        tracing::info!(job = %job.id, "a server was started again since the audit began: it is looked at once more");
    }
    Ok(are_same)
}

/// Closes a cancelled job of which nothing is in flight: what was published stays, nothing else does
/// but evidence. `job` is the row that was read before anybody looked for what is in flight.
pub(crate) async fn close_cancelled(worker: &Worker, job: &Job) -> Result<(), AttemptError> {
    worker.edge(faults::CANCEL_BEFORE).await?;
    let is_over = |state| !matches!(state, StateName::Quarantined) && !StateName::is_owned(state);
    if !sweep_all(worker, job, is_over).await? {
        return Ok(());
    }
    let Some(servers) = worker.all_servers(job) else { return Ok(()) };
    drop_shadows(worker, &servers, job, is_over).await?;
    drop_snapshots(worker, &servers, job).await?;
    worker.edge(faults::CANCEL_SWEPT).await?;
    change(worker, job, JobEvent::WoundDown, &job.reason).await
}

/// Every row is where it belongs: nobody reads the snapshots again. Those of a job that failed stay.
///
/// Only the very tables of this plan: the same plan, made again, has snapshots of the same names.
async fn drop_snapshots(
    worker: &Worker,
    servers: &[Server],
    job: &Job,
) -> Result<(), AttemptError> {
    let feeds =
        job.spec.source.as_tables().map(|tables| tables.feeds.as_slice()).unwrap_or_default();
    for server in servers {
        for snapshot in staging::list(server, &job.id.snapshot_prefix()).await? {
            if feeds.iter().any(|feed| feed.is_snapshot && feed.uuid == Some(snapshot.uuid)) {
                worker.lease.check()?;
                staging::drop_one(server, &snapshot).await?;
            }
        }
    }
    Ok(())
}

/// The shadows of the job, on whichever of its servers they are: the worker that closes a job may be
/// at home on another one.
async fn drop_shadows(
    worker: &Worker,
    servers: &[Server],
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<(), AttemptError> {
    for server in servers {
        shadows::drop_shadows(worker, server, job, &is_over).await?;
    }
    Ok(())
}

/// Drops staging tables of this job whose task is over, on each of its servers. False while one of
/// several is away: the job waits for it, other jobs do not.
async fn sweep_all(
    worker: &Worker,
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<bool, AttemptError> {
    let Some(servers) = worker.all_servers(job) else {
        tracing::info!(job = %job.id, "not closed yet: a server of the job is away");
        return Ok(false);
    };
    for server in servers {
        match sweep(worker, &server, job, &is_over).await {
            // What a person has to mend is told, by a pause of the job.
            Err(error @ AttemptError::Failure(_))
                if job.spec.is_sharded() && error.needs_operator().is_none() =>
            {
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
) -> Result<(), AttemptError> {
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
    // Parts of these may be in a target although their rows say otherwise: nothing sweeps evidence.
    let evidence = if planted(Bug::SweepEvidence) {
        Vec::new()
    } else {
        ledger::unsettled_tasks(server, &job.id).await?
    };
    let evidence: HashSet<TaskId> = evidence.into_iter().collect();
    let may_go = |task: TaskId| ended.contains(&task) && !evidence.contains(&task);
    for staged in left {
        if owner(&staged.name).is_some_and(may_go) {
            worker.lease.check()?;
            staging::drop_one(server, &staged).await?;
        }
    }
    Ok(())
}
