//! The store in memory, for tests of the protocol: exact semantics, and mishaps on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{StoreError, Stored, Swap, TaskBrief, TaskStore, WorkerRecord};
use crate::clickhouse::{Code, Failure};
use crate::task::{Cursor, Job, JobId, Lock, Stamp, TableName, Task, TaskId, TaskState, WorkerId};

/// What goes wrong with one of the next compare-and-sets of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The write is applied and the caller gets an error all the same.
    AppliedThenError,
    /// The write is lost and the caller gets an error.
    LostThenError,
}

/// A store in memory. Time stands still unless a test moves it.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) locks: BTreeMap<TableName, Lock>,
    pub(super) dry_runs: BTreeSet<JobId>,
    jobs: BTreeMap<JobId, Job>,
    tasks: BTreeMap<TaskId, Task>,
    /// What hinders a task, with the stamp of the row that it was noted on.
    told: BTreeMap<TaskId, (Stamp, String)>,
    cursors: BTreeMap<JobId, Cursor>,
    workers: BTreeMap<WorkerId, (WorkerRecord, i64)>,
    mishaps: VecDeque<Mishap>,
    now_ms: i64,
}

impl Inner {
    /// With what is noted on its row.
    fn noted(&self, brief: TaskBrief) -> TaskBrief {
        let stamp = self.tasks.get(&brief.id).map(|task| &task.stamp);
        match self.told.get(&brief.id) {
            Some((noted, words)) if Some(noted) == stamp => {
                TaskBrief { error: words.clone(), ..brief }
            }
            _ => brief,
        }
    }
}

impl MemoryStore {
    /// Moves the clock.
    pub fn advance(&self, ms: i64) {
        self.lock().now_ms += ms;
    }

