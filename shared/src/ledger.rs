//! What ClickHouse itself remembers of tasks: receipts, manifests, and the history of attempts.
//!
//! Keeper holds where a task stands; this holds what was done. The two are compared, and the ledger outlives a
//! Keeper that was put back: a task with a receipt is never loaded again, whatever its row says. Begin with
//! [`append`], which writes the receipts of a task, and [`announce`], which writes down what is about to move.
//!
//! Rows of the same key replace each other, so writing them again is safe. Nothing is decided by the history.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql::{self, quote_table};
use crate::task::{Epoch, JobId, Receipt, TaskId, WorkerId};

mod lost;
mod manifests;
mod parts;

pub use crate::clock::now_ms;
pub use lost::{Loss, lost, lost_in_table, not_exchanged};
pub use manifests::{
    LedgerError, Unsettled, Void, announce, forget, is_received, is_remembered, unsettled,
    unsettled_tasks, void_manifests,
};
pub use parts::{Seen, find_parts, find_parts_settled, wait_for_parts};

/// Writes the receipts of one task. Writing them again replaces them.
///
/// # Errors
/// When the server did not take them.
pub async fn append(server: &Server, receipts: &[Receipt]) -> Result<(), Failure> {
    insert(server, "receipts", receipts).await
}

/// What the ledger says of a task that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Row)]
pub struct Published {
    /// Epoch in which it was.
    pub epoch: u64,
    /// When, in milliseconds since 1970.
    pub published_ms: i64,
}

/// Looks for a receipt of a task. One that was made void by a person does not count.
///
/// # Errors
/// When the server cannot be asked.
pub async fn published(server: &Server, task: &TaskId) -> Result<Option<Published>, Failure> {
    let id = task.to_string();
    retry_idempotent(|| {
        server
            .call(sql::FIND_RECEIPT)
            .name("control", server.control())
            .param("job", &task.job)
            .param("task", &id)
            .fetch_optional()
    })
    .await
}

/// What the ledger says of one task, all its tables together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Row)]
pub struct Ledger {
    /// The task.
    pub task_id: String,
    /// Epoch in which it was published.
    pub epoch: u64,
    /// Rows that the load read.
    pub rows_read: u64,
    /// Each table with the rows that went into it.
    pub targets: Vec<(String, u64)>,
}

/// The receipts of some tasks of a job; those without one are left out.
///
/// # Errors
/// When the server cannot be asked.
pub async fn list(server: &Server, job: &JobId, tasks: &[String]) -> Result<Vec<Ledger>, Failure> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    retry_idempotent(|| {
        server
            .call(sql::LIST_PUBLISHED)
            .name("control", server.control())
            .param("job", job)
            .list("tasks", tasks)
            .fetch_all()
    })
    .await
}

/// How an attempt ended.
#[derive(Debug, Clone, Serialize, Row)]
pub struct Attempt {
    /// The job.
    pub job_id: String,
    /// The task.
    pub task_id: String,
    /// Epoch of the attempt.
    pub epoch: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// Who made it.
    pub worker: String,
    /// What happened: `done`, `retried`, `failed`, `quarantined`, `handed back`, `taken over`.
    pub event: String,
    /// The cause, for those that ended otherwise than done.
    pub message: String,
    /// Milliseconds from the claim to the end.
    pub elapsed_ms: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

impl Attempt {
    /// A note of which environment this server belongs to: it outlives a Keeper that is wiped.
    pub fn of_environment(environment: &str) -> Self {
        Self {
            job_id: String::new(),
            task_id: String::new(),
            epoch: 0,
            attempt: 0,
            worker: String::new(),
            event: "environment".to_owned(),
            message: environment.to_owned(),
            elapsed_ms: 0,
            at: now_ms(),
        }
    }

    /// An entry for an event of now.
    pub fn now(task: &TaskId, epoch: Epoch, attempt: u32, worker: &WorkerId, event: &str) -> Self {
        Self {
            job_id: task.job.to_string(),
            task_id: task.to_string(),
            epoch: epoch.0,
            attempt,
            worker: worker.to_string(),
            event: event.to_owned(),
            message: String::new(),
            elapsed_ms: 0,
            at: now_ms(),
        }
    }
}

/// Writes history. Nothing depends on it, so a failure is only logged.
pub async fn note(server: &Server, attempt: Attempt) {
    if let Err(failure) = insert(server, "attempts", &[attempt]).await {
        tracing::warn!(error = %failure, "the history of attempts has a gap");
    }
}

/// Sends an insert, once.
///
/// Nothing settles it here, as `settle_insert` does in the store: rows of receipts and manifests replace
/// those of the same key, so whoever must be sure sends them again, and a note of the history may be lost.
async fn insert<R>(server: &Server, table: &'static str, rows: &[R]) -> Result<(), Failure>
where
    R: Row + clickhouse::RowWrite,
    for<'a> R: Row<Value<'a> = R>,
{
    let quoted = quote_table(server.control(), table);
    let mut client = server
        .client()
        .clone()
        .with_setting("async_insert", "0")
        .with_setting("insert_deduplicate", "0");
    // It overrides the other where it is known.
    if server.knows("deduplicate_insert").await {
        client = client.with_setting("deduplicate_insert", "disable");
    }
    let send = async {
        let mut insert = client.insert_unescaped::<R>(&quoted).await?;
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    };
    send.await.map_err(|error| Failure::from_client("insert", &error))
}
