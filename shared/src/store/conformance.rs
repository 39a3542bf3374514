//! What every store must do: one suite, run on memory and on KeeperMap.
//!
//! Each part makes jobs of its own with random ids, so the suite can run on a store that is in use
//! and parts cannot see each other. Nothing here waits for time to pass.

mod locks;
mod races;
mod records;
mod workers;

use std::sync::Arc;

use super::{LockStore, Swap, TaskStore};
use crate::schema::{Graph, GraphTable};
use crate::task::{
    Chunk, Epoch, FilesSource, Job, JobId, JobSpec, JobState, Limits, Mode, Owner, Progress,
    Source, SourceFile, SourceFunction, Stamp, TableName, Task, TaskEvent, TaskId, WorkerId,
};

/// Runs every part of the suite.
///
/// # Panics
/// When the store breaks a rule; the message names it.
pub async fn exercise(store: impl TaskStore + LockStore) {
    let store = Arc::new(store);
    records::jobs_are_made_once_and_swapped(&*store).await;
    records::tasks_are_made_once(&*store).await;
    records::briefs_come_by_key(&*store).await;
    records::every_state_is_read_back_as_it_was_written(&*store).await;
    records::a_note_changes_no_state_and_goes_with_the_next_change(&*store).await;
    records::a_pause_delays_a_task(&*store).await;
    records::a_stale_swap_loses(&*store).await;
    records::a_swap_recognises_its_own_write(&*store).await;
    records::cursors_count_finished_segments(&*store).await;
    records::chunks_come_by_key(&*store).await;
    records::a_job_is_removed_whole(&*store).await;
    workers::a_worker_lives_until_it_is_removed(&*store).await;
    races::one_of_many_creators_wins(&store).await;
    races::one_of_many_claims_wins(&store).await;
    races::a_take_over_fences_the_old_owner(&store).await;
    races::no_count_of_a_cursor_is_lost(&store).await;
    locks::a_lock_is_made_once_and_swapped(&*store).await;
    locks::one_of_many_takes_a_lock(&store).await;
    locks::a_dry_run_is_remembered(&*store).await;
}

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
        uuid: "a".into(),
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
        made: crate::task::Made::default(),
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

fn task_id(job: &Job, ordinal: u32) -> TaskId {
    TaskId { job: job.id.clone(), ordinal }
}

/// A task of that plan as the planner writes it: one file of 10 bytes.
#[must_use]
pub fn task(job: &Job, ordinal: u32) -> Task {
    let path = format!("bucket/it's {{{ordinal}}} \u{e4}\\.parquet");
    let chunk = Chunk::of_files(vec![SourceFile { path, size: 10, etag: "e".into() }]);
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
async fn stored_tasks(store: &impl TaskStore, count: u32) -> (Job, Vec<Task>) {
    let job = job(count);
    let tasks: Vec<Task> = (0..count).map(|ordinal| task(&job, ordinal)).collect();
    store.create_tasks(&tasks).await.expect("tasks are created");
    (job, tasks)
}

fn owner(name: &str) -> Owner {
    Owner { worker: WorkerId(name.to_owned()), endpoint: "http://127.0.0.1:8123".into() }
}

/// The task after an event, as a writer would send it.
fn after(task: &Task, event: &TaskEvent) -> Task {
    let progress = task.progress.next(event).expect("a legal event");
    Task { progress, stamp: Stamp::fresh(), ..task.clone() }
}

/// Swaps in what the event makes of the task, and reads it back.
async fn advance(store: &impl TaskStore, was: &Task, event: &TaskEvent) -> Task {
    let next = after(was, event);
    assert_eq!(store.swap_task(was, &next).await.expect("swap"), Swap::Won, "{event:?}");
    let found = fetch(store, &was.id).await;
    assert_eq!(without_time(&found), without_time(&next), "read back after {event:?}");
    found
}

async fn fetch(store: &impl TaskStore, id: &TaskId) -> Task {
    store.task(id).await.expect("read").expect("the task is there")
}

/// The store stamps the time of a change itself.
fn without_time(task: &Task) -> Task {
    Task { changed_ms: 0, ..task.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_passes_the_suite() {
        super::exercise(MemoryStore::default()).await;
    }
}
