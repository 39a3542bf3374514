//! What must hold when a chunk is read through a view's query: its query keeps to the chunk, and no
//! more was read than the chunk has.

use longshore_shared::clickhouse::{Server, Summary};
use longshore_shared::source::{check_filter, rows_to_read};
use longshore_shared::task::{Feed, JobSpec, Slice};

use crate::error::AttemptError;

/// Rows that the load may read at most, when that is known. Before the load.
pub(crate) async fn bound(
    server: &Server,
    spec: &JobSpec,
    (feed, slice): (&Feed, &Slice),
) -> Result<Option<u64>, AttemptError> {
    check_filter(server, feed).await?;
    // Views that fire on what is loaded may read other tables.
    let passes = feed.view.as_ref().and_then(|view| view.passes);
    let Some(passes) = passes.filter(|_| spec.graph.views.is_empty()) else { return Ok(None) };
    Ok(Some(passes * rows_to_read(server, feed, slice).await?))
}

/// No more was read than the piece of the table has. After the load.
pub(crate) async fn check_read(
    server: &Server,
    spec: &JobSpec,
    chunk: (&Feed, &Slice),
    before: Option<u64>,
    loaded: Summary,
) -> Result<(), AttemptError> {
    let Some(before) = before.filter(|bound| loaded.read_rows > *bound) else { return Ok(()) };
    // A table that others write to may have got rows, or other granules by a merge.
    let now = bound(server, spec, chunk).await?.unwrap_or(before);
    if loaded.read_rows <= before.max(now) {
        return Ok(());
    }
    Err(AttemptError::Count(format!(
        "the load read {} rows, but the chunk of {} has {} to read",
        loaded.read_rows,
        chunk.0.origin,
        before.max(now)
    )))
}
