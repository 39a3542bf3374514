//! The store on KeeperMap tables of a real server.

use std::sync::Arc;

use backon::BackoffBuilder;

use super::handle::{KeeperMapStore, ReadBack, Stamped, settle_insert};
use super::keys::{BriefRow, JobRow, NewJobRow, NewTaskRow, TaskFields, TaskRow, spec_text};
use super::rows::{CursorRow, WorkerRow, readable};
use super::{
    REQUEST_BYTES_MAX, REQUEST_ROWS_MAX, StoreError, Stored, Swap, TASK_BYTES_MAX, TaskBrief,
    TaskStore, WorkerRecord, tell, whole,
};
use crate::clickhouse::{control_schedule, retry_idempotent};
use crate::hex::to_hex;
use crate::sql;
use crate::task::{Cursor, Job, JobId, JobState, Task, TaskId, WorkerId};

impl KeeperMapStore {
    async fn read_task(&self, id: &TaskId) -> Stored<Option<Task>> {
        let id = id.to_string();
        let row: Option<TaskRow> =
            retry_idempotent(|| self.call(sql::GET_TASK).param("task", &id).fetch_optional())
                .await?;
        row.map(Task::try_from).transpose()
    }

    async fn read_job(&self, id: &JobId) -> Stored<Option<Job>> {
        let row: Option<JobRow> =
            retry_idempotent(|| self.call(sql::GET_JOB).param("job", id).fetch_optional()).await?;
        row.map(Job::try_from).transpose()
    }

    async fn read_cursor(&self, job: &JobId) -> Stored<Option<Cursor>> {
        let row: Option<CursorRow> =
            retry_idempotent(|| self.call(sql::GET_CURSOR).param("job", job).fetch_optional())
                .await?;
        row.map(Cursor::try_from).transpose()
    }

    /// The same job, read anew only where its row has changed; none when it is gone.
    ///
    /// # Errors
    /// When the server or its Keeper cannot be asked.
    pub async fn refreshed(&self, job: &Arc<Job>) -> Stored<Option<Arc<Job>>> {
        let at = Stamped { table: "jobs", column: "job_id", key: job.id.as_str() };
        if self.stamp(at).await? == Some(job.stamp.0.clone()) {
            return Ok(Some(Arc::clone(job)));
        }
        Ok(self.read_job(&job.id).await?.map(Arc::new))
    }

    /// Inserts rows that may be there already: whoever is there stays.
    ///
    /// Not by [`settle_insert`], which is for one row: of these some may be there and others not. A
    /// strict insert is all or nothing, so OK says that none was there, and only an error makes us look.
    async fn insert_missing(&self, mut rows: Vec<&Task>) -> Stored<()> {
        let mut pauses = control_schedule().build();
        while !rows.is_empty() {
            let sent: Vec<NewTaskRow> = rows.iter().map(|task| NewTaskRow::from(*task)).collect();
            let answer = self.insert_strict("tasks", &sent).await;
            if answer.is_ok() {
                return Ok(());
            }
            // All or nothing, so either ours were applied or some were there before: look.
            let ids: Vec<TaskId> = rows.iter().map(|task| task.id.clone()).collect();
            let there: std::collections::HashSet<TaskId> =
                self.briefs(&ids).await?.into_iter().map(|brief| brief.id).collect();
            let missing = rows.len();
            rows.retain(|task| !there.contains(&task.id));
            if rows.len() < missing {
                // Somebody else makes the same tasks; as long as that goes on, so do we.
                pauses = control_schedule().build();
            }
            match pauses.next() {
                Some(pause) if !rows.is_empty() => tokio::time::sleep(pause).await,
                _ if rows.is_empty() => {}
                _ => return answer,
            }
        }
        Ok(())
    }
}

