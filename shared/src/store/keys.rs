//! Every row layout of the control tables, and the codecs between rows and the task module's types.
//!
//! | table   | key             | value                                            |
//! |---------|-----------------|--------------------------------------------------|
//! | meta    | fact name       | text; of `target/…` a lock, see `locks`          |
//! | jobs    | job id          | state, epoch, stamp, spec (JSON), sums           |
//! | tasks   | job id-ordinal  | state, epoch, stamp, owner, chunk, manifest, …   |
//! | cursors | job id          | epoch, stamp, frontier, finished bits (hex), sums|
//! | workers | worker id       | heartbeat (server clock), lease, slots, …        |
//!
//! Rows carry the lowest version of their layout that understands them; one beyond [`FORMAT`] is refused.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{StoreError, Stored, TaskBrief};
use crate::pack::{pack, unpack};
use crate::task::{
    Epoch, FORMAT, FORMAT_FIRST, Job, JobSpec, JobState, Manifest, Owner, Progress, Stamp,
    StateName, Task, TaskId, TaskState, WorkerId,
};

pub(super) fn check_format(format: u8) -> Stored<()> {
    let is_known = (FORMAT_FIRST..=FORMAT).contains(&format);
    if is_known { Ok(()) } else { Err(StoreError::record(format!("layout version {format}"))) }
}

/// A job as selected.
#[derive(Debug, Deserialize, Row)]
pub(super) struct JobRow {
    job_id: String,
    format: u8,
    state: String,
    epoch: u64,
    stamp: String,
    spec: String,
    target: String,
    tasks: u32,
    segment_tasks: u32,
    files: u64,
    bytes: u64,
    reason: String,
    created_ms: i64,
    submitted_ms: i64,
    ended_ms: i64,
}

impl JobRow {
    /// Its key, whatever else it holds.
    pub(super) fn id(&self) -> &str {
        &self.job_id
    }
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;
    fn try_from(row: JobRow) -> Stored<Self> {
        check_format(row.format)?;
        let _ = row.target;
        Ok(Self {
            id: row.job_id.parse().map_err(StoreError::record)?,
            state: JobState::parse(&row.state)
                .ok_or_else(|| StoreError::record(row.state.as_str()))?,
            epoch: Epoch(row.epoch),
            stamp: Stamp(row.stamp),
            spec: serde_json::from_str(&row.spec).map_err(StoreError::record)?,
            tasks: row.tasks,
            segment_tasks: row.segment_tasks,
            files: row.files,
            bytes: row.bytes,
            reason: row.reason,
            created_ms: row.created_ms,
            submitted_ms: row.submitted_ms,
            ended_ms: row.ended_ms,
        })
    }
}

/// A spec as stored.
pub(super) fn spec_text(spec: &JobSpec) -> String {
    serde_json::to_string(spec).expect("a spec is plain JSON")
}

/// A job as inserted; times are DateTime64(3).
#[derive(Debug, Serialize, Row)]
pub(super) struct NewJobRow {
    job_id: String,
    format: u8,
    state: String,
    epoch: u64,
    stamp: String,
    spec: String,
    target: String,
    tasks: u32,
    segment_tasks: u32,
    files: u64,
    bytes: u64,
    reason: String,
    created_at: i64,
    submitted_at: i64,
    ended_at: i64,
}

impl From<&Job> for NewJobRow {
    fn from(job: &Job) -> Self {
        Self {
            job_id: job.id.to_string(),
            format: job.format(),
            state: job.state.as_str().to_owned(),
            epoch: job.epoch.0,
            stamp: job.stamp.0.clone(),
            spec: spec_text(&job.spec),
            target: job.spec.target.to_string(),
            tasks: job.tasks,
            segment_tasks: job.segment_tasks,
            files: job.files,
            bytes: job.bytes,
            reason: job.reason.clone(),
            created_at: job.created_ms,
            submitted_at: job.submitted_ms,
            ended_at: job.ended_ms,
        }
    }
}

/// A task as selected.
#[derive(Debug, Deserialize, Row)]
pub(super) struct TaskRow {
    task_id: String,
    format: u8,
    state: String,
    epoch: u64,
    stamp: String,
    worker: String,
    endpoint: String,
    attempts: u32,
    deaths: u32,
    not_before_ms: i64,
    #[serde(with = "serde_bytes")]
    chunk: Vec<u8>,
    files: u32,
    bytes: u64,
    #[serde(with = "serde_bytes")]
    manifest: Vec<u8>,
    rows: u64,
    error: String,
    changed_ms: i64,
}

