//! The load: one INSERT … SELECT over what the chunk names: explicit files, or a piece of a table.

use std::sync::atomic::Ordering;

use longshore_shared::clickhouse::{Failure, ServerFacts, Summary, settled};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{ForeignChunk, LOAD_SETTINGS, RECENT_SETTINGS, Reading};
use longshore_shared::sql::quote_list;
use longshore_shared::task::{Chunk, Source};

use crate::claim::Claim;
use crate::context::Worker;
use crate::replay;
use crate::staging::StagingSet;
use crate::trouble::Trouble;

/// Rows of one block of files: with the bytes below, what bounds the number of staged parts (ENGINE K).
const BLOCK_ROWS: u64 = 4_000_000;
/// Rows of one block of a table, the server's own default: larger ones cost a tenth to a fifth more
/// processor time here (`scripts/bench copy`), and a table has few parts per chunk anyway.
const TABLE_BLOCK_ROWS: u64 = 1_048_449;
const BLOCK_BYTES_MAX: u64 = 1_000_000_000;
const BLOCK_BYTES_MIN: u64 = 16_000_000;
/// Loads that the server's memory is shared among, besides other users.
const LOADS_ASSUMED: u64 = 4;
/// A block exists about three times while it is written.
const BLOCK_COPIES: u64 = 3;
/// A load's text holds every key of its chunk.
pub(crate) const QUERY_BYTES_MAX: u64 = 64 * 1024 * 1024;
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
    let load = spec.load(chunk);
    let twin = set.names.table(&spec.graph, position).quoted();
    let columns = quote_list(load.columns);
    let select = load.select.unwrap_or(&columns);
    let text = format!("INSERT INTO {twin} ({columns}) {}", reading.select(select));
    let mut call = claim.server.call_text("load", text);
    for (name, value) in LOAD_SETTINGS.iter().filter(|(name, _)| !without.contains(name)) {
        call = call.setting(name, value);
    }
    let is_table = spec.source.as_tables().is_some();
    let block_rows = if is_table { TABLE_BLOCK_ROWS } else { BLOCK_ROWS };
    let (threads, block_bytes) = fit(&claim.facts, claim.task.progress.attempts);
    call = call
        .setting("max_insert_threads", threads)
        .setting("min_insert_block_size_rows", block_rows)
        .setting("min_insert_block_size_bytes", block_bytes)
        .setting("max_query_size", QUERY_BYTES_MAX);
    for (name, value) in &reading.settings {
        call = call.setting(name, value);
    }
    for (name, value) in &spec.settings {
        call = call.setting(name, value);
    }
    let id = claim.task.id.query(claim.epoch(), "load");
    claim.is_loading.store(true, Ordering::Relaxed);
    if planted(Bug::ResendLoad) || planted(Bug::TrustLoad) {
        return call.id(&id).deadline(None).execute().await;
    }
    settled(&claim.server, call, &id).await
}

/// Insert threads and block bytes: large blocks make few parts, but must fit the server's memory.
/// Each further attempt is lighter, in case the last one was too much for it.
fn fit(facts: &ServerFacts, attempts: u32) -> (u64, u64) {
    let again = u64::from(attempts.saturating_sub(1).min(8));
    let threads = (facts.threads >> again).max(1);
    let memory = facts.memory_bytes;
    let share = if memory == 0 {
        BLOCK_BYTES_MAX / 4
    } else {
        memory / (LOADS_ASSUMED * BLOCK_COPIES * threads)
    };
    (threads, (share >> again).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX))
}

/// The cause of a failure with the file it belongs to, found by reading the files one by one.
pub(crate) async fn blame(worker: &Worker, claim: &Claim, trouble: &Trouble) -> String {
    let message = trouble.to_string();
    let Ok(chunk) = Chunk::decode(&claim.task.chunk) else { return message };
    if !matches!(trouble, Trouble::Failure(_)) {
        return message;
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
        let reading = Reading::files(source, one, &spec.filter, &worker.keys);
        // Every column is read: a count alone would only look at a file's footer.
        let text = format!("SELECT sum(cityHash64(*)) FROM ({})", reading.select(&spec.select));
        let read = claim.server.call_text("blame", text).deadline(None).execute().await;
        if let Err(failure) = read
            && failure.code().is_some()
        {
            return format!("file {}: {}", file.path, failure.message);
        }
    }
    format!("{message} (one of {} files, from {})", files.len(), files[0].path)
}
