//! What `check` finds in each state of a job.

use longshore_shared::task::WorkerId;

use super::*;
use crate::fixture;

const ALL_FINE: Scene = Scene { live_workers: 1, fails_on_pending: true };

fn task(ordinal: u32, state: StateName, error: &str) -> TaskBrief {
    TaskBrief {
        id: format!("0123456789abcdef-{ordinal:07}").parse().unwrap(),
        state,
        epoch: 5,
        worker: WorkerId::default(),
        attempts: 5,
        deaths: 0,
        files: 3,
        bytes: 30,
        rows: 0,
        error: error.into(),
        due: true,
        changed_ms: 0,
    }
}

fn looked(state: JobState) -> Looked {
    let census = Census { total: 40, pending: 27, done: 13, ..Census::default() };
    Looked {
        job: fixture::job(state),
        census,
        failed: Vec::new(),
        quarantined: Vec::new(),
        is_bound_here: true,
    }
}

fn codes(looked: &Looked, scene: Scene) -> Vec<String> {
    let code = |finding: Finding| {
        let text = serde_json::to_value(finding.code).unwrap();
        assert_eq!(text, finding.code.as_str(), "one spelling for people and machines");
        format!("{} {}", finding.severity.as_str(), finding.code.as_str())
    };
    judge(looked, scene).into_iter().map(code).collect()
}

