//! What must hold when a chunk is read through a view's query: the view is what it was, its query
//! keeps to the chunk, and no more was read than the chunk has.

use longshore_shared::clickhouse::{Server, Summary};
use longshore_shared::schema::{Drift, view_query};
use longshore_shared::source::{ProbeError, check_filter, rows_to_read};
use longshore_shared::task::{Chunk, Feed, JobSpec, Slice};

use crate::trouble::Trouble;

/// The feed of a chunk, when it is read through a view.
pub(crate) fn of<'a>(spec: &'a JobSpec, chunk: &'a Chunk) -> Option<(&'a Feed, &'a Slice)> {
    let slice = chunk.as_slice()?;
    let feed = spec.source.as_tables()?.feeds.get(slice.feed)?;
    feed.view.is_some().then_some((feed, slice))
}

/// The view's query is that of the plan.
pub(crate) async fn unchanged(server: &Server, feed: &Feed) -> Result<(), Trouble> {
    let Some(view) = &feed.view else { return Ok(()) };
    match view_query(server, &view.name).await? {
        None => Err(Drift::Gone(view.name.clone()).into()),
        Some(query) if query != view.defined => Err(Drift::ViewChanged(view.name.clone()).into()),
        Some(_) => Ok(()),
    }
}

/// Rows that the load may read at most, when that is known. Before the load.
pub(crate) async fn bound(
    server: &Server,
    spec: &JobSpec,
    (feed, slice): (&Feed, &Slice),
) -> Result<Option<u64>, Trouble> {
    match check_filter(server, feed).await {
        Ok(()) => {}
        Err(ProbeError::Failure(failure)) => return Err(failure.into()),
        Err(ignored) => return Err(Trouble::Count(ignored.to_string())),
    }
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
) -> Result<(), Trouble> {
    let Some(before) = before.filter(|bound| loaded.read_rows > *bound) else { return Ok(()) };
    // A table that others write to may have got rows, or other granules by a merge.
    let now = bound(server, spec, chunk).await?.unwrap_or(before);
    if loaded.read_rows <= before.max(now) {
        return Ok(());
    }
    Err(Trouble::Count(format!(
        "the load read {} rows, but the chunk of {} has {} to read",
        loaded.read_rows,
        chunk.0.origin,
        before.max(now)
    )))
}
