//! What the audit calls a difference, on tasks and receipts that are made up.

use super::*;
use longshore_shared::store::chunk_digest;

fn job(tasks: u32, spec: &str) -> Job {
    let spec: JobSpec = serde_json::from_str(spec).unwrap();
    let id: longshore_shared::task::JobId = "0123456789abcdef".parse().unwrap();
    Job {
        id,
        state: longshore_shared::task::JobState::Running,
        epoch: longshore_shared::task::Epoch(3),
        stamp: longshore_shared::task::Stamp::fresh(),
        spec,
        tasks,
        segment_tasks: 64,
        files: 0,
        bytes: 0,
        reason: String::new(),
        created_ms: 0,
        submitted_ms: 0,
        ended_ms: 0,
    }
}

const SPEC: &str = r#"{
    "source": {"feeds": [], "budget": "uncompressed", "chunk_bytes": 1, "rows": 30, "digest": "d"},
    "target": {"database": "db", "table": "t"}, "columns": ["x"], "select": "`x`", "filter": "", "settings": {},
    "graph": {"tables": [{"name": {"database": "db", "table": "t"}, "uuid": "", "engine": "MergeTree",
        "definition": "", "dependents": []}], "views": []},
    "environment": "e", "limits": {"attempts_max": 5, "deaths_max": 10}
}"#;

fn witness(job: &Job, ordinal: u32, state: StateName, rows: u64) -> Witness {
    let id = TaskId { job: job.id.clone(), ordinal };
    let chunk_digest = chunk_digest(&[u8::try_from(ordinal).unwrap()]);
    Witness { id, state, epoch: 1, rows, files: 0, bytes: 0, chunk_digest }
}

fn received(job: &Job, ordinal: u32, rows: u64) -> Received {
    let task_id = TaskId { job: job.id.clone(), ordinal }.to_string();
    Received { task_id, rows_read: rows, targets: vec![("db.t".to_owned(), rows)] }
}

fn planned() -> (Job, Vec<Witness>) {
    let mut job = job(3, SPEC);
    let tasks: Vec<Witness> =
        (0..3).map(|ordinal| witness(&job, ordinal, StateName::Done, 10)).collect();
    job.spec.made.digest = plan_digest(tasks.iter().map(|task| task.chunk_digest));
    (job, tasks)
}

#[test]
fn tasks_that_are_done_as_planned_are_in_order() {
    let (job, tasks) = planned();
    assert_eq!(of_tasks(&job, &tasks), Vec::<String>::new());
    let rows = (0..3).map(|ordinal| received(&job, ordinal, 10)).collect();
    assert_eq!(of_receipts(&job, &job.spec, tasks.iter(), rows), Vec::<String>::new());
}

#[test]
fn each_rule_about_tasks_is_told_with_its_numbers() {
    let (job, tasks) = planned();
    let told = |tasks: &[Witness]| of_tasks(&job, tasks).join("; ");
    let missing = told(&tasks[..2]);
    assert!(missing.contains("2 of 3 tasks are in the task table"), "{missing}");
    let mut other = tasks.clone();
    other[1].chunk_digest += 1;
    assert_eq!(told(&other), "the tasks are not those that were planned");
    let mut open = tasks.clone();
    open[2].state = StateName::Pending;
    assert!(
        told(&open).contains("1 of 3 tasks are not done (0123456789abcdef-0000002 is pending)")
    );
    let mut fewer = tasks.clone();
    fewer[0].rows = 9;
    assert_eq!(
        told(&fewer),
        "the source held 30 rows when it was planned, and its chunks held 29 together"
    );
}

#[test]
fn each_rule_about_receipts_is_told_with_its_numbers() {
    let (job, tasks) = planned();
    let told = |rows: Vec<Received>| of_receipts(&job, &job.spec, tasks.iter(), rows).join("; ");
    let without = told(vec![received(&job, 0, 10), received(&job, 2, 10)]);
    assert_eq!(
        without,
        "tasks that are done without all of their receipts: 1 (first: 0123456789abcdef-0000001)"
    );
    let differing =
        told((0..3).map(|ordinal| received(&job, ordinal, 9 + u64::from(ordinal))).collect());
    assert!(
        differing.contains("the receipts of 2 tasks do not agree with them")
            && differing.contains("10 rows, and by its receipts 9 in db.t"),
        "{differing}"
    );
    let mut elsewhere = received(&job, 1, 10);
    elsewhere.targets[0].0 = "db.other".to_owned();
    let other = told(vec![received(&job, 0, 10), elsewhere, received(&job, 2, 10)]);
    assert!(other.contains("the receipts of 1 tasks"), "{other}");
}

#[test]
fn more_findings_than_a_person_reads_are_counted() {
    let told = told((0..9).map(|number| number.to_string()).collect()).unwrap();
    assert_eq!(told, "the closing audit failed: 0; 1; 2; 3; 4; 4 more findings");
    assert_eq!(super::told(Vec::new()), None);
}
