//! The source of a chunk: is it what it was at plan time, and how many rows does it hold?

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::identities;
use longshore_shared::source::{ForeignChunk, Reading, pin_query, read_settings};
use longshore_shared::task::{Chunk, Feed, FilesSource, Slice, Source, SourceFile, SourceFunction};
use serde::Deserialize;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Formats whose files say how many rows they hold, so that a count reads only their footers.
const COUNTING_FORMATS: [&str; 3] = ["Parquet", "ORC", "Arrow"];

#[derive(Deserialize, Row)]
struct Listed {
    path: String,
    size: u64,
    etag: String,
}

#[derive(Deserialize, Row)]
struct Count {
    rows: u64,
}

/// What is known of the rows of a chunk's source without loading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Each row is staged once, and there are this many.
    Exactly(u64),
    /// Each row is staged once; a table that others write to held this many at plan time.
    AtLeast(u64),
    /// So many of all rows belong to the server of the task, and each of them is staged once.
    Share {
        /// Those that belong there.
        rows: u64,
        /// All of them.
        of: u64,
    },
    /// There are this many, and the user's expressions decide what becomes of each.
    Read(u64),
    /// It would cost too much to know.
    Unknown,
}

/// Are the rows of files counted apart from the load? Where their footers say them it costs next to
/// nothing. Other files are read once more, but only where a server could leave one out without an
/// error: a missing key of an object store is one (measured), a web address that answers "not found",
/// or a file that is gone from a disk, need not be.
pub(crate) fn is_counted(source: &FilesSource) -> bool {
    // No arm for all others: whoever adds a function decides this too.
    let may_leave_out = match source.function {
        SourceFunction::S3 | SourceFunction::Gcs => false,
        SourceFunction::Url
        | SourceFunction::File
        | SourceFunction::Hdfs
        | SourceFunction::Azure => true,
    };
    may_leave_out || COUNTING_FORMATS.contains(&source.format.as_str())
}

/// The source as its rows are counted. Where footers say the number nothing else is asked for: a
/// count of Parquet whose structure has a DEFAULT ends the server (26.7: a failed assertion of
/// `vector[]`, found by `scripts/differential`).
fn countable(source: &FilesSource) -> FilesSource {
    if !COUNTING_FORMATS.contains(&source.format.as_str()) {
        return source.clone();
    }
    FilesSource {
        structure: String::new(),
        outputs: Vec::new(),
        left_out: Vec::new(),
        ..source.clone()
    }
}

/// Nothing of the chunk's source has changed since the plan was made.
pub(crate) async fn unchanged(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    let chunk = Chunk::decode(&claim.task.chunk)?;
    match (&claim.job.spec.source, &chunk) {
        (Source::Files(source), Chunk::Files { files: planned }) => {
            files(worker, claim, source, planned).await
        }
        (Source::Tables(source), Chunk::Slice(slice)) => {
            table(&claim.server, source.feeds.get(slice.feed).ok_or(ForeignChunk)?).await
        }
        _ => Err(ForeignChunk.into()),
    }
}

/// The table is the one that was planned. One on another server is known by its rows alone.
async fn table(server: &Server, feed: &Feed) -> Result<(), AttemptError> {
    if feed.remote.is_some() {
        return Ok(());
    }
    let found = identities(server, std::slice::from_ref(&feed.table)).await?;
    match found.first() {
        Some((_, uuid)) if Some(*uuid) == feed.uuid => Ok(()),
        Some(_) => Err(AttemptError::Source(format!(
            "table {} was dropped and made again after the plan was made",
            feed.table
        ))),
        None => Err(AttemptError::Source(format!(
            "table {} is gone, or this user may not read it",
            feed.table
        ))),
    }
}

/// Every file of the chunk is there with the size and etag of the plan.
async fn files(
    worker: &Worker,
    claim: &Claim,
    source: &FilesSource,
    planned: &[SourceFile],
) -> Result<(), AttemptError> {
    if planted(Bug::SkipPins) {
        return Ok(());
    }
    let text = pin_query(source, planned, &worker.keys);
    let settings = read_settings(&source.settings, &claim.job.spec.settings);
    let known = claim.server.known_settings().await;
    let call = || {
        let call = claim.server.call_text("pin", text.clone()).settings(&settings, known);
        // A file that became empty must be seen.
        let call =
            call.setting("s3_skip_empty_files", 0).setting("engine_file_skip_empty_files", 0);
        call.setting("engine_url_skip_empty_files", 0).setting("max_query_size", 64 * 1024 * 1024)
    };
    let found: Vec<Listed> = retry_idempotent(|| call().deadline(None).fetch_all()).await?;
    compare(planned, &found)
}