impl TryFrom<TaskRow> for Task {
    type Error = StoreError;
    fn try_from(row: TaskRow) -> Stored<Self> {
        check_format(row.format)?;
        let owner = Owner { worker: WorkerId(row.worker), endpoint: row.endpoint };
        let manifest = |bytes: &[u8]| unpack::<Manifest>(bytes);
        let state = match StateName::parse(&row.state)
            .ok_or_else(|| StoreError::record(row.state.as_str()))?
        {
            StateName::Pending => TaskState::Pending {
                delay_ms: u64::try_from(row.not_before_ms - row.changed_ms).unwrap_or(0),
                error: row.error,
            },
            StateName::Claimed => TaskState::Claimed { owner },
            StateName::Publishing => {
                TaskState::Publishing { owner, manifest: manifest(&row.manifest)? }
            }
            StateName::Done => TaskState::Done { rows: row.rows },
            StateName::Failed => TaskState::Failed { error: row.error },
            StateName::Quarantined => {
                TaskState::Quarantined { manifest: manifest(&row.manifest)?, error: row.error }
            }
        };
        Ok(Self {
            id: row.task_id.parse().map_err(StoreError::record)?,
            progress: Progress {
                state,
                epoch: Epoch(row.epoch),
                attempts: row.attempts,
                deaths: row.deaths,
            },
            stamp: Stamp(row.stamp),
            chunk: row.chunk,
            files: row.files,
            bytes: row.bytes,
            changed_ms: row.changed_ms,
        })
    }
}

/// The changing columns of a task, flat.
#[derive(Debug, Default)]
pub(super) struct TaskFields {
    pub(super) state: &'static str,
    pub(super) worker: String,
    pub(super) endpoint: String,
    pub(super) delay_ms: u64,
    pub(super) manifest: Vec<u8>,
    pub(super) rows: u64,
    pub(super) error: String,
}

impl From<&TaskState> for TaskFields {
    fn from(state: &TaskState) -> Self {
        let mut fields = Self { state: state.name().as_str(), ..Self::default() };
        if let Some(owner) = state.owner() {
            fields.worker = owner.worker.0.clone();
            fields.endpoint = owner.endpoint.clone();
        }
        match state {
            TaskState::Claimed { .. } => {}
            TaskState::Pending { delay_ms, error } => {
                fields.delay_ms = *delay_ms;
                fields.error = error.clone();
            }
            TaskState::Publishing { manifest, .. } => fields.manifest = pack(manifest),
            TaskState::Done { rows } => fields.rows = *rows,
            TaskState::Failed { error } => fields.error = error.clone(),
            TaskState::Quarantined { manifest, error } => {
                fields.manifest = pack(manifest);
                fields.error = error.clone();
            }
        }
        fields
    }
}

/// A task as inserted by the planner.
#[derive(Debug, Serialize, Row)]
pub(super) struct NewTaskRow {
    task_id: String,
    format: u8,
    state: String,
    epoch: u64,
    stamp: String,
    worker: String,
    endpoint: String,
    attempts: u32,
    deaths: u32,
    not_before: i64,
    #[serde(with = "serde_bytes")]
    chunk: Vec<u8>,
    files: u32,
    bytes: u64,
    manifest: String,
    rows: u64,
    error: String,
    changed_at: i64,
}

impl NewTaskRow {
    /// About what the row costs in a request to Keeper: the path and overhead included.
    pub(super) fn weight(&self) -> usize {
        self.chunk.len() + 400
    }
}

impl From<&Task> for NewTaskRow {
    fn from(task: &Task) -> Self {
        let fields = TaskFields::from(&task.progress.state);
        Self {
            task_id: task.id.to_string(),
            format: FORMAT_FIRST,
            state: fields.state.to_owned(),
            epoch: task.progress.epoch.0,
            stamp: task.stamp.0.clone(),
            worker: String::new(),
            endpoint: String::new(),
            attempts: task.progress.attempts,
            deaths: task.progress.deaths,
            not_before: 0,
            chunk: task.chunk.clone(),
            files: task.files,
            bytes: task.bytes,
            manifest: String::new(),
            rows: 0,
            error: String::new(),
            changed_at: 0,
        }
    }
}

/// What a task loads, as selected.
#[derive(Debug, Deserialize, Row)]
pub(super) struct ChunkRow {
    task_id: String,
    #[serde(with = "serde_bytes")]
    chunk: Vec<u8>,
}

impl ChunkRow {
    /// Key and encoded chunk.
    pub(super) fn into_parts(self) -> Stored<(TaskId, Vec<u8>)> {
        Ok((self.task_id.parse().map_err(StoreError::record)?, self.chunk))
    }
}

/// A task without its chunk and manifest, as selected.
#[derive(Debug, Deserialize, Row)]
pub(super) struct BriefRow {
    task_id: String,
    state: String,
    epoch: u64,
    worker: String,
    attempts: u32,
    deaths: u32,
    files: u32,
    bytes: u64,
    rows: u64,
    error: String,
    due: bool,
    changed_ms: i64,
}

impl TryFrom<BriefRow> for TaskBrief {
    type Error = StoreError;
    fn try_from(row: BriefRow) -> Stored<Self> {
        Ok(Self {
            id: row.task_id.parse().map_err(StoreError::record)?,
            state: StateName::parse(&row.state)
                .ok_or_else(|| StoreError::record(row.state.as_str()))?,
            epoch: row.epoch,
            worker: WorkerId(row.worker),
            attempts: row.attempts,
            deaths: row.deaths,
            files: row.files,
            bytes: row.bytes,
            rows: row.rows,
            error: row.error,
            due: row.due,
            changed_ms: row.changed_ms,
        })
    }
}
