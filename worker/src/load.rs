//! The load: one INSERT … SELECT over what the chunk names: explicit files, or a piece of a table.

use std::sync::atomic::Ordering;

use longshore_shared::clickhouse::{Failure, Summary, settled};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{Fit, ForeignChunk, LoadStatement, RECENT_SETTINGS, Reading};
use longshore_shared::task::{Chunk, Source};

use crate::claim::Claim;
use crate::context::Worker;
use crate::misfit;
use crate::replay;
use crate::staging::StagingSet;
use crate::trouble::Trouble;

/// Files that are read again one by one to find the one at fault.
const BLAME_FILES_MAX: usize = 200;

/// UNKNOWN_SETTING: an older server.
const UNKNOWN_SETTING: i32 = 115;

/// Loads the chunk into the staging set.
pub(crate) async fn chunk(
    worker: &Worker,
    claim: &Claim,
    set: &StagingSet,
) -> Result<Summary, Trouble> {
    let chunk = Chunk::decode(&claim.task.chunk)?;
    let spec = &claim.job.spec;
    if spec.shard_by.as_ref().is_some_and(|by| by.shard.is_none()) {
        return Err(ForeignChunk.into());
    }
    let reading = Reading::of(spec, &chunk, &worker.keys)?;
    let into = (&chunk, spec.graph.position(spec.load(&chunk).target).ok_or(ForeignChunk)?);
    let replayed = replay::of(spec, &chunk);
    let bound = match replayed {
        Some(piece) => replay::bound(&claim.server, spec, piece).await?,
        None => None,
    };
    let run = async {
        match insert(claim, set, into, &reading, &[]).await {
            Err(failure) if failure.code() == Some(UNKNOWN_SETTING) => {
                insert(claim, set, into, &reading, &RECENT_SETTINGS).await
            }
            Err(failure) if failure.is_unknown() && planted(Bug::ResendLoad) => {
                insert(claim, set, into, &reading, &[]).await
            }
            Err(failure) if failure.is_unknown() && planted(Bug::TrustLoad) => {
                Ok(Summary::default())
            }
            answer => answer,
        }
    };
    let summary = tokio::select! {
        answer = Box::pin(run) => answer?,
        () = claim.stop.cancelled() => return Err(Trouble::Draining),
    };
    worker.edge(faults::LOAD_AFTER).await?;
    if let Some(piece) = replayed {
        replay::check_read(&claim.server, spec, piece, bound, summary).await?;
    }
    Ok(summary)
}

async fn insert(
    claim: &Claim,
    set: &StagingSet,
    (chunk, position): (&Chunk, usize),
    reading: &Reading,
    without: &[&str],
) -> Result<Summary, Failure> {
    let spec = &claim.job.spec;
    let twin = set.names.table(&spec.graph, position);
    let fit = Fit::of(&claim.facts, claim.task.progress.attempts);
    let statement = LoadStatement::staged(spec, chunk, reading, &twin, Some(fit))
        .known_to(claim.server.known_settings().await)
        .without(without);
    let call = statement.call(&claim.server);
    let id = claim.task.id.query(claim.epoch(), "load");
    claim.is_loading.store(true, Ordering::Relaxed);
    if planted(Bug::ResendLoad) || planted(Bug::TrustLoad) {
        return call.id(&id).deadline(None).execute().await;
    }
    settled(&claim.server, call, &id).await
}

/// The cause of a failure with the file it belongs to, found by reading the files one by one.
pub(crate) async fn blame(worker: &Worker, claim: &Claim, trouble: &Trouble) -> String {
    let message = trouble.to_string();
    let Ok(chunk) = Chunk::decode(&claim.task.chunk) else { return message };
    if !matches!(trouble, Trouble::Failure(_)) {
        return message;
    }
    if let Trouble::Failure(failure) = trouble
        && misfit::may_be(failure)
        && let Some(found) = misfit::find(worker, claim, &chunk).await
    {
        return found;
    }
    let Source::Files(source) = &claim.job.spec.source else { return message };
    // The file stands first: the server's words are long, and lists of tasks show their beginning.
    let files = chunk.files();
    let named = files.iter().filter(|file| message.contains(&file.path));
    let only = if files.len() == 1 { files.first() } else { None };
    if let Some(file) = named.max_by_key(|file| file.path.len()).or(only) {
        return format!("file {}: {message}", file.path);
    }
    let spec = &claim.job.spec;
    for file in files.iter().take(BLAME_FILES_MAX) {
        if worker.lease.check().is_err() || claim.stop.is_cancelled() {
            break;
        }
        let one = std::slice::from_ref(file);
        let reading = Reading::files(source, one, &spec.filter, &spec.settings, &worker.keys);
        // Every column is read: a count alone would only look at a file's footer.
        let text = format!("SELECT sum(cityHash64(*)) FROM ({})", reading.select(&spec.select));
        let known = claim.server.known_settings().await;
        let call = claim.server.call_text("blame", text).settings(&reading.settings, known);
        let read = call.deadline(None).execute().await;
        if let Err(failure) = read
            && failure.code().is_some()
        {
            return format!("file {}: {}", file.path, failure.message);
        }
    }
    format!("{message} (one of {} files, from {})", files.len(), files[0].path)
}
