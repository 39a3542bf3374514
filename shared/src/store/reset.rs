//! Puts many ended tasks back to where they were planned, a request at a time instead of a task.
//!
//! What one statement does to a row here is what `TaskEvent::Reset` and, for a failed task,
//! `TaskEvent::Reopened` do; the test that opens ten thousand tasks compares them.

use backon::BackoffBuilder;
use clickhouse::Row;
use serde::Deserialize;

use super::{KeeperMapStore, REQUEST_BYTES_MAX, REQUEST_ROWS_MAX, Stored};
use crate::clickhouse::{control_schedule, read};
use crate::sql;
use crate::task::{Stamp, TaskId};

/// What Keeper keeps of a row beside its three long texts: names, numbers, its path.
const ROW_BYTES: usize = 600;

#[derive(Deserialize, Row)]
struct Weight {
    task_id: String,
    bytes: u64,
}

#[derive(Deserialize, Row)]
struct Counted {
    changed: u64,
    left: u64,
}

impl KeeperMapStore {
    /// Makes failed and done tasks pending, as they were planned; tasks in other states stay as they
    /// are. Returns how many were changed by this call. `each` is called after each request.
    ///
    /// Only while nobody else acts on them: of a job that is being reopened.
    ///
    /// # Errors
    /// When the store cannot be read or written; some tasks may be changed then, and the same call
    /// goes on.
    pub async fn reset_tasks<E>(
        &self,
        tasks: &[TaskId],
        mut each: impl AsyncFnMut() -> Result<(), E>,
    ) -> Result<u64, E>
    where
        E: From<super::StoreError>,
    {
        let mut changed = 0;
        for page in tasks.chunks(REQUEST_ROWS_MAX) {
            let keys: Vec<String> = page.iter().map(ToString::to_string).collect();
            let weights = self.weigh(&keys).await?;
            for batch in batches(weights) {
                changed += self.reset_batch(&batch).await?;
                each().await?;
            }
        }
        Ok(changed)
    }

    async fn weigh(&self, keys: &[String]) -> Stored<Vec<Weight>> {
        Ok(read(|| self.call(sql::WEIGH_TASKS).list("tasks", keys).fetch_all()).await?)
    }

    /// One request, sent until none of its tasks is left to change.
    async fn reset_batch(&self, keys: &[String]) -> Stored<u64> {
        let stamp = Stamp::fresh();
        let mut pauses = control_schedule().build();
        loop {
            let write = self.write(sql::RESET_TASKS).list("tasks", keys);
            let answer = write.param("stamp", &stamp.0).execute().await;
            let count = || self.call(sql::COUNT_STAMPED).list("tasks", keys);
            let counted: Counted = read(|| count().param("stamp", &stamp.0).fetch_one()).await?;
            if counted.left == 0 {
                return Ok(counted.changed);
            }
            match (answer, pauses.next()) {
                (Err(failure), None) => return Err(failure.into()),
                (_, pause) => tokio::time::sleep(pause.unwrap_or_default()).await,
            }
        }
    }
}

/// Keys of rows that fit into one request together.
fn batches(weights: Vec<Weight>) -> Vec<Vec<String>> {
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for weight in weights {
        let own = ROW_BYTES + usize::try_from(weight.bytes).unwrap_or(REQUEST_BYTES_MAX);
        let last = batches.last().is_some_and(|last| !last.is_empty());
        if last && bytes + own > REQUEST_BYTES_MAX {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += own;
        batches.last_mut().expect("never empty").push(weight.task_id);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stays_within_its_bytes() {
        let weights = |sizes: &[u64]| -> Vec<Weight> {
            let weight =
                |(at, bytes): (usize, &u64)| Weight { task_id: at.to_string(), bytes: *bytes };
            sizes.iter().enumerate().map(weight).collect()
        };
        assert_eq!(batches(Vec::new()), Vec::<Vec<String>>::new());
        assert_eq!(batches(weights(&[1; 500])).len(), 1);
        assert_eq!(batches(weights(&[60_000; 20])).len(), 3);
        assert_eq!(batches(weights(&[900_000, 1])).len(), 2);
    }
}
