//! A plan as a whole on KeeperMap: all its chunks, and the removal of its rows.
//!
//! The row of the job goes last: while it is there nobody makes the same plan again, and whoever
//! removes looks before each request whether it is still the one that was read. Rows are removed by
//! key and stamp, so that a request which arrives late cannot take rows of a plan that was made since.

use backon::{BackoffBuilder, ExponentialBackoff};
use clickhouse::Row;
use serde::Deserialize;

use super::keys::ChunkRow;
use super::{KeeperMapStore, REQUEST_ROWS_MAX, StoreError, Stored, TaskStore};
use crate::clickhouse::{Code, Failure, Summary, control_schedule, retry_idempotent};
use crate::sql;
use crate::task::{Job, TaskId};

#[derive(Deserialize, Row)]
struct Stamped {
    task_id: String,
    stamp: String,
}

/// A chunk may have as many bytes as a task row.
const CHUNKS_AT_ONCE: usize = 200;

/// The encoded chunks of some tasks, in order of key.
pub(super) async fn chunks(
    store: &KeeperMapStore,
    ids: &[TaskId],
) -> Stored<Vec<(TaskId, Vec<u8>)>> {
    let mut chunks = Vec::with_capacity(ids.len());
    for page in ids.chunks(CHUNKS_AT_ONCE) {
        let keys: Vec<String> = page.iter().map(ToString::to_string).collect();
        let rows: Vec<ChunkRow> =
            retry_idempotent(|| store.call(sql::LIST_CHUNKS).list("tasks", &keys).fetch_all())
                .await?;
        for row in rows {
            chunks.push(row.into_parts()?);
        }
    }
    chunks.sort();
    Ok(chunks)
}

/// Removes tasks in bounded requests; false when the row of the job is another by now.
pub(super) async fn remove_tasks(
    store: &KeeperMapStore,
    job: &Job,
    ids: &[TaskId],
) -> Stored<bool> {
    for page in ids.chunks(REQUEST_ROWS_MAX) {
        if !remove_page(store, job, page).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn remove_page(store: &KeeperMapStore, job: &Job, ids: &[TaskId]) -> Stored<bool> {
    let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut patience = Patience::default();
    loop {
        let rows: Vec<Stamped> =
            retry_idempotent(|| store.call(sql::LIST_STAMPS).list("tasks", &keys).fetch_all())
                .await?;
        if rows.is_empty() {
            return Ok(true);
        }
        if !store.job(&job.id).await?.is_some_and(|now| now.stamp == job.stamp) {
            return Ok(false);
        }
        patience.wait_for_fewer(rows.len()).await?;
        let (there, stamps): (Vec<String>, Vec<String>) =
            rows.into_iter().map(|row| (row.task_id, row.stamp)).unzip();
        let call = store.write(sql::DELETE_TASKS).list("tasks", &there).list("stamps", &stamps);
        patience.answered(call.execute().await)?;
    }
}

/// Removes the cursor, then the row; false when the row is another by now.
pub(super) async fn remove_job(store: &KeeperMapStore, job: &Job) -> Stored<bool> {
    let mut patience = Patience::default();
    loop {
        let cursor = store.cursor(&job.id).await?;
        match store.job(&job.id).await? {
            None => return Ok(true),
            // The same plan is being made again already: the row that was to go is gone.
            Some(now) if now.created_ms != job.created_ms => return Ok(true),
            Some(now) if now.stamp != job.stamp => return Ok(false),
            Some(_) => {}
        }
        patience.wait_for_fewer(1 + usize::from(cursor.is_some())).await?;
        let (statement, stamp) = match &cursor {
            Some(cursor) => (sql::DELETE_CURSOR, &cursor.stamp.0),
            None => (sql::DELETE_JOB, &job.stamp.0),
        };
        let call = store.write(statement).param("job", &job.id).param("stamp", stamp);
        patience.answered(call.execute().await)?;
    }
}

/// How long to go on while nothing gets less: an answer alone proves nothing, and the engine under
/// test may remove a part of the rows and answer OK.
struct Patience {
    left: usize,
    pauses: ExponentialBackoff,
    last: Option<Failure>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: usize::MAX, pauses: control_schedule().build(), last: None }
    }
}

impl Patience {
    /// So many rows are left: goes on at once when they are fewer than before.
    async fn wait_for_fewer(&mut self, left: usize) -> Stored<()> {
        if left < self.left {
            (self.left, self.pauses) = (left, control_schedule().build());
            return Ok(());
        }
        match (self.pauses.next(), self.last.take()) {
            (Some(pause), _) => tokio::time::sleep(pause).await,
            (None, Some(failure)) => return Err(failure.into()),
            (None, None) => {
                return Err(StoreError::record(format!(
                    "{left} rows stay though they are deleted"
                )));
            }
        }
        Ok(())
    }

    /// Whatever it says, the next look tells; but a server that refuses will go on doing so.
    fn answered(&mut self, answer: Result<Summary, Failure>) -> Stored<()> {
        match answer {
            Ok(_) => Ok(()),
            Err(failure)
                if failure.is_unknown() || failure.code() == Some(Code::KEEPER_EXCEPTION) =>
            {
                self.last = Some(failure);
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }
}
