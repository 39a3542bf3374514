//! All tasks of a job as they are now, read fresh: what a plan consists of, and what became of it.

use std::collections::VecDeque;

use clickhouse::Row;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{KeeperMapStore, StoreError, Stored};
use crate::clickhouse::retry_idempotent;
use crate::hex::to_hex;
use crate::sql;
use crate::task::{Job, StateName, TaskId};

/// Tasks of one request. Keeper answers 1,000 reads at a time.
const PAGE: u32 = 1_000;
/// Requests in flight: the server spends most of each waiting for Keeper.
const AT_ONCE: usize = 8;

/// A page of rows that was not read to its end: the program ends.
#[derive(Debug, thiserror::Error)]
#[error("a read ended early: {0}")]
struct EndedEarly(#[source] tokio::task::JoinError);

/// What a task's row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its key.
    pub id: TaskId,
    /// Where it stands.
    pub state: StateName,
    /// Fencing number.
    pub epoch: u64,
    /// Rows published.
    pub rows: u64,
    /// Files of its chunk.
    pub files: u32,
    /// Bytes of those files.
    pub bytes: u64,
    /// [`chunk_digest`] of its chunk.
    pub chunk_digest: u64,
}

#[derive(Deserialize, Row)]
struct WitnessRow {
    task_id: String,
    state: String,
    epoch: u64,
    rows: u64,
    files: u32,
    bytes: u64,
    chunk_digest: u64,
}

impl TryFrom<WitnessRow> for Witness {
    type Error = StoreError;
    fn try_from(row: WitnessRow) -> Stored<Self> {
        Ok(Self {
            id: row.task_id.parse().map_err(StoreError::record)?,
            state: StateName::parse(&row.state)
                .ok_or_else(|| StoreError::record(row.state.as_str()))?,
            epoch: row.epoch,
            rows: row.rows,
            files: row.files,
            bytes: row.bytes,
            chunk_digest: row.chunk_digest,
        })
    }
}

/// Tells two encoded chunks apart: the first eight bytes of SHA-256, lowest first.
pub fn chunk_digest(chunk: &[u8]) -> u64 {
    let hash = Sha256::digest(chunk);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(first)
}

/// Tells two plans apart: the number of their tasks and what each loads, in order.
pub fn plan_digest(chunk_digests: impl IntoIterator<Item = u64>) -> String {
    let mut hash = Sha256::new();
    let mut count: u64 = 0;
    for digest in chunk_digests {
        hash.update(digest.to_le_bytes());
        count += 1;
    }
    hash.update(count.to_le_bytes());
    to_hex(&hash.finalize()[..16])
}

impl KeeperMapStore {
    /// Every task of a job, in order of key; those that are missing are left out.
    ///
    /// 50,000 tasks take about three seconds (`scripts/bench audit`); nothing of the table is scanned.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn witnesses(&self, job: &Job) -> Stored<Vec<Witness>> {
        let mut found = Vec::with_capacity(job.tasks as usize);
        let mut running = VecDeque::new();
        let mut first = 0;
        loop {
            while running.len() < AT_ONCE && first < job.tasks {
                let end = first.saturating_add(PAGE).min(job.tasks);
                let keys: Vec<String> = (first..end)
                    .map(|ordinal| TaskId { job: job.id.clone(), ordinal }.to_string())
                    .collect();
                let store = self.clone();
                running.push_back(tokio::spawn(async move {
                    let call = || store.call(sql::LIST_WITNESSES).list("tasks", &keys);
                    retry_idempotent(|| call().fetch_all::<WitnessRow>()).await
                }));
                first = end;
            }
            let Some(page) = running.pop_front() else { break };
            let page = page.await.map_err(|error| StoreError::record(EndedEarly(error)))?;
            for row in page? {
                found.push(Witness::try_from(row)?);
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_told_apart_by_number_order_and_content() {
        let plan = |chunks: &[&str]| plan_digest(chunks.iter().map(|c| chunk_digest(c.as_bytes())));
        let one = plan(&["a", "b"]);
        assert_eq!(one, plan(&["a", "b"]));
        for other in [plan(&["a"]), plan(&["b", "a"]), plan(&["a", "b", ""]), plan(&[])] {
            assert_ne!(one, other);
        }
    }
}
