//! Snapshots of a job that rests are cut once more, so that rows of it that somebody deleted are written again.

use longshore_shared::task::{Chunk, Job};

use super::missing::{rests, write};
use super::task_rows::tasks;
use crate::plan::cut::{CutOptions, cut};
use crate::plan::tables::feed::{FeedOptions, Origin, chunks, cut_options, cut_window};
use crate::session::Session;
use crate::ui::error::Error;

/// Of a plan that reads snapshots: those are cut once more, where they are.
pub(crate) async fn write_of_snapshots(
    session: &Session,
    job: &Job,
    origins: &[Origin],
    options: &FeedOptions,
) -> Result<(), Error> {
    let Some(tables) = job.spec.source.as_tables().filter(|_| rests(job)) else {
        return Ok(());
    };
    let server = &session.server;
    let mut cuts = Vec::new();
    for (origin, feed) in origins.iter().zip(&tables.feeds) {
        cuts.push(match &origin.windowed {
            Some(windowed) => cut_window(server, windowed, &feed.table, options).await?,
            None => cut(server, &feed.table, &cut_options(options, origin, true)).await?,
        });
    }
    write(session, job, &tasks(&job.id, &job.spec, &chunks(&cuts))).await
}

/// Of a plan of what arrived in a table: its snapshot is cut once more.
pub(crate) async fn write_delta(
    session: &Session,
    job: &Job,
    options: &CutOptions,
) -> Result<(), Error> {
    let feed = job.spec.source.as_tables().and_then(|tables| tables.feeds.first());
    let Some(feed) = feed.filter(|_| rests(job)) else { return Ok(()) };
    let cut = cut(&session.server, &feed.table, options).await?;
    let chunks: Vec<Chunk> = cut.slices.into_iter().map(Chunk::Slice).collect();
    write(session, job, &tasks(&job.id, &job.spec, &chunks)).await
}
