//! Jobs and tasks for the suite, and what its parts do with them.

use crate::schema::{Graph, GraphTable};
use crate::store::{Swap, TaskStore};
use crate::task::{
    Chunk, Epoch, FilesSource, Job, JobId, JobSpec, JobState, Limits, Mode, Owner, Progress,
    Source, SourceFile, SourceFunction, Stamp, TableName, Task, TaskEvent, TaskId, Waived,
    WorkerId,
};

/// A plan of so many tasks with a random id, for tests of a store.
///
/// # Panics
/// Never: its texts are valid.
#[must_use]
pub fn job(tasks: u32) -> Job {
    let id = JobId::from_digest(uuid::Uuid::new_v4().as_bytes());
    let target: TableName = "db.`tä'ble`".parse().expect("a table name");
    let table = GraphTable {
        name: target.clone(),
        uuid: Some(uuid::Uuid::from_u128(10)),
        engine: "MergeTree".into(),
        definition: "CREATE TABLE `it's` (`a` String DEFAULT '\\'\\\\\\n')".into(),
        dependents: vec![target.clone()],
        shadow: None,
    };
    let source = FilesSource {
        function: SourceFunction::S3,
        base: "http://host/".into(),
        named_collection: Some("collection".into()),
        strip: "bucket/".into(),
        suffix: String::new(),
        container: None,
        format: "Parquet".into(),
        structure: "`a` String".into(),
        outputs: Vec::new(),
        left_out: Vec::new(),
        own: Vec::new(),
        settings: std::collections::BTreeMap::new(),
        unseen: None,
        waived: Waived::default(),
    };
    let spec = JobSpec {
        source: Source::Files(source),
        mode: Mode::Staged,
        target,
        columns: vec!["a".into()],
        select: "a".into(),
        outputs: Vec::new(),
        filter: "a != 'x\ty'".into(),
        settings: [("max_threads".to_owned(), "2".to_owned())].into(),
        graph: Graph { tables: vec![table], views: Vec::new() },
        environment: "e".into(),
        limits: Limits::default(),
        publish: crate::task::Publish::default(),
        servers: Vec::new(),
        shard_by: None,
        durable: false,
        replicas_wait: crate::task::ReplicasWait::One,
        loads_max: None,
        audit_failed: None,
        made: crate::task::PlanOptions::default(),
        reopening: None,
    };
    Job {
        id,
        state: JobState::Planned,
        epoch: Epoch(0),
        stamp: Stamp::fresh(),
        spec,
        tasks,
        segment_tasks: 4,
        files: u64::from(tasks),
        bytes: u64::from(tasks) * 10,
        reason: String::new(),
        created_ms: 1_700_000_000_123,
        submitted_ms: 0,
        ended_ms: 0,
    }
}

pub(super) fn task_id(job: &Job, ordinal: u32) -> TaskId {
    TaskId { job: job.id.clone(), ordinal }
}

/// A task of that plan as the planner writes it: one file of 10 bytes.
#[must_use]
pub fn task(job: &Job, ordinal: u32) -> Task {
    let path = format!("bucket/it's {{{ordinal}}} \u{e4}\\.parquet");
    let chunk = Chunk::of_files(vec![SourceFile::listed(path, 10, "e")]);
    Task {
        id: task_id(job, ordinal),
        progress: Progress::planned(),
        stamp: Stamp::fresh(),
        chunk: chunk.encode(),
        files: 1,
        bytes: chunk.bytes(),
        changed_ms: 0,
    }
}

/// A job with its tasks in the store.
pub(super) async fn stored_tasks(store: &impl TaskStore, count: u32) -> (Job, Vec<Task>) {
    let job = job(count);
    let tasks: Vec<Task> = (0..count).map(|ordinal| task(&job, ordinal)).collect();
    store.create_tasks(&tasks).await.expect("tasks are created");
    (job, tasks)
}

pub(super) fn owner(name: &str) -> Owner {
    Owner { worker: WorkerId(name.to_owned()), endpoint: "http://127.0.0.1:8123".into() }
}

/// The task after an event, as a writer would send it.
pub(super) fn after(task: &Task, event: &TaskEvent) -> Task {
    let progress = task.progress.next(event).expect("a legal event");
    Task { progress, stamp: Stamp::fresh(), ..task.clone() }
}

/// Swaps in what the event makes of the task, and reads it back.
pub(super) async fn advance(store: &impl TaskStore, was: &Task, event: &TaskEvent) -> Task {
    let next = after(was, event);
    assert_eq!(store.swap_task(was, &next).await.expect("swap"), Swap::Won, "{event:?}");
    let found = fetch(store, &was.id).await;
    assert_eq!(without_time(&found), without_time(&next), "read back after {event:?}");
    found
}

pub(super) async fn fetch(store: &impl TaskStore, id: &TaskId) -> Task {
    store.task(id).await.expect("read").expect("the task is there")
}

/// The store stamps the time of a change itself.
pub(super) fn without_time(task: &Task) -> Task {
    Task { changed_ms: 0, ..task.clone() }
}
