//! Reads what is kept of a task besides its row: receipts, and how its attempts ended.
//!
//! Both tables belong to the server that a worker spoke to. They explain; they decide nothing.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::sql;
use longshore_shared::task::TaskId;
use serde::{Deserialize, Serialize};

/// Attempts shown of one task.
const ATTEMPTS_MAX: u32 = 100;

/// Proof that rows of a task are in one table.
#[derive(Debug, Clone, Deserialize, Serialize, Row)]
pub(crate) struct ReceiptLine {
    /// The table.
    pub(crate) target: String,
    /// Epoch that proved it.
    pub(crate) epoch: u64,
    /// Worker that proved it.
    pub(crate) worker: String,
    /// Query id of the load.
    pub(crate) query_id: String,
    /// Rows read from the source.
    pub(crate) rows_read: u64,
    /// Rows moved into the table.
    pub(crate) rows_staged: u64,
    /// Partitions moved.
    pub(crate) partitions: Vec<String>,
    /// Parts moved.
    pub(crate) parts: u64,
    /// Server time of the proof in milliseconds since 1970.
    pub(crate) published_ms: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Deserialize, Serialize, Row)]
pub(crate) struct AttemptLine {
    /// Fencing number.
    pub(crate) epoch: u64,
    pub(crate) attempt: u32,
    pub(crate) worker: String,
    /// What ended it.
    pub(crate) event: String,
    /// The cause, in the server's words.
    pub(crate) message: String,
    /// How long it took.
    pub(crate) elapsed_ms: u64,
    /// Server time of its end in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

/// The receipts of a task, by target.
pub(crate) async fn receipts(server: &Server, id: &TaskId) -> Result<Vec<ReceiptLine>, Failure> {
    retry_idempotent(|| {
        server
            .call(sql::LIST_RECEIPTS)
            .name("control", server.control())
            .param("job", &id.job)
            .param("task", id)
            .fetch_all()
    })
    .await
}

/// The last attempts of a task, oldest first.
pub(crate) async fn attempts(server: &Server, id: &TaskId) -> Result<Vec<AttemptLine>, Failure> {
    let mut lines: Vec<AttemptLine> = retry_idempotent(|| {
        server
            .call(sql::LIST_ATTEMPTS)
            .name("control", server.control())
            .param("job", &id.job)
            .param("task", id)
            .param("limit", ATTEMPTS_MAX)
            .fetch_all()
    })
    .await?;
    lines.reverse();
    Ok(lines)
}
