//! Puts many ended tasks back to where they were planned, a request at a time instead of a task.
//!
//! What one statement does to a row here is what `TaskEvent::Reset` and, for a failed task,
//! `TaskEvent::Reopened` do; the test that opens ten thousand tasks compares them.

use std::collections::HashMap;

use backon::BackoffBuilder;
use clickhouse::Row;
use serde::Deserialize;

use super::{KeeperMapStore, REQUEST_BYTES_MAX, REQUEST_ROWS_MAX, Stored};
use crate::clickhouse::{Call, control_schedule, retry_idempotent};
use crate::sql;
use crate::task::{Stamp, StateName, TaskId};

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
    /// Makes tasks that ended as `was` pending, as they were planned: each only if it is still in the
    /// epoch given with it. Returns how many were changed by this call. `each` is called after each request.
    ///
    /// Only while nobody else acts on them: of a job that is being reopened.
    ///
    /// # Errors
    /// When the store cannot be read or written; some tasks may be changed then, and the same call
    /// goes on.
    pub async fn reset_tasks<E>(
        &self,
        tasks: &[(TaskId, u64)],
        was: StateName,
        mut each: impl AsyncFnMut() -> Result<(), E>,
    ) -> Result<u64, E>
    where
        E: From<super::StoreError>,
    {
        let mut changed = 0;
        for page in tasks.chunks(REQUEST_ROWS_MAX) {
            let epochs: HashMap<String, u64> =
                page.iter().map(|(id, epoch)| (id.to_string(), *epoch)).collect();
            let keys: Vec<String> = epochs.keys().cloned().collect();
            let weights = self.weigh(&keys).await?;
            for batch in batches(weights) {
                let epochs: Vec<String> = batch.iter().map(|key| epochs[key].to_string()).collect();
                changed += self.reset_batch(&batch, &epochs, was).await?;
                each().await?;
            }
        }
        Ok(changed)
    }

    async fn weigh(&self, keys: &[String]) -> Stored<Vec<Weight>> {
        Ok(retry_idempotent(|| self.call(sql::WEIGH_TASKS).list("tasks", keys).fetch_all()).await?)
    }

    /// One request, sent until none of its tasks is left to change.
    async fn reset_batch(&self, keys: &[String], epochs: &[String], was: StateName) -> Stored<u64> {
        let epochs = format!("[{}]", epochs.join(","));

        let stamp = Stamp::fresh();
        let mut pauses = control_schedule().build();
        loop {
            let write = fill(self.write(sql::RESET_TASKS), keys, &epochs, was);
            let answer = write.param("stamp", &stamp.0).execute().await;
            let count = || fill(self.call(sql::COUNT_STAMPED), keys, &epochs, was);
            let counted: Counted =
                retry_idempotent(|| count().param("stamp", &stamp.0).fetch_one()).await?;
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

fn fill<'a>(call: Call<'a>, keys: &[String], epochs: &str, was: StateName) -> Call<'a> {
    call.list("tasks", keys).raw_param("epochs", epochs).param("was", was.as_str())
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