impl TaskStore for KeeperMapStore {
    async fn jobs(&self) -> Stored<Vec<Job>> {
        let rows: Vec<JobRow> = retry_idempotent(|| self.call(sql::LIST_JOBS).fetch_all()).await?;
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    async fn job(&self, id: &JobId) -> Stored<Option<Job>> {
        self.read_job(id).await
    }

    async fn create_job(&self, job: &Job) -> Stored<Job> {
        let row = NewJobRow::from(job);
        let send = || self.insert_strict("jobs", std::slice::from_ref(&row));
        settle_insert(&job.id, send, || self.read_job(&job.id)).await
    }

    async fn swap_job(&self, was: &Job, next: &Job) -> Stored<Swap<Job>> {
        // A job that goes on after a pause keeps the time of its first submit.
        let mark = match (was.state, next.state) {
            (JobState::Planned, JobState::Running) => "submitted",
            (was, next) if was != next && next.is_terminal() => "ended",
            (was, JobState::Reopening) if was.is_terminal() => "reopened",
            _ => "",
        };
        // It may be large, and hardly ever changes.
        let is_same_spec = next.spec == was.spec;
        let spec = if is_same_spec { String::new() } else { spec_text(&next.spec) };
        let send = || {
            self.write(sql::SWAP_JOB)
                .param("format", next.format())
                .param("state", next.state.as_str())
                .param("epoch", next.epoch)
                .param("stamp", &next.stamp.0)
                .param("reason", &next.reason)
                .param("is_over", mark == "ended")
                .leave("state", next.state == was.state)
                .leave("epoch", next.epoch == was.epoch)
                .leave("reason", next.reason == was.reason)
                .leave("tasks", next.tasks == was.tasks)
                .leave("files", next.files == was.files)
                .leave("bytes", next.bytes == was.bytes)
                .leave("spec", is_same_spec)
                .leave("submitted_at", mark != "submitted")
                .leave("ended_at", !matches!(mark, "ended" | "reopened"))
                .param("tasks", next.tasks)
                .param("files", next.files)
                .param("bytes", next.bytes)
                .param("spec", &spec)
                .param("job", &was.id)
                .param("was_epoch", was.epoch)
                .param("was_stamp", &was.stamp.0)
        };
        let at = Stamped { table: "jobs", column: "job_id", key: was.id.as_str() };
        let back = || Box::pin(self.read_job(&was.id)) as ReadBack<'_, Job>;
        self.settle_swap(&was.stamp.0, &next.stamp.0, send, Some(at), back, |job| &job.stamp.0)
            .await
    }

    async fn create_tasks(&self, tasks: &[Task]) -> Stored<()> {
        let mut batch: Vec<&Task> = Vec::new();
        let mut batch_bytes = 0;
        for task in tasks {
            let weight = NewTaskRow::from(task).weight();
            check_size(&task.id, weight)?;
            if batch.len() == REQUEST_ROWS_MAX || batch_bytes + weight > REQUEST_BYTES_MAX {
                self.insert_missing(std::mem::take(&mut batch)).await?;
                batch_bytes = 0;
            }
            batch.push(task);
            batch_bytes += weight;
        }
        self.insert_missing(batch).await
    }

    async fn chunks(&self, ids: &[TaskId]) -> Stored<Vec<(TaskId, Vec<u8>)>> {
        whole::chunks(self, ids).await
    }

    async fn remove_tasks(&self, job: &Job, ids: &[TaskId]) -> Stored<bool> {
        whole::remove_tasks(self, job, ids).await
    }

    async fn remove_job(&self, job: &Job) -> Stored<bool> {
        whole::remove_job(self, job).await
    }

    async fn task(&self, id: &TaskId) -> Stored<Option<Task>> {
        self.read_task(id).await
    }

    async fn briefs(&self, ids: &[TaskId]) -> Stored<Vec<TaskBrief>> {
        let mut briefs = Vec::with_capacity(ids.len());
        for page in ids.chunks(REQUEST_ROWS_MAX) {
            let keys: Vec<String> = page.iter().map(ToString::to_string).collect();
            let rows: Vec<BriefRow> =
                retry_idempotent(|| self.call(sql::LIST_TASKS).list("tasks", &keys).fetch_all())
                    .await?;
            for row in rows {
                briefs.push(TaskBrief::try_from(row)?);
            }
        }
        briefs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(briefs)
    }

    async fn swap_task(&self, was: &Task, next: &Task) -> Stored<Swap<Task>> {
        let fields = TaskFields::from(&next.progress.state);
        // What every writer of the row made of the state that it had: the stamp tells that it is still that.
        let had = TaskFields::from(&was.progress.state);
        check_size(&next.id, fields.manifest.len() + next.chunk.len() + fields.error.len() + 400)?;
        let manifest = to_hex(&fields.manifest);
        let id = was.id.to_string();
        let send = || {
            self.write(sql::SWAP_TASK)
                .param("format", next.format())
                .param("state", fields.state)
                .param("epoch", next.progress.epoch)
                .param("stamp", &next.stamp.0)
                .param("worker", &fields.worker)
                .param("endpoint", &fields.endpoint)
                .param("attempts", next.progress.attempts)
                .param("deaths", next.progress.deaths)
                .param("delay_ms", fields.delay_ms)
                .param("manifest", &manifest)
                .param("rows", fields.rows)
                .param("error", &fields.error)
                .leave("worker", fields.worker == had.worker)
                .leave("endpoint", fields.endpoint == had.endpoint)
                .leave("attempts", next.progress.attempts == was.progress.attempts)
                .leave("deaths", next.progress.deaths == was.progress.deaths)
                .leave("manifest", fields.manifest == had.manifest)
                .leave("rows", fields.rows == had.rows)
                .param("task", &id)
                .param("was_epoch", was.progress.epoch)
                .param("was_stamp", &was.stamp.0)
        };
        let at = Stamped { table: "tasks", column: "task_id", key: &id };
        let back = || Box::pin(self.read_task(&was.id)) as ReadBack<'_, Task>;
        self.settle_swap(&was.stamp.0, &next.stamp.0, send, Some(at), back, |task| &task.stamp.0)
            .await
    }

    async fn tell(&self, task: &Task, words: &str) -> Stored<()> {
        tell::tell(self, task, words).await
    }

    async fn cursor(&self, job: &JobId) -> Stored<Option<Cursor>> {
        self.read_cursor(job).await
    }

    async fn create_cursor(&self, cursor: &Cursor) -> Stored<Cursor> {
        let row = CursorRow::from(cursor);
        let send = || self.insert_strict("cursors", std::slice::from_ref(&row));
        settle_insert(&cursor.job, send, || self.read_cursor(&cursor.job)).await
    }

    async fn swap_cursor(&self, was: &Cursor, next: &Cursor) -> Stored<Swap<Cursor>> {
        let (row, had) = (CursorRow::from(next), CursorRow::from(was));
        let send = || {
            self.write(sql::SWAP_CURSOR)
                .leave("epoch", row.epoch == had.epoch)
                .leave("frontier", row.frontier == had.frontier)
                .leave("finished", row.finished == had.finished)
                .leave("done", row.done == had.done)
                .leave("failed", row.failed == had.failed)
                .leave("quarantined", row.quarantined == had.quarantined)
                .leave("rows", row.rows == had.rows)
                .leave("bytes", row.bytes == had.bytes)
                .param("epoch", row.epoch)
                .param("stamp", &row.stamp)
                .param("frontier", row.frontier)
                .param("finished", &row.finished)
                .param("done", row.done)
                .param("failed", row.failed)
                .param("quarantined", row.quarantined)
                .param("rows", row.rows)
                .param("bytes", row.bytes)
                .param("job", &was.job)
                .param("was_epoch", was.epoch)
                .param("was_stamp", &was.stamp.0)
        };
        let back = || Box::pin(self.read_cursor(&was.job)) as ReadBack<'_, Cursor>;
        self.settle_swap(&was.stamp.0, &next.stamp.0, send, None, back, |cursor| &cursor.stamp.0)
            .await
    }

    async fn register(&self, worker: &WorkerRecord) -> Stored<()> {
        let send = || async {
            let call = self.write(sql::INSERT_WORKER).param("worker", &worker.id);
            let call = call.param("lease_ms", worker.lease_ms).param("slots", worker.slots);
            let call = call.param("version", &worker.version).param("host", &worker.host);
            call.param("pid", worker.pid).execute().await?;
            Ok(())
        };
        settle_insert(&worker.id, send, || self.worker(&worker.id)).await?;
        Ok(())
    }

    async fn beat(&self, id: &WorkerId, draining: bool) -> Stored<bool> {
        // The caller decides how often to try. The update cannot make a removed row come back.
        let answer = self
            .write(sql::BEAT_WORKER)
            .param("worker", id)
            .param("draining", u8::from(draining))
            .execute()
            .await;
        answer?;
        let row: Option<WorkerRow> =
            self.call(sql::GET_WORKER).param("worker", id).fetch_optional().await?;
        Ok(row.is_some_and(|row| !WorkerRecord::from(row).has_lapsed()))
    }

    async fn worker(&self, id: &WorkerId) -> Stored<Option<WorkerRecord>> {
        let row: Option<WorkerRow> =
            retry_idempotent(|| self.call(sql::GET_WORKER).param("worker", id).fetch_optional())
                .await?;
        Ok(row.map(WorkerRecord::from))
    }

    async fn workers(&self) -> Stored<Vec<WorkerRecord>> {
        let rows: Vec<WorkerRow> =
            retry_idempotent(|| self.call(sql::LIST_WORKERS).fetch_all()).await?;
        Ok(rows.into_iter().map(WorkerRecord::from).collect())
    }

    async fn remove_worker(&self, id: &WorkerId) -> Stored<()> {
        // A heartbeat that is on its way changes the row between the look and the removal.
        retry_idempotent(|| self.write(sql::DELETE_WORKER).param("worker", id).execute()).await?;
        Ok(())
    }
}

fn check_size(id: &TaskId, bytes: usize) -> Stored<()> {
    if bytes <= TASK_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::TooLarge { what: format!("task {id}"), bytes, limit: TASK_BYTES_MAX })
}