fn compare(planned: &[SourceFile], found: &[Listed]) -> Result<(), AttemptError> {
    for file in planned {
        let mut same = found.iter().filter(|listed| listed.path == file.path);
        let (Some(now), None) = (same.next(), same.next()) else {
            return Err(AttemptError::Source(format!(
                "file {} is not there any more as it was planned",
                file.path
            )));
        };
        if now.size != file.size || now.etag != file.etag {
            return Err(AttemptError::Source(format!(
                "file {} was changed after the plan was made (planned {} bytes, etag {}; now {} bytes, etag {})",
                file.path, file.size, file.etag, now.size, now.etag
            )));
        }
    }
    if found.len() == planned.len() {
        return Ok(());
    }
    Err(AttemptError::Source(format!(
        "{} files were planned, {} are read",
        planned.len(),
        found.len()
    )))
}

/// How many rows the chunk's source holds, where that is cheap to ask.
pub(crate) async fn count(worker: &Worker, claim: &Claim) -> Result<Held, AttemptError> {
    let spec = &claim.job.spec;
    let chunk = Chunk::decode(&claim.task.chunk)?;
    let is_plain = spec.is_one_for_one();
    match (&spec.source, &chunk) {
        (Source::Files(source), Chunk::Files { files }) => {
            if !is_plain || !is_counted(source) {
                return Ok(Held::Unknown);
            }
            let reading = Reading::files(source, files, "", &spec.settings, &worker.keys);
            let counted =
                Reading::files(&countable(source), files, "", &spec.settings, &worker.keys);
            // Each file is the one whose footer was read at plan time: its etag was compared before the load
            // and is compared after it.
            let known: Option<u64> = files.iter().map(|file| file.rows).sum();
            let rows = match known {
                Some(rows) => rows,
                None => rows_of(&claim.server, &counted).await?,
            };
            let Some(by) = &spec.shard_by else { return Ok(Held::Exactly(rows)) };
            let shard = by.of_shard(&reading, &spec.select, &spec.columns).ok_or(ForeignChunk)?;
            Ok(Held::Share { rows: rows_of(&claim.server, &shard).await?, of: rows })
        }
        (Source::Tables(source), Chunk::Slice(slice)) => {
            let feed = source.feeds.get(slice.feed).ok_or(ForeignChunk)?;
            let rows = rows_of(&claim.server, &Reading::rows_of(feed, slice)).await?;
            judge(feed, slice, rows)?;
            Ok(match (is_plain, feed.is_snapshot) {
                (true, true) => Held::Exactly(rows),
                (true, false) => Held::AtLeast(slice.rows.min),
                (false, _) => Held::Read(rows),
            })
        }
        _ => Err(ForeignChunk.into()),
    }
}

/// The rows of a piece of a table against what the index said at plan time.
fn judge(feed: &Feed, slice: &Slice, rows: u64) -> Result<(), AttemptError> {
    let planned = slice.rows;
    let table = &feed.origin;
    if rows < planned.min {
        return Err(AttemptError::Source(format!(
            "{table} holds {rows} rows in this chunk and held at least {} when it was planned: \
             rows were removed. Bring them back and retry the task: a new plan would load the other chunks once more",
            planned.min
        )));
    }
    if rows > planned.max && feed.is_snapshot {
        return Err(AttemptError::Source(format!(
            "the snapshot of {table} holds {rows} rows in this chunk, more than the {} that were \
             planned: somebody wrote into it",
            planned.max
        )));
    }
    if rows > planned.max {
        tracing::warn!(rows, planned = planned.max, "{table} has got rows since it was planned");
    }
    Ok(())
}

async fn rows_of(server: &Server, reading: &Reading) -> Result<u64, AttemptError> {
    let text = reading.select("count() AS rows");
    let known = server.known_settings().await;
    let mut settings = reading.settings.clone();
    // No column is asked for; none is a surprise.
    settings.push(("input_format_skip_unknown_fields".to_owned(), "1".to_owned()));
    if planted(Bug::CountWithDefaults) {
        settings.clear();
    }
    let count: Count = retry_idempotent(|| {
        server
            .call_text("count_source", text.clone())
            .setting("max_query_size", 64 * 1024 * 1024)
            // The count must come from the source as it is, not from an earlier query.
            .setting("use_query_condition_cache", 0)
            .settings(&settings, known)
            .deadline(None)
            .fetch_one()
    })
    .await?;
    Ok(count.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SourceFile {
        SourceFile::listed(path, 3, "e")
    }

    fn listed(path: &str, etag: &str) -> Listed {
        Listed { path: path.into(), size: 3, etag: etag.into() }
    }

    #[test]
    fn a_changed_missing_or_foreign_file_is_refused() {
        let planned = [file("a"), file("b")];
        assert!(compare(&planned, &[listed("b", "e"), listed("a", "e")]).is_ok());
        let cases: [(&[Listed], &str); 4] = [
            (&[listed("a", "e")], "file b is not there"),
            (&[listed("a", "e"), listed("b", "f")], "file b was changed"),
            (&[listed("a", "e"), listed("b", "e"), listed("b", "e")], "file b is not there"),
            (&[listed("a", "e"), listed("b", "e"), listed("c", "e")], "3 are read"),
        ];
        for (found, words) in cases {
            let error = compare(&planned, found).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
