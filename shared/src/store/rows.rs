//! Row layouts of cursors and workers; see [`super::keys`] for the table of all.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::keys::{JobRow, check_format};
use super::{StoreError, Stored, WorkerRecord};
use crate::hex::{from_hex, to_hex};
use crate::planted::{Bug, planted};
use crate::task::{Cursor, Epoch, FORMAT_FIRST, Job, Stamp, Tally, WorkerId};

/// A cursor, selected and inserted alike.
#[derive(Debug, Serialize, Deserialize, Row)]
pub(super) struct CursorRow {
    job_id: String,
    format: u8,
    pub(super) epoch: u64,
    pub(super) stamp: String,
    pub(super) frontier: u32,
    pub(super) finished: String,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) quarantined: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl From<&Cursor> for CursorRow {
    fn from(cursor: &Cursor) -> Self {
        Self {
            job_id: cursor.job.to_string(),
            format: FORMAT_FIRST,
            epoch: cursor.epoch.0,
            stamp: cursor.stamp.0.clone(),
            frontier: cursor.frontier,
            finished: to_hex(cursor.finished_bits()),
            done: cursor.tally.done,
            failed: cursor.tally.failed,
            quarantined: cursor.tally.quarantined,
            rows: cursor.tally.rows,
            bytes: cursor.tally.bytes,
        }
    }
}

impl TryFrom<CursorRow> for Cursor {
    type Error = StoreError;
    fn try_from(row: CursorRow) -> Stored<Self> {
        check_format(row.format)?;
        let tally = Tally {
            done: row.done,
            failed: row.failed,
            quarantined: row.quarantined,
            rows: row.rows,
            bytes: row.bytes,
        };
        Ok(Self::from_parts(
            row.job_id.parse().map_err(StoreError::record)?,
            Epoch(row.epoch),
            Stamp(row.stamp),
            row.frontier,
            from_hex(&row.finished).ok_or_else(|| StoreError::record("finished bits"))?,
            tally,
        ))
    }
}

/// A worker as selected.
#[derive(Debug, Deserialize, Row)]
pub(super) struct WorkerRow {
    worker_id: String,
    heartbeat_ms: i64,
    age_ms: i64,
    lease_ms: u64,
    slots: u32,
    version: String,
    host: String,
    pid: u32,
    draining: u8,
}

impl From<WorkerRow> for WorkerRecord {
    fn from(row: WorkerRow) -> Self {
        // Both by the server's clock, unless the mistake of a local one is planted.
        let local_age_ms = || crate::clock::now_ms() - row.heartbeat_ms;
        let age_ms = if planted(Bug::LocalClock) { local_age_ms() } else { row.age_ms };
        Self {
            id: WorkerId(row.worker_id),
            lease_ms: row.lease_ms,
            slots: row.slots,
            version: row.version,
            host: row.host,
            pid: row.pid,
            draining: row.draining != 0,
            age_ms,
        }
    }
}

/// A job that this version cannot read is left alone, and told of once: the others go on.
pub(super) fn readable(row: JobRow) -> Option<Job> {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let id = row.id().to_owned();
    match Job::try_from(row) {
        Ok(job) => Some(job),
        Err(error) => {
            if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
                tracing::warn!(job = id, %error, "this job is left alone: upgrade longshore");
            }
            None
        }
    }
}
