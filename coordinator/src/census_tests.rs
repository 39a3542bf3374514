//! Counting on the memory store, and that counting reads no more than the open segments.

use std::collections::BTreeMap;

use super::*;
use longshore_shared::schema::Graph;
use longshore_shared::store::MemoryStore;
use longshore_shared::task::{
    Epoch, FilesSource, JobSpec, JobState, Limits, Mode, Owner, Progress, Source, SourceFunction,
    Stamp, TableName, Task, TaskState, Waived,
};

fn job(tasks: u32, segment_tasks: u32) -> Job {
    Job {
        id: "0123456789abcdef".parse().unwrap(),
        state: JobState::Running,
        epoch: Epoch(1),
        stamp: Stamp::fresh(),
        spec: JobSpec {
            source: Source::Files(FilesSource {
                function: SourceFunction::S3,
                base: "http://store/".into(),
                named_collection: None,
                strip: String::new(),
                suffix: String::new(),
                container: None,
                format: "Parquet".into(),
                structure: "id UInt64".into(),
                outputs: Vec::new(),
                left_out: Vec::new(),
                own: Vec::new(),
                settings: std::collections::BTreeMap::new(),
                unseen: None,
                waived: Waived::default(),
            }),
            mode: Mode::Staged,
            target: TableName { database: "db".into(), table: "t".into() },
            columns: vec!["id".into()],
            select: "id".into(),
            outputs: Vec::new(),
            filter: String::new(),
            settings: BTreeMap::new(),
            graph: Graph { tables: Vec::new(), views: Vec::new() },
            environment: "e".into(),
            limits: Limits::default(),
            publish: longshore_shared::task::Publish::default(),
            servers: Vec::new(),
            shard_by: None,
            durable: false,
            made: longshore_shared::task::PlanOptions::default(),
            replicas_wait: longshore_shared::task::ReplicasWait::One,
            loads_max: None,
            audit_failed: None,
            reopening: None,
        },
        tasks,
        segment_tasks,
        files: u64::from(tasks),
        bytes: u64::from(tasks) * 10,
        reason: String::new(),
        created_ms: 0,
        submitted_ms: 0,
        ended_ms: 0,
    }
}

fn task(job: &Job, ordinal: u32, state: TaskState) -> Task {
    Task {
        id: TaskId { job: job.id.clone(), ordinal },
        progress: Progress { state, ..Progress::planned() },
        stamp: Stamp::fresh(),
        chunk: Vec::new(),
        files: 1,
        bytes: 10,
        changed_ms: 0,
    }
}

fn pending() -> TaskState {
    Progress::planned().state
}

fn claimed(worker: &str) -> TaskState {
    let owner = Owner { worker: WorkerId(worker.into()), endpoint: "http://a".into() };
    TaskState::Claimed { owner }
}

/// Ten tasks in segments of four: the first is finished, the second is open, the third untouched.
async fn scene() -> (MemoryStore, Job) {
    let store = MemoryStore::default();
    let job = job(10, 4);
    let failed = || TaskState::Failed { error: "broken file".into() };
    let states = [
        TaskState::Done { rows: 5 },
        TaskState::Done { rows: 5 },
        failed(),
        TaskState::Done { rows: 5 },
        claimed("w"),
        TaskState::Done { rows: 7 },
        claimed("w"),
        pending(),
        pending(),
        pending(),
    ];
    let tasks: Vec<Task> =
        (0..).zip(states).map(|(ordinal, state)| task(&job, ordinal, state)).collect();
    store.create_tasks(&tasks).await.unwrap();
    let tally = Tally { done: 3, failed: 1, rows: 15, bytes: 30, ..Tally::default() };
    let cursor = Cursor::new(job.id.clone()).opened().opened().finishing(0, tally);
    store.create_cursor(&cursor).await.unwrap();
    (store, job)
}

#[tokio::test]
async fn adds_finished_segments_open_tasks_and_what_is_untouched() {
    let (store, job) = scene().await;
    let census = census(&store, &job).await.unwrap();
    let owners = BTreeMap::from([(WorkerId("w".into()), 2)]);
    let expected = Census {
        total: 10,
        pending: 3,
        claimed: 2,
        publishing: 0,
        done: 4,
        failed: 1,
        quarantined: 0,
        rows: 22,
        bytes: 40,
        owners,
        hindered: Vec::new(),
    };
    assert_eq!(census, expected);
    let counted: u64 = StateName::ALL.into_iter().map(|state| census.of(state)).sum();
    assert_eq!(counted, census.total);
}

#[tokio::test]
async fn a_plan_that_nobody_has_begun_is_all_pending() {
    let census = census(&MemoryStore::default(), &job(7, 4)).await.unwrap();
    assert_eq!((census.total, census.pending, census.done), (7, 7, 0));
}

#[tokio::test]
async fn the_last_segment_may_be_short() {
    let store = MemoryStore::default();
    let job = job(5, 4);
    let tasks: Vec<Task> = (0..5).map(|ordinal| task(&job, ordinal, pending())).collect();
    store.create_tasks(&tasks).await.unwrap();
    let cursor = Cursor::new(job.id.clone()).opened().opened();
    store.create_cursor(&cursor).await.unwrap();
    assert_eq!(census(&store, &job).await.unwrap().pending, 5);
}

#[tokio::test]
async fn finds_tasks_by_state_and_stops_at_the_limit() {
    let (store, job) = scene().await;
    let ordinals = |found: Vec<TaskBrief>| found.iter().map(|b| b.id.ordinal).collect::<Vec<_>>();
    let find = async |states: &[StateName], limit| {
        ordinals(find_tasks(&store, &job, states, limit).await.unwrap())
    };
    assert_eq!(find(&[StateName::Failed], 10).await, [2]);
    assert_eq!(find(&[StateName::Done], 2).await, [0, 1]);
    assert_eq!(find(&[StateName::Claimed, StateName::Failed], 10).await, [2, 4, 6]);
    assert_eq!(find(&[], 3).await, [0, 1, 2]);
    assert_eq!(find(&[], 100).await.len(), 10);
    assert!(find(&[StateName::Quarantined], 10).await.is_empty());
}

#[tokio::test]
async fn finds_tasks_that_a_condition_holds_for() {
    let (store, job) = scene().await;
    let find = async |states: &[StateName], from: u32, limit| {
        let holds = |brief: &TaskBrief| brief.id.ordinal >= from;
        let found = find_tasks_where(&store, &job, states, holds, limit).await.unwrap();
        found.iter().map(|brief| brief.id.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(find(&[], 8, 10).await, [8, 9]);
    assert_eq!(find(&[StateName::Claimed], 5, 10).await, [6]);
    assert_eq!(find(&[StateName::Done], 1, 1).await, [1]);
    assert!(find(&[], 10, 10).await.is_empty());
}
