//! A job and its tasks for tests of texts.

use std::collections::BTreeMap;

use longshore_shared::schema::{Graph, GraphTable, GraphView};
use longshore_shared::store::TaskBrief;
use longshore_shared::task::{
    Chunk, Epoch, FilesSource, Job, JobSpec, JobState, Limits, Mode, Progress, Source, SourceFile,
    SourceFunction, Stamp, StateName, TableName, Task, TaskId, TaskState, Waived, WorkerId,
};

use crate::census::Census;

const NOON_MS: i64 = 1_787_313_600_000;

fn table_name(table: &str) -> TableName {
    TableName { database: "demo".into(), table: table.into() }
}

fn graph_table(name: &str, engine: &str) -> GraphTable {
    GraphTable {
        name: table_name(name),
        uuid: None,
        engine: engine.into(),
        definition: String::new(),
        dependents: Vec::new(),
        shadow: None,
    }
}

/// 40 tasks for `demo.events` and one view.
pub(crate) fn job(state: JobState) -> Job {
    let view = GraphView {
        name: table_name("daily_mv"),
        source: table_name("events"),
        target: table_name("daily"),
        columns: Vec::new(),
        select: String::new(),
        gives_more: false,
    };
    let tables = vec![graph_table("events", "MergeTree"), graph_table("daily", "SummingMergeTree")];
    Job {
        id: "0123456789abcdef".parse().expect("16 hex digits"),
        state,
        epoch: Epoch(1),
        stamp: Stamp::fresh(),
        spec: JobSpec {
            source: Source::Files(FilesSource {
                function: SourceFunction::S3,
                base: "http://store:9000/".into(),
                named_collection: Some("lake".into()),
                strip: String::new(),
                suffix: String::new(),
                container: None,
                format: "Parquet".into(),
                structure: "id UInt64, day Date".into(),
                outputs: Vec::new(),
                left_out: Vec::new(),
                own: Vec::new(),
                settings: std::collections::BTreeMap::new(),
                unseen: None,
                waived: Waived::default(),
            }),
            mode: Mode::Staged,
            target: table_name("events"),
            columns: vec!["id".into(), "day".into()],
            select: "id, day".into(),
            outputs: Vec::new(),
            filter: "id > 0".into(),
            settings: BTreeMap::from([("max_threads".into(), "4".into())]),
            graph: Graph { tables, views: vec![view] },
            environment: "e1".into(),
            limits: Limits::default(),
            publish: longshore_shared::task::Publish::default(),
            servers: Vec::new(),
            shard_by: None,
            durable: false,
            replicas_wait: longshore_shared::task::ReplicasWait::One,
            loads_max: None,
            audit_failed: None,
            made: longshore_shared::task::PlanOptions::default(),
            reopening: None,
        },
        tasks: 40,
        segment_tasks: 64,
        files: 120,
        bytes: 4 << 30,
        reason: String::new(),
        created_ms: NOON_MS,
        submitted_ms: 0,
        ended_ms: 0,
    }
}

/// The job with the times of a run that took 65 s.
pub(crate) fn ended(state: JobState) -> Job {
    Job { submitted_ms: NOON_MS + 1_000, ended_ms: NOON_MS + 66_000, ..job(state) }
}

/// Some done, some open, some failed.
pub(crate) fn census() -> Census {
    Census {
        total: 40,
        pending: 20,
        claimed: 3,
        publishing: 1,
        done: 13,
        failed: 2,
        quarantined: 1,
        rows: 12_345_678,
        bytes: 1_395_864_371,
        ..Census::default()
    }
}

/// A task that nobody has begun, in a list.
pub(crate) fn brief() -> TaskBrief {
    TaskBrief {
        id: TaskId { job: job(JobState::Running).id, ordinal: 7 },
        state: StateName::Pending,
        epoch: 3,
        worker: WorkerId::default(),
        attempts: 2,
        deaths: 0,
        files: 2,
        bytes: 2_001_000,
        rows: 0,
        error: String::new(),
        due: true,
        changed_ms: NOON_MS,
    }
}

/// Task 7 with two files.
pub(crate) fn task(state: TaskState) -> Task {
    let file =
        |name: &str, size| SourceFile::listed(format!("lake/events/{name}.parquet"), size, "e");
    let files = vec![file("a b", 1_000), file("c", 2_000_000)];
    Task {
        id: TaskId { job: job(JobState::Running).id, ordinal: 7 },
        progress: Progress { state, epoch: Epoch(3), attempts: 2, deaths: 0 },
        stamp: Stamp::fresh(),
        chunk: Chunk::of_files(files).encode(),
        files: 2,
        bytes: 2_001_000,
        changed_ms: NOON_MS,
    }
}
