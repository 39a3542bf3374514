//! Rows of a job that rests, which somebody deleted: written again by the very command that made the plan.

use std::collections::{HashMap, HashSet};

use longshore_shared::store::{TaskStore, Witness, chunk_digest};
use longshore_shared::task::{Chunk, Cursor, Job, JobState, Task, TaskId};

use super::task_rows::tasks;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Does the job rest, so that rows of its tasks may be written again? Nobody claims them then.
pub(crate) fn rests(job: &Job) -> bool {
    match job.state {
        JobState::Paused | JobState::Halted | JobState::Failed | JobState::Reopening => true,
        // Its snapshot is gone.
        JobState::Cancelled => !reads_snapshot(job),
        _ => false,
    }
}

/// Is the job looked at again although its plan is there? A snapshot is looked at as it was.
pub(crate) fn needs_rows(job: &Job) -> bool {
    rests(job) && !reads_snapshot(job)
}

/// Does it read a table that does not change?
pub(crate) fn reads_snapshot(job: &Job) -> bool {
    let tables = job.spec.source.as_tables();
    tables.is_some_and(|tables| tables.feeds.iter().any(|feed| feed.is_snapshot))
}

/// Writes rows that somebody deleted. A task that was published before has receipts,
/// so no worker loads it again.
pub(crate) async fn write(session: &Session, job: &Job, tasks: &[Task]) -> Result<(), Error> {
    let store = &session.store;
    let expected: HashMap<&TaskId, u64> =
        tasks.iter().map(|task| (&task.id, chunk_digest(&task.chunk))).collect();
    let there = store.witnesses(job).await?;
    let is_same = |witness: &Witness| expected.get(&witness.id) == Some(&witness.chunk_digest);
    let missing: Vec<Task> = {
        let found: HashSet<&TaskId> = there.iter().map(|row| &row.id).collect();
        tasks.iter().filter(|task| !found.contains(&task.id)).cloned().collect()
    };
    let has_cursor = store.cursor(&job.id).await?.is_some();
    if missing.is_empty() && has_cursor {
        return Ok(());
    }
    if job.tasks as usize != tasks.len() || !there.iter().all(is_same) {
        let message = format!(
            "rows of job {} are missing, and they cannot be made again: the source is cut \
             into other chunks now",
            job.id
        );
        let help = format!(
            "if the plan was exported: longshore plan import FILE. Else longshore cancel {}, and \
             plan what is not loaded with --again TEXT",
            job.id
        );
        return Err(Report::new(Kind::Conflict, message).help(help).into());
    }
    store.create_tasks(&missing).await?;
    if !has_cursor {
        store.create_cursor(&Cursor::new(job.id.clone())).await?;
    }
    let written = missing.len() + usize::from(!has_cursor);
    tracing::warn!("{written} rows of job {} were missing and are written again", job.id);
    Ok(())
}

/// Of a plan that was written to a file.
pub(crate) async fn write_from_file(
    session: &Session,
    job: &Job,
    chunks: &[Chunk],
) -> Result<(), Error> {
    if !rests(job) {
        return Ok(());
    }
    write(session, job, &tasks(&job.id, &job.spec, chunks)).await
}