#[test]
fn each_state_of_a_job() {
    let lines: Vec<String> = JobState::ALL
        .into_iter()
        .map(|state| {
            let found = is_open(state).then(|| codes(&looked(state), ALL_FINE));
            format!("{}: {}", state.as_str(), found.unwrap_or_default().join(", "))
                .trim_end()
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    planning: error backfill_required_pending
    planned: error backfill_required_pending
    running: error backfill_required_pending
    paused: error backfill_required_pending, error backfill_job_paused
    halted: error backfill_required_pending, error backfill_job_paused
    completed:
    failed: error backfill_required_pending
    cancelling:
    cancelled:
    reopening: error backfill_required_pending
    deleting:
    ");
}

#[test]
fn a_job_without_workers_is_interrupted() {
    let alone = Scene { live_workers: 0, ..ALL_FINE };
    let interrupted = "error backfill_interrupted";
    for state in [JobState::Running, JobState::Cancelling] {
        let found = codes(&looked(state), alone);
        assert_eq!(found.last().map(String::as_str), Some(interrupted), "{state:?}");
    }
    let is_interrupted = |looked: &Looked| codes(looked, alone).iter().any(|c| c == interrupted);
    assert!(!is_interrupted(&looked(JobState::Planned)), "nobody expects workers");
    let mut ended = looked(JobState::Running);
    ended.census = Census { total: 40, done: 40, ..Census::default() };
    assert!(!is_interrupted(&ended), "nothing is left to do");
}

#[test]
fn a_relaxed_policy_warns_of_what_is_pending_and_of_itself() {
    let relaxed_scene = Scene { fails_on_pending: false, ..ALL_FINE };
    assert!(relaxed(ALL_FINE).is_none());
    assert_eq!(relaxed(relaxed_scene).map(|finding| finding.code), Some(Code::PolicyRelaxed));
    let planned = codes(&looked(JobState::Planned), relaxed_scene);
    assert_eq!(planned, ["warning backfill_required_pending"]);
    let paused = codes(&looked(JobState::Paused), relaxed_scene);
    assert_eq!(paused, ["warning backfill_required_pending", "error backfill_job_paused"]);
}

fn bad() -> Looked {
    let mut looked = looked(JobState::Failed);
    looked.census = Census { total: 40, done: 36, failed: 3, quarantined: 1, ..Census::default() };
    looked.failed = vec![
        task(7, StateName::Failed, "lake/7.parquet: not a Parquet file"),
        task(8, StateName::Failed, ""),
    ];
    looked.quarantined = vec![task(9, StateName::Quarantined, "part p was found in no table")];
    looked.is_bound_here = false;
    looked
}

#[test]
fn words_and_json() {
    let mut findings: Vec<Finding> =
        relaxed(Scene { fails_on_pending: false, ..ALL_FINE }).into_iter().collect();
    findings.extend(judge(&bad(), ALL_FINE));
    let document = document(3, findings);
    insta::assert_snapshot!(super::words(&document), @"
    warning backfill_policy_relaxed
            policy.fail_check_on_pending is off: plans that are not loaded only give warnings
            set it to true in longshore.toml
    error   backfill_required_pending
            0123456789abcdef for demo.events: the job has ended without being completed: 36 of 40 tasks done
            longshore retry 0123456789abcdef --failed, or give it up: longshore cancel 0123456789abcdef
    error   backfill_chunk_failed_retry_exhausted
            0123456789abcdef for demo.events: 3 tasks failed, and no attempt is left: lake/7.parquet: not a Parquet file
            longshore retry 0123456789abcdef --failed, once the cause is gone
    error   backfill_task_quarantined
            0123456789abcdef for demo.events: it could not be proved whether the rows of 1 task are in the target: part p was found in no table
            longshore retry 0123456789abcdef --quarantined
    error   backfill_environment_mismatch
            0123456789abcdef for demo.events: the plan was made for another environment
            plan it again here, or longshore resume 0123456789abcdef --force-environment

    3 jobs checked: 4 errors, 1 warning.
    ");
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
    {
      "ok": false,
      "errors": 4,
      "warnings": 1,
      "jobs": 3,
      "findings": [
        {
          "code": "backfill_policy_relaxed",
          "severity": "warning",
          "job_id": null,
          "target": null,
          "tasks": [],
          "message": "policy.fail_check_on_pending is off: plans that are not loaded only give warnings",
          "remedy": "set it to true in longshore.toml"
        },
        {
          "code": "backfill_required_pending",
          "severity": "error",
          "job_id": "0123456789abcdef",
          "target": "demo.events",
          "tasks": [],
          "message": "the job has ended without being completed: 36 of 40 tasks done",
          "remedy": "longshore retry 0123456789abcdef --failed, or give it up: longshore cancel 0123456789abcdef"
        },
        {
          "code": "backfill_chunk_failed_retry_exhausted",
          "severity": "error",
          "job_id": "0123456789abcdef",
          "target": "demo.events",
          "tasks": [
            "0123456789abcdef-0000007",
            "0123456789abcdef-0000008"
          ],
          "message": "3 tasks failed, and no attempt is left: lake/7.parquet: not a Parquet file",
          "remedy": "longshore retry 0123456789abcdef --failed, once the cause is gone"
        },
        {
          "code": "backfill_task_quarantined",
          "severity": "error",
          "job_id": "0123456789abcdef",
          "target": "demo.events",
          "tasks": [
            "0123456789abcdef-0000009"
          ],
          "message": "it could not be proved whether the rows of 1 task are in the target: part p was found in no table",
          "remedy": "longshore retry 0123456789abcdef --quarantined"
        },
        {
          "code": "backfill_environment_mismatch",
          "severity": "error",
          "job_id": "0123456789abcdef",
          "target": "demo.events",
          "tasks": [],
          "message": "the plan was made for another environment",
          "remedy": "plan it again here, or longshore resume 0123456789abcdef --force-environment"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(super::words(&super::document(2, Vec::new())), @"2 jobs checked: all is loaded.");
}

#[test]
fn a_table_that_a_view_fills_is_a_target_too() {
    let of = |table: &str| {
        of_target(vec![fixture::job(JobState::Planned)], Some(&table.parse().unwrap()))
    };
    assert_eq!((of("demo.events").len(), of("demo.daily").len()), (1, 1));
    assert_eq!(of("demo.others").len(), 0);
}