    /// Lets the next compare-and-sets of tasks go wrong, one each.
    pub fn plan_mishaps(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.lock().mishaps.extend(mishaps);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn swap<K: Ord, T: Clone>(
    rows: &mut BTreeMap<K, T>,
    key: &K,
    holds: impl FnOnce(&T) -> bool,
    stamp: fn(&T) -> &Stamp,
    next: T,
) -> Swap<T> {
    match rows.get_mut(key) {
        // The caller's own write, sent again because its answer was lost.
        Some(row) if stamp(row) == stamp(&next) => Swap::Won,
        Some(row) if holds(row) => {
            *row = next;
            Swap::Won
        }
        found => Swap::Lost(found.map(|row| row.clone())),
    }
}

impl TaskStore for MemoryStore {
    async fn jobs(&self) -> Stored<Vec<Job>> {
        Ok(self.lock().jobs.values().cloned().collect())
    }

    async fn job(&self, id: &JobId) -> Stored<Option<Job>> {
        Ok(self.lock().jobs.get(id).cloned())
    }

    async fn create_job(&self, job: &Job) -> Stored<Job> {
        Ok(self.lock().jobs.entry(job.id.clone()).or_insert_with(|| job.clone()).clone())
    }

    async fn swap_job(&self, was: &Job, next: &Job) -> Stored<Swap<Job>> {
        let holds = |row: &Job| row.epoch == was.epoch && row.stamp == was.stamp;
        Ok(swap(&mut self.lock().jobs, &was.id, holds, |row| &row.stamp, next.clone()))
    }

    async fn create_tasks(&self, tasks: &[Task]) -> Stored<()> {
        let mut inner = self.lock();
        for task in tasks {
            inner.tasks.entry(task.id.clone()).or_insert_with(|| task.clone());
        }
        Ok(())
    }

    async fn chunks(&self, ids: &[TaskId]) -> Stored<Vec<(TaskId, Vec<u8>)>> {
        let inner = self.lock();
        let chunk = |id: &TaskId| Some((id.clone(), inner.tasks.get(id)?.chunk.clone()));
        let mut chunks: Vec<_> = ids.iter().filter_map(chunk).collect();
        chunks.sort();
        Ok(chunks)
    }

    async fn remove_tasks(&self, job: &Job, ids: &[TaskId]) -> Stored<bool> {
        let mut inner = self.lock();
        let is_same = inner.jobs.get(&job.id).is_some_and(|now| now.stamp == job.stamp);
        if is_same {
            inner.tasks.retain(|id, _| !ids.contains(id));
        }
        Ok(is_same)
    }

    async fn remove_job(&self, job: &Job) -> Stored<bool> {
        let mut inner = self.lock();
        let is_same = inner.jobs.get(&job.id).is_none_or(|now| now.stamp == job.stamp);
        if is_same && inner.jobs.remove(&job.id).is_some() {
            inner.cursors.remove(&job.id);
        }
        Ok(is_same)
    }

    async fn task(&self, id: &TaskId) -> Stored<Option<Task>> {
        Ok(self.lock().tasks.get(id).cloned())
    }

    async fn briefs(&self, ids: &[TaskId]) -> Stored<Vec<TaskBrief>> {
        let inner = self.lock();
        let mut ids = ids.to_vec();
        ids.sort();
        Ok(ids
            .iter()
            .filter_map(|id| inner.tasks.get(id))
            .map(|task| inner.noted(brief(task, inner.now_ms)))
            .collect())
    }

    async fn swap_task(&self, was: &Task, next: &Task) -> Stored<Swap<Task>> {
        let mut inner = self.lock();
        // Read-back hides what a lost or late answer would say, so a mishap only shows as the
        // error of a caller that gave up; the row tells the truth to whoever reads it next.
        let mishap = inner.mishaps.pop_front();
        if mishap == Some(Mishap::LostThenError) {
            return Err(StoreError::Failure(Failure::server(
                "memory",
                Code::KEEPER_EXCEPTION,
                "Connection loss",
            )));
        }
        let next = Task { changed_ms: inner.now_ms, ..next.clone() };
        let holds = |row: &Task| row.progress.epoch == was.progress.epoch && row.stamp == was.stamp;
        let outcome = swap(&mut inner.tasks, &was.id, holds, |row| &row.stamp, next);
        if mishap == Some(Mishap::AppliedThenError) {
            return Err(StoreError::Failure(Failure::server(
                "memory",
                Code::KEEPER_EXCEPTION,
                "Connection loss",
            )));
        }
        Ok(outcome)
    }

    async fn tell(&self, task: &Task, words: &str) -> Stored<()> {
        let mut inner = self.lock();
        let is_owned = task.progress.state.name().is_owned();
        if is_owned && inner.tasks.get(&task.id).is_some_and(|row| row.stamp == task.stamp) {
            inner.told.insert(task.id.clone(), (task.stamp.clone(), words.to_owned()));
        }
        Ok(())
    }

    async fn cursor(&self, job: &JobId) -> Stored<Option<Cursor>> {
        Ok(self.lock().cursors.get(job).cloned())
    }

    async fn create_cursor(&self, cursor: &Cursor) -> Stored<Cursor> {
        let mut inner = self.lock();
        Ok(inner.cursors.entry(cursor.job.clone()).or_insert_with(|| cursor.clone()).clone())
    }

    async fn swap_cursor(&self, was: &Cursor, next: &Cursor) -> Stored<Swap<Cursor>> {
        let holds = |row: &Cursor| row.epoch == was.epoch && row.stamp == was.stamp;
        Ok(swap(&mut self.lock().cursors, &was.job, holds, |row| &row.stamp, next.clone()))
    }

    async fn register(&self, worker: &WorkerRecord) -> Stored<()> {
        let mut inner = self.lock();
        let now = inner.now_ms;
        // As in Keeper, where the row that is there stays: only a beat renews a lease.
        inner.workers.entry(worker.id.clone()).or_insert_with(|| (worker.clone(), now));
        Ok(())
    }

    async fn beat(&self, id: &WorkerId, draining: bool) -> Stored<bool> {
        let mut inner = self.lock();
        let now = inner.now_ms;
        Ok(inner.workers.get_mut(id).is_some_and(|(worker, beat)| {
            worker.draining = draining;
            *beat = now;
            true
        }))
    }

    async fn worker(&self, id: &WorkerId) -> Stored<Option<WorkerRecord>> {
        let inner = self.lock();
        Ok(inner.workers.get(id).map(|(worker, beat)| aged(worker, inner.now_ms - beat)))
    }

    async fn workers(&self) -> Stored<Vec<WorkerRecord>> {
        let inner = self.lock();
        Ok(inner.workers.values().map(|(worker, beat)| aged(worker, inner.now_ms - beat)).collect())
    }

    async fn remove_worker(&self, id: &WorkerId) -> Stored<()> {
        self.lock().workers.remove(id);
        Ok(())
    }
}

fn aged(worker: &WorkerRecord, age_ms: i64) -> WorkerRecord {
    WorkerRecord { age_ms, ..worker.clone() }
}

fn brief(task: &Task, now_ms: i64) -> TaskBrief {
    let state = &task.progress.state;
    let (rows, error) = match state {
        TaskState::Done { rows } => (*rows, String::new()),
        TaskState::Pending { error, .. }
        | TaskState::Failed { error }
        | TaskState::Quarantined { error, .. } => (0, error.clone()),
        TaskState::Claimed { .. } | TaskState::Publishing { .. } => (0, String::new()),
    };
    let delay_ms = match state {
        TaskState::Pending { delay_ms, .. } => i64::try_from(*delay_ms).unwrap_or(i64::MAX),
        _ => 0,
    };
    TaskBrief {
        id: task.id.clone(),
        state: state.name(),
        epoch: task.progress.epoch.0,
        worker: state.owner().map(|owner| owner.worker.clone()).unwrap_or_default(),
        attempts: task.progress.attempts,
        deaths: task.progress.deaths,
        files: task.files,
        bytes: task.bytes,
        rows,
        error,
        due: task.changed_ms.saturating_add(delay_ms) <= now_ms,
        changed_ms: task.changed_ms,
    }
}
