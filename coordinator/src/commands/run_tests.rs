//! The summary of a run.

use longshore_shared::store::MemoryStore;
use longshore_shared::task::Job;

use super::*;
use crate::census::Census;
use crate::fixture;

async fn summary_of(
    job: &Job,
    change: impl FnOnce(&mut Census),
    problems: Vec<TaskLine>,
) -> String {
    let mut status = status::read(&MemoryStore::default(), job).await.unwrap();
    status.tasks = fixture::census();
    change(&mut status.tasks);
    status.rows = 12_345_678;
    status.bytes = job.bytes;
    let is_well = job.state == JobState::Completed;
    let logs = (!is_well).then(|| PathBuf::from("/tmp/logs"));
    summary_text(&Summary { status, problems, logs })
}

#[tokio::test]
async fn a_completed_job() {
    let all_done = |census: &mut Census| {
        *census = Census { total: 40, done: 40, ..Census::default() };
    };
    let text = summary_of(&fixture::ended(JobState::Completed), all_done, Vec::new()).await;
    insta::assert_snapshot!(text, @"
    Job 0123456789abcdef is completed: every row is in demo.events.
      tasks   40 of 40 done
      rows    12,345,678
      bytes   4.00 GiB of 4.00 GiB
      took    1m 5s (189,933 rows/s, 63.02 MiB/s)

    Next: longshore task 0123456789abcdef-0000000 shows the proof of its first task
    ");
}

#[tokio::test]
async fn a_job_with_failed_tasks() {
    let brief = longshore_shared::store::TaskBrief {
        id: "0123456789abcdef-0000007".parse().unwrap(),
        state: StateName::Failed,
        epoch: 5,
        worker: longshore_shared::task::WorkerId::default(),
        attempts: 5,
        deaths: 0,
        files: 3,
        bytes: 30,
        rows: 0,
        error: "lake/events/7.parquet: not a Parquet file".into(),
        due: true,
        changed_ms: 0,
    };
    let job = fixture::ended(JobState::Failed);
    insta::assert_snapshot!(summary_of(&job, |_| (), vec![brief.into()]).await, @"
    Job 0123456789abcdef has ended, and 3 of 40 tasks are not done.
      tasks   13 of 40 done
      rows    12,345,678
      bytes   4.00 GiB of 4.00 GiB
      took    1m 5s (189,933 rows/s, 63.02 MiB/s)

    0123456789abcdef-0000007  failed after 5 attempts
        lake/events/7.parquet: not a Parquet file
    … and 2 more: longshore tasks 0123456789abcdef --state failed,quarantined

    The workers' logs are in /tmp/logs.

    Next: longshore task 0123456789abcdef-0000007
    ");
}

#[tokio::test]
async fn a_paused_job() {
    let job = Job { reason: "Not enough privileges".into(), ..fixture::job(JobState::Paused) };
    insta::assert_snapshot!(summary_of(&job, |_| (), Vec::new()).await, @"
    Job 0123456789abcdef is paused.
      reason  Not enough privileges
      tasks   13 of 40 done
      rows    12,345,678
      bytes   4.00 GiB of 4.00 GiB

    The workers' logs are in /tmp/logs.

    Next: once the cause is gone: longshore run 0123456789abcdef
    ");
}
