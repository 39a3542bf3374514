//! Are the tables and views of a job what they were when its plan was made?

use longshore_shared::clickhouse::Server;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Drift, check_drift, view_query};
use longshore_shared::task::{Chunk, Feed, JobSpec, Slice};

use crate::claim::Claim;
use crate::error::AttemptError;

/// The tables and views are what they were at plan time.
pub(crate) async fn schema(claim: &Claim) -> Result<(), AttemptError> {
    if planted(Bug::SkipDrift) {
        return Ok(());
    }
    let chunk = Chunk::decode(&claim.task.chunk)?;
    if let Some((feed, _)) = feed_of(&claim.job.spec, &chunk) {
        unchanged(&claim.server, feed).await?;
    }
    let look = || check_drift(&claim.server, &claim.job.spec.graph);
    if look().await?.is_none() {
        return Ok(());
    }
    // Another server may have answered at the address, whose tables are others.
    claim.endpoint.check(None).await?;
    match look().await? {
        None => Ok(()),
        Some(drift) => Err(drift.into()),
    }
}

/// The view's query is that of the plan.
async fn unchanged(server: &Server, feed: &Feed) -> Result<(), AttemptError> {
    let Some(view) = &feed.view else { return Ok(()) };
    match view_query(server, &view.name).await? {
        None => Err(Drift::Gone(view.name.clone()).into()),
        Some(query) if query != view.defined => Err(Drift::ViewChanged(view.name.clone()).into()),
        Some(_) => Ok(()),
    }
}

/// The feed of a chunk, when it is read through a view.
pub(crate) fn feed_of<'a>(spec: &'a JobSpec, chunk: &'a Chunk) -> Option<(&'a Feed, &'a Slice)> {
    let slice = chunk.as_slice()?;
    let feed = spec.source.as_tables()?.feeds.get(slice.feed)?;
    feed.view.is_some().then_some((feed, slice))
}
