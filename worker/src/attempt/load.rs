//! The load: one INSERT … SELECT over what the chunk names: explicit files, or a piece of a table.

use std::sync::atomic::Ordering;

use longshore_shared::clickhouse::{Failure, Summary, settled};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{Fit, ForeignChunk, LoadStatement, Reading};
use longshore_shared::task::Chunk;

use super::staging::StagingSet;
use super::view_chunk;
use crate::claim::Claim;
use crate::drift;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Loads the chunk into the staging set.
pub(crate) async fn chunk(
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
    let run = async {
        match insert(claim, set, into, &reading).await {
            Err(failure) if failure.is_unknown() && planted(Bug::ResendLoad) => {
                insert(claim, set, into, &reading).await
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
    worker.edge(faults::LOAD_AFTER).await?;
    if let Some(piece) = replayed {
        view_chunk::check_read(&claim.server, spec, piece, bound, summary).await?;
    }
    Ok(summary)
}

async fn insert(
    claim: &Claim,
    set: &StagingSet,
    (chunk, position): (&Chunk, usize),
    reading: &Reading,
) -> Result<Summary, Failure> {
    let spec = &claim.job.spec;
    let twin = set.names.table(&spec.graph, position);
    let fit = Fit::of(&claim.facts, claim.weight());
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
