//! The text of `task`, and what it says comes next, state by state.

use longshore_shared::task::{Line, Owner, Part, StagedTable, WorkerId};

use super::*;
use crate::fixture;

fn owner() -> Owner {
    Owner { worker: WorkerId("box-1a2b3c4d".into()), endpoint: "http://ch:8123".into() }
}

fn manifest() -> Manifest {
    let part = |rows| Part { uuid: uuid::Uuid::nil(), hash: "00".into(), rows };
    let target = fixture::job(JobState::Running).spec.target;
    let staged = StagedTable {
        suffix: "0_events".into(),
        uuid: uuid::Uuid::nil(),
        target,
        target_uuid: uuid::Uuid::nil(),
        lines: vec![Line { partition: "202601".into(), parts: vec![part(600), part(400)] }],
    };
    Manifest {
        taken_ms: 0,
        rows: 1_000,
        rows_read: 1_000,
        tables: vec![staged],
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    }
}

fn worker(age_ms: i64) -> WorkerRecord {
    WorkerRecord {
        id: owner().worker,
        lease_ms: 15_000,
        slots: 1,
        version: "0.1.0".into(),
        host: "box".into(),
        pid: 1,
        draining: false,
        age_ms,
    }
}

#[test]
fn what_comes_next_in_each_state() {
    let pending = || TaskState::Pending { delay_ms: 0, error: String::new() };
    let states = [
        (JobState::Planned, pending(), None),
        (JobState::Running, pending(), None),
        (JobState::Paused, pending(), None),
        (JobState::Cancelled, pending(), None),
        (JobState::Running, TaskState::Claimed { owner: owner() }, Some(worker(100))),
        (JobState::Running, TaskState::Claimed { owner: owner() }, Some(worker(20_000))),
        (JobState::Running, TaskState::Claimed { owner: owner() }, None),
        (
            JobState::Running,
            TaskState::Publishing { owner: owner(), manifest: manifest() },
            Some(worker(100)),
        ),
        (JobState::Running, TaskState::Publishing { owner: owner(), manifest: manifest() }, None),
        (JobState::Running, TaskState::Done { rows: 1 }, None),
        (JobState::Running, TaskState::Failed { error: String::new() }, None),
        (
            JobState::Running,
            TaskState::Quarantined { manifest: manifest(), error: String::new() },
            None,
        ),
    ];
    let lines = states.map(|(job, state, worker)| {
        let name = state.name().as_str();
        let next = next(&fixture::job(job), &fixture::task(state), None, worker.as_ref());
        format!("{} / {name}: {next}", job.as_str())
    });
    insta::assert_snapshot!(lines.join("\n"), @"
    planned / pending: it waits until the job is submitted: longshore submit 0123456789abcdef
    running / pending: the next free worker takes it.
    paused / pending: the job is paused; to let it go on: longshore resume 0123456789abcdef
    cancelled / pending: nothing; the job is cancelled.
    running / claimed: worker box-1a2b3c4d loads it into its staging tables.
    running / claimed: it belongs to worker box-1a2b3c4d, whose heartbeat stopped 20.0s ago. Another worker will take it over and load it afresh; nothing of it is in the target.
    running / claimed: it belongs to worker box-1a2b3c4d, which has left. Another worker will take it over and load it afresh; nothing of it is in the target.
    running / publishing: worker box-1a2b3c4d moves what it staged into the target.
    running / publishing: it belongs to worker box-1a2b3c4d, which has left. Another worker will take it over and finish the moves of the manifest; nothing is loaded again.
    running / done: nothing; every row is in its target, and proved.
    running / failed: nothing by itself; nothing of it is in any target. Once the cause is gone: longshore retry 0123456789abcdef --task 0123456789abcdef-0000007
    running / quarantined: a person has to decide, because it could not be proved whether a move happened. The manifest names the parts, the error what was found, and the staging tables are kept. To prove it once more: longshore retry 0123456789abcdef --task 0123456789abcdef-0000007. If its rows are in the targets: the same with --accept. If they are not: with --reload. Job 0123456789abcdef goes on without it.
    ");
}

#[test]
fn a_task_that_is_being_published() {
    let state = TaskState::Publishing { owner: owner(), manifest: manifest() };
    let task = fixture::task(state);
    let contents = Contents::of(&fixture::job(JobState::Running), &task).unwrap();
    let next = next(&fixture::job(JobState::Running), &task, None, Some(&worker(100)));
    let history = vec![AttemptLine {
        epoch: 2,
        attempt: 1,
        worker: "box-0f0f0f0f".into(),
        event: "retried".into(),
        message: "Memory limit exceeded".into(),
        elapsed_ms: 61_000,
        at_ms: 1_787_313_590_000,
    }];
    insta::assert_snapshot!(task_text(&document(task, contents, next, Past { history, ..Past::default() })), @"
    task      0123456789abcdef-0000007  publishing
    attempts  2 (epoch 3)
    worker    box-1a2b3c4d
    server    http://ch:8123
    changed   2026-08-21T12:00:00.000Z

    Next: worker box-1a2b3c4d moves what it staged into the target.

    FILE                         BYTES
    lake/events/a b.parquet      1,000
    lake/events/c.parquet    2,000,000

    Manifest: 1,000 rows
    TARGET       PARTITION  PARTS   ROWS
    demo.events  202601         2  1,000

    Timeline:
    AT                        EPOCH  WHAT                TOOK  READ  WRITTEN  MEMORY  QUERY ID, OR WORKER AND CAUSE
    2026-08-21T11:59:50.000Z      2  attempt 1 retried  1m 1s                         box-0f0f0f0f Memory limit exceeded
    ");
}

#[test]
fn a_task_that_is_done_shows_its_proof() {
    let task = fixture::task(TaskState::Done { rows: 1_000 });
    let receipt = ReceiptLine {
        target: "demo.events".into(),
        epoch: 3,
        worker: "box-1a2b3c4d".into(),
        query_id: "q".into(),
        rows_read: 1_000,
        rows_staged: 1_000,
        partitions: vec!["202601".into()],
        parts: 2,
        published_ms: 1_787_313_600_000,
    };
    let next = next(&fixture::job(JobState::Running), &task, None, None);
    insta::assert_snapshot!(task_text(&document(task, Contents::default(), next, Past { receipts: vec![receipt], ..Past::default() })), @"
    task      0123456789abcdef-0000007  done
    attempts  2 (epoch 3)
    rows      1,000
    changed   2026-08-21T12:00:00.000Z

    Next: nothing; every row is in its target, and proved.

    FILE  BYTES

    Receipts:
    TARGET       ROWS READ  ROWS MOVED  PARTITIONS  PARTS  PROVED
    demo.events      1,000       1,000           1      2  2026-08-21T12:00:00.000Z
    ");
}
