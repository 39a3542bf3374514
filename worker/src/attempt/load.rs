//! The load: one INSERT … SELECT over what the chunk names: explicit files, or a piece of a table.

use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Summary, settled};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{Fit, ForeignChunk, LoadStatement, Reading};
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Chunk, JobState};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::staging::StagingSet;
use super::view_chunk;
use crate::claim::Claim;
use crate::drift;
use crate::error::AttemptError;
use crate::worker::Worker;

/// A task that waited longer for a slot than this asks whether its job still runs.
const WAIT_NOTICED: Duration = Duration::from_millis(200);

/// Loads the chunk into the staging set.
pub(crate) async fn load_chunk(
    worker: &Worker,
    claim: &Claim,
    set: &StagingSet,
) -> Result<Summary, AttemptError> {
    let chunk = Chunk::decode(&claim.task.chunk)?;
    let spec = &claim.job.spec;
    if spec.shard_by.as_ref().is_some_and(|by| by.shard.is_none()) {
        return Err(ForeignChunk.into());
    }
    let reading = Reading::of(spec, &chunk, &worker.keys)?;
    let into = (&chunk, spec.graph.position(spec.load(&chunk).target).ok_or(ForeignChunk)?);
    let replayed = drift::feed_of(spec, &chunk);
    let bound = match replayed {
        Some(piece) => view_chunk::bound(&claim.server, spec, piece).await?,
        None => None,
    };
    let slot = slot(worker, claim).await?;
    let fit = Fit::of(&claim.facts, claim.weight(), loads_beside(worker, claim).await);
    let run = async {
        match insert(claim, set, into, &reading, fit).await {
            Err(failure) if failure.is_unknown() && planted(Bug::ResendLoad) => {
                insert(claim, set, into, &reading, fit).await
            }
            Err(failure) if failure.is_unknown() && planted(Bug::TrustLoad) => {
                Ok(Summary::default())
            }
            answer => answer,
        }
    };
    let summary = tokio::select! {
        answer = Box::pin(run) => answer?,
        () = claim.stop.cancelled() => return Err(AttemptError::Draining),
    };
    drop(slot);
    claim.is_loaded();
    worker.edge(faults::LOAD_AFTER).await?;
    if let Some(piece) = replayed {
        view_chunk::check_read(&claim.server, spec, piece, bound, summary).await?;
    }
    Ok(summary)
}

/// Waits until the load may begin. A job that was paused meanwhile loads nothing more.
pub(super) async fn slot<'a>(
    worker: &'a Worker,
    claim: &Claim,
) -> Result<SemaphorePermit<'a>, AttemptError> {
    let asked = Instant::now();
    let slot = worker.slot(&claim.stop).await?;
    if asked.elapsed() < WAIT_NOTICED {
        return Ok(slot);
    }
    match worker.store.job(&claim.job.id).await? {
        Some(job) if job.state == JobState::Running => Ok(slot),
        Some(job) => Err(AttemptError::JobStopped(job.state)),
        None => Err(AttemptError::NotOurs),
    }
}

/// Loads that run at the same time on the server of the task, itself included.
async fn loads_beside(worker: &Worker, claim: &Claim) -> u64 {
    let servers = u64::try_from(claim.job.spec.servers.len()).unwrap_or(1).max(1);
    let loads = worker.crowd.loads(&worker.store).await;
    loads.min(claim.among).div_ceil(servers).max(1)
}

async fn insert(
    claim: &Claim,
    set: &StagingSet,
    (chunk, position): (&Chunk, usize),
    reading: &Reading,
    fit: Fit,
) -> Result<Summary, Failure> {
    let spec = &claim.job.spec;
    let twin = set.names.table(&spec.graph, position);
    let statement = LoadStatement::staged(spec, chunk, reading, &twin, Some(fit));
    let id = claim.task.id.query(claim.epoch(), "load");
    claim.is_loading.store(true, Ordering::Relaxed);
    let send = async |statement: LoadStatement| {
        let call = statement.call(&claim.server);
        if planted(Bug::ResendLoad) || planted(Bug::TrustLoad) {
            return call.id(&id).deadline(None).execute().await;
        }
        settled(&claim.server, call, &id, claim.job.submitted_ms).await
    };
    statement.send_known(&claim.server, send).await
}
