//! The store of jobs and tasks: a small trait, KeeperMap for real, memory for tests.
//!
//! Every change is a compare-and-set that names what it expects and proves its own outcome by
//! reading back: an answer alone proves nothing (an update that matches no row answers OK, and
//! "Bad version" can hide a success, FAULTS F6).

mod error;
mod handle;
mod keeper_map;
mod keys;
mod locks;
mod memory;
mod reset;
mod rows;
mod schema;
mod tell;
mod whole;
mod witness;

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;

use std::future::Future;

pub use error::{StoreError, Stored};
pub use handle::KeeperMapStore;
pub use locks::LockStore;
pub use memory::{MemoryStore, Mishap};
pub use schema::{InitReport, SCHEMA_VERSION, drop_lost, environment, init};
pub use witness::{Witness, chunk_digest, plan_digest};

use crate::task::{Cursor, Job, JobId, Segment, StateName, Task, TaskId, WorkerId};

/// Rows of one request to Keeper: one multi over 1 MB drops the server's shared session (ENGINE C).
pub const REQUEST_ROWS_MAX: usize = 1_000;
/// Bytes of one request to Keeper.
pub const REQUEST_BYTES_MAX: usize = 500_000;
/// Bytes of one task row.
pub const TASK_BYTES_MAX: usize = 64 * 1024;
/// Tasks in one segment: a page read by key costs about 0.1 ms a task.
pub const SEGMENT_TASKS: u32 = 64;

/// How a compare-and-set ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Swap<T> {
    /// Our write is the one in force.
    Won,
    /// Somebody else's is; `None` when the row is gone.
    Lost(Option<T>),
}

/// A task without its chunk and manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskBrief {
    /// Its key.
    pub id: TaskId,
    /// Where it stands.
    pub state: StateName,
    /// Fencing number.
    pub epoch: u64,
    /// Its owner while a worker acts on it.
    pub worker: WorkerId,
    /// Attempts begun.
    pub attempts: u32,
    /// Deaths of owners.
    pub deaths: u32,
    /// Files of its chunk.
    pub files: u32,
    /// Bytes of those files.
    pub bytes: u64,
    /// Rows published.
    pub rows: u64,
    /// Cause of the last failure, or what hinders it while it is published.
    pub error: String,
    /// The pause before the next attempt is over.
    pub due: bool,
    /// Server time of the last change in milliseconds since 1970.
    pub changed_ms: i64,
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its key.
    pub id: WorkerId,
    /// How long its heartbeat holds, in milliseconds.
    pub lease_ms: u64,
    /// Units of concurrency.
    pub slots: u32,
    /// Version of the program.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// It takes no more tasks.
    pub draining: bool,
    /// Server time since its last heartbeat in milliseconds (an answer, not stored).
    pub age_ms: i64,
}

impl WorkerRecord {
    /// Has the lease lapsed by the server's clock?
    pub fn has_lapsed(&self) -> bool {
        self.age_ms > i64::try_from(self.lease_ms).unwrap_or(i64::MAX)
    }
}

/// Jobs, tasks, cursors and workers.
///
/// `swap_*` and `create_*` may be called again after an error: they read back and recognise their
/// own write. An error from them means the outcome is still unknown after all tries.
pub trait TaskStore: Send + Sync + 'static {
    /// All jobs and plans.
    fn jobs(&self) -> impl Future<Output = Stored<Vec<Job>>> + Send;
    /// One job.
    fn job(&self, id: &JobId) -> impl Future<Output = Stored<Option<Job>>> + Send;
    /// Writes a job row unless one is there; returns the one in force.
    fn create_job(&self, job: &Job) -> impl Future<Output = Stored<Job>> + Send;
    /// Replaces `was` by `next` if `was` is still in force.
    fn swap_job(&self, was: &Job, next: &Job) -> impl Future<Output = Stored<Swap<Job>>> + Send;

    /// Writes tasks that are not there yet, in bounded requests; those that are there stay as they are.
    fn create_tasks(&self, tasks: &[Task]) -> impl Future<Output = Stored<()>> + Send;
    /// The encoded chunks of some tasks by key, in order of key; those that are missing are left out.
    fn chunks(&self, ids: &[TaskId])
    -> impl Future<Output = Stored<Vec<(TaskId, Vec<u8>)>>> + Send;
    /// Removes tasks while the row of their job is exactly `job`; false when it is another by now:
    /// rows that were made since stay.
    ///
    /// For a job that nobody acts on any more: nothing here looks at the states of the tasks.
    fn remove_tasks(&self, job: &Job, ids: &[TaskId]) -> impl Future<Output = Stored<bool>> + Send;
    /// Removes the cursor and then the row of a job that is exactly `job`, whose tasks are removed;
    /// false when the row is another by now.
    fn remove_job(&self, job: &Job) -> impl Future<Output = Stored<bool>> + Send;
    /// One task, whole.
    fn task(&self, id: &TaskId) -> impl Future<Output = Stored<Option<Task>>> + Send;
    /// Some tasks by key, in order of key; those that are missing are left out.
    fn briefs(&self, ids: &[TaskId]) -> impl Future<Output = Stored<Vec<TaskBrief>>> + Send;
    /// Replaces `was` by `next` if `was` is still in force.
    fn swap_task(&self, was: &Task, next: &Task)
    -> impl Future<Output = Stored<Swap<Task>>> + Send;

    /// Notes on the row of a task what hinders it, for people; an empty text takes it back.
    ///
    /// No state changes, so epoch and stamp stay, and nobody who acts on the task is disturbed. A
    /// row that is not exactly `task` any more is left alone. The next change of the task takes
    /// the note away. It shows as the error of a [`TaskBrief`].
    fn tell(&self, task: &Task, words: &str) -> impl Future<Output = Stored<()>> + Send;

    /// The cursor of a job.
    fn cursor(&self, job: &JobId) -> impl Future<Output = Stored<Option<Cursor>>> + Send;
    /// Writes a cursor row unless one is there; returns the one in force.
    fn create_cursor(&self, cursor: &Cursor) -> impl Future<Output = Stored<Cursor>> + Send;
    /// Replaces `was` by `next` if `was` is still in force.
    fn swap_cursor(
        &self,
        was: &Cursor,
        next: &Cursor,
    ) -> impl Future<Output = Stored<Swap<Cursor>>> + Send;

    /// Registers a worker; must be done before its first claim. One that is registered stays as it
    /// is: only a beat renews a lease.
    fn register(&self, worker: &WorkerRecord) -> impl Future<Output = Stored<()>> + Send;
    /// Renews a lease with the server's clock; false when the row is gone: the lease is lost.
    fn beat(&self, id: &WorkerId, draining: bool) -> impl Future<Output = Stored<bool>> + Send;
    /// One worker.
    fn worker(&self, id: &WorkerId) -> impl Future<Output = Stored<Option<WorkerRecord>>> + Send;
    /// All workers.
    fn workers(&self) -> impl Future<Output = Stored<Vec<WorkerRecord>>> + Send;
    /// Removes a worker that left or lapsed long ago.
    fn remove_worker(&self, id: &WorkerId) -> impl Future<Output = Stored<()>> + Send;
}

/// The ids of the tasks in one segment of a job.
pub fn segment_tasks(job: &Job, segment: Segment) -> Vec<TaskId> {
    let first = segment.saturating_mul(job.segment_tasks);
    let end = first.saturating_add(job.segment_tasks).min(job.tasks);
    (first..end).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect()
}
