//! What tasks were about to move, written to ClickHouse before their first MOVE.
//!
//! The row of a task in Keeper can be put back to an older state, or be deleted and made again. Then
//! it says that nothing of the task was ever moved. A manifest in this table says otherwise until a
//! receipt in force names all of its parts, or a person settles it.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{insert, now_ms};
use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::pack::{UnpackError, pack, unpack};
use crate::sql;
use crate::task::{Epoch, JobId, Manifest, TaskId, WorkerId, uuid_list};

/// Why a manifest does not count any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Nothing of it is in any target.
    NeverMoved = 1,
    /// All of it was in its targets, and a person took it out.
    TakenOut = 2,
}

/// Why the manifest of a task is not known.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The server said no, or could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A record written by another version, or damaged.
    #[error("the ledger holds a record this version cannot read: {0}")]
    Record(#[from] UnpackError),
}

/// A manifest that no receipt in force covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The last epoch that was about to move it.
    pub epoch: Epoch,
    /// What was to be moved.
    pub manifest: Manifest,
}

#[derive(Serialize, Row)]
struct NewRow {
    job_id: String,
    task_id: String,
    epoch: u64,
    worker: String,
    #[serde(with = "uuid_list")]
    part_uuids: Vec<Uuid>,
    rows: u64,
    #[serde(with = "serde_bytes")]
    manifest: Vec<u8>,
    is_void: u8,
    taken_at: i64,
    written_at: i64,
}

#[derive(Deserialize, Row)]
struct FoundRow {
    epoch: u64,
    #[serde(with = "serde_bytes")]
    manifest: Vec<u8>,
}

#[derive(Deserialize, Row)]
struct RememberedRow {
    rows: u64,
}

#[derive(Deserialize, Row)]
struct TaskRow {
    task_id: String,
}

#[derive(Deserialize, Row)]
struct ReceivedRow {
    parts: u64,
}

/// Writes down what a task is about to move in this epoch. Writing it again replaces it.
///
/// # Errors
/// When the server did not take it: nothing may be moved then.
pub async fn announce(
    server: &Server,
    task: &TaskId,
    epoch: Epoch,
    worker: &WorkerId,
    manifest: &Manifest,
) -> Result<(), Failure> {
    let row = NewRow {
        job_id: task.job.to_string(),
        task_id: task.to_string(),
        epoch: epoch.0,
        worker: worker.to_string(),
        part_uuids: manifest.part_uuids(),
        rows: manifest.rows,
        manifest: pack(manifest),
        is_void: 0,
        taken_at: manifest.taken_ms,
        written_at: now_ms(),
    };
    insert(server, "manifests", &[row]).await
}

/// Does the ledger hold anything about a task, whatever became of it? Where it does not, [`super::published`] and
/// [`unsettled`] find nothing, and cost the server several times as much.
///
/// # Errors
/// When the server cannot be asked.
pub async fn is_remembered(server: &Server, task: &TaskId) -> Result<bool, Failure> {
    let id = task.to_string();
    let call = || server.call(sql::COUNT_REMEMBERED).name("control", server.control());
    let found: RememberedRow =
        retry_idempotent(|| call().param("job", &task.job).param("task", &id).fetch_one()).await?;
    Ok(found.rows > 0)
}

/// What a task was about to move, and no receipt in force names. The latest manifest, if there is one.
///
/// # Errors
/// When the server cannot be asked, or a row is damaged.
pub async fn unsettled(server: &Server, task: &TaskId) -> Result<Option<Unsettled>, LedgerError> {
    let id = task.to_string();
    let call = || server.call(sql::FIND_UNSETTLED).name("control", server.control());
    let rows: Vec<FoundRow> =
        retry_idempotent(|| call().param("job", &task.job).param("task", &id).fetch_all()).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    Ok(Some(Unsettled { epoch: Epoch(row.epoch), manifest: unpack(&row.manifest)? }))
}

/// Do receipts in force name all parts of this manifest? They are written after all of them were proved.
///
/// # Errors
/// When the server cannot be asked.
pub async fn is_received(
    server: &Server,
    task: &TaskId,
    manifest: &Manifest,
) -> Result<bool, Failure> {
    let uuids = manifest.part_uuids();
    let id = task.to_string();
    let mut found = 0;
    for page in uuids.chunks(1_000) {
        let call = || server.call(sql::COUNT_RECEIVED).name("control", server.control());
        let call = || call().param("job", &task.job).param("task", &id).list("uuids", page);
        let row: ReceivedRow = retry_idempotent(|| call().fetch_one()).await?;
        found += row.parts;
    }
    Ok(!uuids.is_empty() && found == uuids.len() as u64)
}

/// The tasks of a job that [`unsettled`] finds something of. Their staging tables are evidence.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unsettled_tasks(server: &Server, job: &JobId) -> Result<Vec<TaskId>, Failure> {
    let call = || server.call(sql::LIST_UNSETTLED).name("control", server.control());
    let rows: Vec<TaskRow> = retry_idempotent(|| call().param("job", job).fetch_all()).await?;
    Ok(rows.into_iter().filter_map(|row| row.task_id.parse().ok()).collect())
}

/// Forgets what an older life of a plan proved or was about to move, because the plan is deleted: the
/// same plan, made again, loads the same rows again.
///
/// # Errors
/// When the server did not take it. Doing it again is harmless.
pub async fn forget(server: &Server, job: &JobId) -> Result<(), Failure> {
    for statement in [sql::FORGET_MANIFESTS, sql::FORGET_RECEIPTS] {
        let call = server.call(statement).name("control", server.control());
        call.param("job", job).execute().await?;
    }
    Ok(())
}

/// Settles what these tasks were about to move, up to the epoch given with each.
///
/// # Errors
/// When the server did not take it. Doing it again is harmless.
pub async fn void_manifests(
    server: &Server,
    job: &JobId,
    tasks: &[(TaskId, u64)],
    void: Void,
) -> Result<(), Failure> {
    for page in tasks.chunks(1_000) {
        let ids: Vec<String> = page.iter().map(|(task, _)| task.to_string()).collect();
        let epochs: Vec<String> = page.iter().map(|(_, epoch)| epoch.to_string()).collect();
        let call = server.call(sql::VOID_MANIFESTS).name("control", server.control());
        let call = call.list("tasks", &ids).raw_param("epochs", &format!("[{}]", epochs.join(",")));
        call.param("job", job).param("void", void as u8).execute().await?;
    }
    Ok(())
}
