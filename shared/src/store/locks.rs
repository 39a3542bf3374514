//! Locks of target tables and marks of dry runs: rows of `meta`.
//!
//! | key                | value                                        |
//! |--------------------|----------------------------------------------|
//! | `target/db.table`  | the jobs that hold the table (JSON), a stamp |
//! | `dry-run/<job id>` | the version of the program that did it       |
//!
//! What a lock means is decided by who takes it; here it is only a row that changes by
//! compare-and-set, as all others do.

use std::future::Future;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::handle::{ReadBack, settle_insert};
use super::keys::check_format;
use super::memory::swap;
use super::{KeeperMapStore, MemoryStore, StoreError, Stored, Swap};
use crate::clickhouse::retry_idempotent;
use crate::sql;
use crate::task::{FORMAT_FIRST, JobId, Lock, Stamp, TableName};

const LOCKS: &str = "target/";
const DRY_RUNS: &str = "dry-run/";

/// Locks of tables, and marks of dry runs.
///
/// Calls may be repeated after an error, as those of [`super::TaskStore`].
pub trait LockStore: Send + Sync + 'static {
    /// All locks, in order of table.
    fn locks(&self) -> impl Future<Output = Stored<Vec<Lock>>> + Send;
    /// The lock of a table; none before its first job.
    fn lock_of(&self, table: &TableName) -> impl Future<Output = Stored<Option<Lock>>> + Send;
    /// Writes a lock unless one is there; returns the one in force.
    fn create_lock(&self, lock: &Lock) -> impl Future<Output = Stored<Lock>> + Send;
    /// Replaces `was` by `next` if `was` is still in force.
    fn swap_lock(&self, was: &Lock, next: &Lock)
    -> impl Future<Output = Stored<Swap<Lock>>> + Send;

    /// Notes that a dry run of this job went well.
    fn mark_dry_run(&self, job: &JobId) -> impl Future<Output = Stored<()>> + Send;
    /// Did a dry run of this job go well?
    fn had_dry_run(&self, job: &JobId) -> impl Future<Output = Stored<bool>> + Send;
}

/// A fact as selected.
#[derive(Debug, Deserialize, Row)]
struct FactRow {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize, Row)]
struct ValueRow {
    value: String,
}

/// A lock as stored. The text is compared as a whole; its stamp makes each one different.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockText {
    format: u8,
    stamp: String,
    jobs: Vec<JobId>,
}

fn lock_key(table: &TableName) -> String {
    format!("{LOCKS}{table}")
}

fn dry_run_key(job: &JobId) -> String {
    format!("{DRY_RUNS}{job}")
}

fn encode(lock: &Lock) -> String {
    let text =
        LockText { format: FORMAT_FIRST, stamp: lock.stamp.0.clone(), jobs: lock.jobs.clone() };
    serde_json::to_string(&text).expect("texts are JSON")
}

/// A lock that is no lock.
#[derive(Debug, thiserror::Error)]
#[error("lock of {table}: {source}")]
struct BadLock {
    table: TableName,
    source: serde_json::Error,
}

fn decode(table: TableName, value: &str) -> Stored<Lock> {
    let text: LockText = serde_json::from_str(value)
        .map_err(|source| StoreError::record(BadLock { table: table.clone(), source }))?;
    check_format(text.format)?;
    Ok(Lock { table, stamp: Stamp(text.stamp), jobs: text.jobs })
}

impl KeeperMapStore {
    async fn fact(&self, key: &str) -> Stored<Option<String>> {
        let row: Option<ValueRow> =
            retry_idempotent(|| self.call(sql::GET_META).param("key", key).fetch_optional())
                .await?;
        Ok(row.map(|row| row.value))
    }

    /// Writes a fact unless one is there; returns the one in force.
    async fn create_fact(&self, key: &str, value: &str) -> Stored<String> {
        settle_insert(key, || self.insert_fact(key, value), || self.fact(key)).await
    }
}

impl LockStore for KeeperMapStore {
    async fn locks(&self) -> Stored<Vec<Lock>> {
        let rows: Vec<FactRow> = retry_idempotent(|| self.call(sql::LIST_META).fetch_all()).await?;
        let mut locks = Vec::new();
        for row in rows {
            if let Some(table) = row.key.strip_prefix(LOCKS) {
                locks.push(decode(table.parse().map_err(StoreError::record)?, &row.value)?);
            }
        }
        locks.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(locks)
    }

    async fn lock_of(&self, table: &TableName) -> Stored<Option<Lock>> {
        let value = self.fact(&lock_key(table)).await?;
        value.map(|value| decode(table.clone(), &value)).transpose()
    }

    async fn create_lock(&self, lock: &Lock) -> Stored<Lock> {
        let found = self.create_fact(&lock_key(&lock.table), &encode(lock)).await?;
        decode(lock.table.clone(), &found)
    }

    async fn swap_lock(&self, was: &Lock, next: &Lock) -> Stored<Swap<Lock>> {
        let (key, was_text, text) = (lock_key(&was.table), encode(was), encode(next));
        let send = || {
            self.write(sql::SWAP_META)
                .param("key", &key)
                .param("value", &text)
                .param("was", &was_text)
        };
        let back = || Box::pin(self.lock_of(&was.table)) as ReadBack<'_, Lock>;
        self.settle_swap(&was.stamp.0, &next.stamp.0, send, None, back, |lock| &lock.stamp.0).await
    }

    async fn mark_dry_run(&self, job: &JobId) -> Stored<()> {
        self.create_fact(&dry_run_key(job), env!("CARGO_PKG_VERSION")).await?;
        Ok(())
    }

    async fn had_dry_run(&self, job: &JobId) -> Stored<bool> {
        Ok(self.fact(&dry_run_key(job)).await?.is_some())
    }
}

impl LockStore for MemoryStore {
    async fn locks(&self) -> Stored<Vec<Lock>> {
        Ok(self.lock().locks.values().cloned().collect())
    }

    async fn lock_of(&self, table: &TableName) -> Stored<Option<Lock>> {
        Ok(self.lock().locks.get(table).cloned())
    }

    async fn create_lock(&self, lock: &Lock) -> Stored<Lock> {
        let mut inner = self.lock();
        Ok(inner.locks.entry(lock.table.clone()).or_insert_with(|| lock.clone()).clone())
    }

    async fn swap_lock(&self, was: &Lock, next: &Lock) -> Stored<Swap<Lock>> {
        let holds = |row: &Lock| row == was;
        Ok(swap(&mut self.lock().locks, &was.table, holds, |row| &row.stamp, next.clone()))
    }

    async fn mark_dry_run(&self, job: &JobId) -> Stored<()> {
        self.lock().dry_runs.insert(job.clone());
        Ok(())
    }

    async fn had_dry_run(&self, job: &JobId) -> Stored<bool> {
        Ok(self.lock().dry_runs.contains(job))
    }
}
