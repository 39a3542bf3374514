//! The texts of `status`.

use super::*;
use crate::fixture;

fn status(job: &Job, tasks: Census) -> JobStatus {
    let worker = |id: &str, age_ms: i64, draining| WorkerRecord {
        id: longshore_shared::task::WorkerId(id.into()),
        lease_ms: 15_000,
        slots: 2,
        version: "0.1.0".into(),
        host: "box".into(),
        pid: 4711,
        draining,
        age_ms,
    };
    let workers = [
        worker("box-1a", 1_200, false),
        worker("box-2b", 61_000, false),
        worker("box-3c", 500, true),
    ];
    from_parts(job, tasks, workers.into_iter())
}

fn from_parts(job: &Job, tasks: Census, workers: impl Iterator<Item = WorkerRecord>) -> JobStatus {
    let workers = workers.map(|worker| worker_line(worker, &tasks)).collect();
    document(job, tasks, workers)
}

#[test]
fn a_running_job() {
    let job = Job { submitted_ms: 1_787_313_601_000, ..fixture::job(JobState::Running) };
    insta::assert_snapshot!(status_text(&status(&job, fixture::census())), @"
    job       0123456789abcdef  running
    target    demo.events
    done      13 of 40 tasks, 12,345,678 rows, 1.30 GiB of 4.00 GiB
    open      20 pending, 3 claimed, 1 publishing
    not done  2 failed, 1 quarantined
    planned   2026-08-21T12:00:00.000Z
    submitted 2026-08-21T12:00:01.000Z

    WORKER  HOST   PID  TASKS  SLOTS  HEARTBEAT
    box-1a  box   4711      0      2  1.2s ago
    box-2b  box   4711      0      2  1m 1s ago, lapsed: others take its tasks over
    box-3c  box   4711      0      2  0.5s ago, draining

    Next: longshore status 0123456789abcdef --watch
    ");
}

#[test]
fn a_job_without_workers_says_so() {
    let job = fixture::job(JobState::Running);
    let alone = from_parts(&job, fixture::census(), std::iter::empty());
    assert!(next(&alone).unwrap().starts_with("no worker is alive"));
}

#[test]
fn a_paused_job_gives_its_reason() {
    let job = Job { reason: "Not enough privileges".into(), ..fixture::job(JobState::Paused) };
    insta::assert_snapshot!(status_text(&from_parts(&job, fixture::census(), std::iter::empty())), @"
    job       0123456789abcdef  paused
    target    demo.events
    done      13 of 40 tasks, 12,345,678 rows, 1.30 GiB of 4.00 GiB
    open      20 pending, 3 claimed, 1 publishing
    not done  2 failed, 1 quarantined
    reason    Not enough privileges
    planned   2026-08-21T12:00:00.000Z

    Next: once the cause is gone: longshore resume 0123456789abcdef
    ");
}

#[test]
fn a_task_that_cannot_be_published_says_why() {
    let job = fixture::job(JobState::Running);
    let task = longshore_shared::task::TaskId { job: job.id.clone(), ordinal: 7 };
    let cause = "it is loaded and cannot be published yet: Too many parts (20)".to_owned();
    let census = Census { hindered: vec![(task, cause)], ..fixture::census() };
    let words = status_text(&from_parts(&job, census, std::iter::empty()));
    let line = "waiting   0123456789abcdef-0000007: it is loaded and cannot be published yet: Too many parts (20)\n";
    assert!(words.contains(line), "{words}");
}

#[test]
fn the_keys_of_the_document() {
    let job = fixture::ended(JobState::Failed);
    insta::assert_json_snapshot!(status(&job, fixture::census()), @r#"
    {
      "job_id": "0123456789abcdef",
      "state": "failed",
      "target": "demo.events",
      "durable": false,
      "tasks": {
        "total": 40,
        "pending": 20,
        "claimed": 3,
        "publishing": 1,
        "done": 13,
        "failed": 2,
        "quarantined": 1
      },
      "files": 120,
      "bytes_total": 4294967296,
      "rows": 12345678,
      "bytes": 1395864371,
      "reason": "",
      "loads_max": null,
      "created_at": "2026-08-21T12:00:00.000Z",
      "submitted_at": "2026-08-21T12:00:01.000Z",
      "ended_at": "2026-08-21T12:01:06.000Z",
      "elapsed_ms": 65000,
      "workers": [
        {
          "worker_id": "box-1a",
          "host": "box",
          "pid": 4711,
          "version": "0.1.0",
          "slots": 2,
          "draining": false,
          "lapsed": false,
          "heartbeat_age_ms": 1200,
          "tasks": 0
        },
        {
          "worker_id": "box-2b",
          "host": "box",
          "pid": 4711,
          "version": "0.1.0",
          "slots": 2,
          "draining": false,
          "lapsed": true,
          "heartbeat_age_ms": 61000,
          "tasks": 0
        },
        {
          "worker_id": "box-3c",
          "host": "box",
          "pid": 4711,
          "version": "0.1.0",
          "slots": 2,
          "draining": true,
          "lapsed": false,
          "heartbeat_age_ms": 500,
          "tasks": 0
        }
      ],
      "hindered": []
    }
    "#);
}

#[test]
fn a_list_of_jobs() {
    assert!(list_text(&JobList { jobs: Vec::new() }).starts_with("There are no jobs yet."));
    let line = |job: &Job, done| JobLine {
        job_id: job.id.to_string(),
        state: job.state,
        target: job.spec.target.to_string(),
        tasks: job.tasks,
        done,
        failed: 0,
        quarantined: 0,
        files: job.files,
        bytes_total: job.bytes,
        created_at: text::time(job.created_ms),
    };
    let jobs = vec![
        line(&fixture::job(JobState::Planned), 0),
        line(&fixture::ended(JobState::Completed), 40),
    ];
    insta::assert_snapshot!(list_text(&JobList { jobs }), @"
    JOB               STATE      TARGET       TASKS  DONE  FAILED     BYTES  PLANNED
    0123456789abcdef  planned    demo.events     40     0       0  4.00 GiB  2026-08-21T12:00:00.000Z
    0123456789abcdef  completed  demo.events     40    40       0  4.00 GiB  2026-08-21T12:00:00.000Z
    ");
}
