//! Dry runs, bindings to an environment, and `check`: what pipelines and operators rely on.

use longshore_shared::faults;
use longshore_tests::{Finished, Format, Scene, wait_for};
use serde_json::Value;

/// The state of the job does not admit it.
const CONFLICT: i32 = 6;
/// A dry run or a check found something.
const PROBLEM: i32 = 8;

fn settings(scene: &Scene, text: &str) {
    std::fs::write(scene.folder().join("longshore.toml"), text).expect("a writable folder");
}

/// Every row of the control tables, to see that nothing was changed.
fn rows(scene: &Scene) -> Vec<Vec<String>> {
    ["meta", "jobs", "tasks", "cursors"]
        .iter()
        .map(|table| {
            let rows =
                format!("SELECT hex(toString(tuple(*))) FROM {}.{table} ORDER BY 1", scene.control);
            scene.admin.column(&rows)
        })
        .collect()
}

fn check(scene: &Scene, more: &[&str]) -> Finished {
    scene.longshore(["check", "--json"]).args(more).run()
}

/// Codes of the findings with their severities.
fn codes(ended: &Finished) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let document = ended.json();
    let findings = document["findings"].as_array().expect("a list");
    findings.iter().map(|f| format!("{} {}", text(&f["severity"]), text(&f["code"]))).collect()
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_is_in_the_way() {
    let scene = Scene::with_events(2, 50);
    let first = scene.plan(&["--again", "1"]);
    let second = scene.plan(&["--again", "2"]);
    let before = rows(&scene);
    for command in ["submit", "run"] {
        let dry = scene.longshore([command, &first, "--dry-run", "--json"]).run().ok().json();
        assert_eq!((&dry["would_run"], &dry["state"]), (&true.into(), &"planned".into()), "{dry}");
        assert_eq!((&dry["problems"], &dry["noted"]), (&0.into(), &false.into()), "{dry}");
    }
    assert_eq!(rows(&scene), before, "nothing was changed");
    assert_eq!(scene.staged(), Vec::<String>::new());

    scene.longshore(["submit", &first]).run().ok();
    let dry = |job: &str| scene.longshore(["submit", job, "--dry-run"]).run();
    dry(&second).exits_with(PROBLEM).says(&["overlap", &first, "would not run"]);
    let forced = scene.longshore(["submit", &second, "--dry-run", "--force-overlap"]).run();
    forced.ok().says(&["warning", &first, "It would run"]);
    scene.finish(&first);
    dry(&first).ok().says(&["it is completed"]);

    scene.create(
        "CREATE MATERIALIZED VIEW {db}.late_mv TO {db}.daily AS
         SELECT day, kind, count() AS events, sum(value) AS value FROM {db}.events GROUP BY day, kind;\n",
    );
    let before = rows(&scene);
    dry(&second).exits_with(PROBLEM).says(&["views", "late_mv", "was added after"]);
    assert_eq!(rows(&scene), before, "nothing was changed");
}

#[test]
fn a_dry_run_looks_at_the_snapshot_and_the_collection() {
    let scene = Scene::with_events(1, 100);
    scene.create("CREATE TABLE {db}.copy AS {db}.events;\n");
    scene.load_into("events", "*", &[]).ok();
    let planned = scene.copy_program("events", "copy", &["--snapshot"]).run().ok();
    let copy = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    let dry = || scene.longshore(["submit", &copy, "--dry-run"]).run();
    dry().ok().says(&["the snapshot"]);
    scene.admin.run(&format!("DROP TABLE {}.`{copy}_snapshot_0` SYNC", scene.staging));
    dry().exits_with(PROBLEM).says(&["source", "the snapshot", "is not there"]);
}

#[test]
fn a_policy_may_ask_for_a_dry_run_first() {
    let scene = Scene::with_events(1, 100);
    settings(&scene, "[policy]\nrequire_dry_run = true\n");
    let (job, other) = (scene.plan(&["--again", "1"]), scene.plan(&["--again", "2"]));
    let submit = |more: &[&str]| scene.longshore(["submit"]).args(more).run();
    submit(&[&job]).exits_with(CONFLICT).says(&["require_dry_run", "--dry-run"]);
    scene.longshore(["run", &job]).run().exits_with(CONFLICT);
    assert_eq!(scene.status(&job)["state"], "planned");
    submit(&[&job, "--dry-run"]).ok().says(&["This dry run is noted"]);
    submit(&[&job, "--dry-run"]).ok();
    submit(&[&other]).exits_with(CONFLICT);
    submit(&[&job]).ok();
    // A dry run that found something does not count.
    submit(&[&other, "--dry-run"]).exits_with(PROBLEM);
    scene.finish(&job);
    submit(&[&other]).exits_with(CONFLICT).says(&["require_dry_run"]);
}

#[test]
fn a_plan_of_another_environment_runs_only_when_it_is_forced() {
    let scene = Scene::with_events(2, 100);
    let job = scene.plan(&[]);
    // As after the control tables were taken elsewhere.
    let meta = format!("{}.meta", scene.control);
    scene
        .admin
        .run(&format!("ALTER TABLE {meta} UPDATE value = 'elsewhere' WHERE key = 'environment'"));
    let submit = |more: &[&str]| scene.longshore(["submit", &job]).args(more).run();
    submit(&[]).exits_with(CONFLICT).says(&[
        "was made for environment",
        "this is elsewhere",
        "--force-environment",
    ]);
    submit(&["--dry-run"]).exits_with(PROBLEM).says(&["environment"]);
    assert_eq!(
        codes(&check(&scene, &[]).exits_with(PROBLEM)),
        ["error backfill_required_pending", "error backfill_environment_mismatch"]
    );
    submit(&["--dry-run", "--force-environment"]).ok().says(&["warning"]);
    submit(&[]).exits_with(CONFLICT);
    submit(&["--force-environment"]).ok().says(&["is bound to this environment"]);
    submit(&[]).ok().says(&["already running"]);
    scene.settle(&job, "after it was bound again");
    assert_eq!(check(&scene, &[]).ok().json()["ok"], true);
}

#[test]
fn check_fails_until_everything_is_loaded() {
    let scene = Scene::with_events(2, 100);
    assert_eq!(check(&scene, &[]).ok().json()["jobs"], 0, "nothing was planned");
    let pending = "error backfill_required_pending";
    let job = scene.plan(&["--chunk-files-max", "1"]);
    assert_eq!(codes(&check(&scene, &[]).exits_with(PROBLEM)), [pending]);
    assert_eq!(codes(&check(&scene, &[&job]).exits_with(PROBLEM)), [pending]);
    let of = |table: &str| check(&scene, &["--target", &format!("{}.{table}", scene.db)]);
    assert_eq!(codes(&of("daily").exits_with(PROBLEM)), [pending], "a view fills it");
    assert_eq!(of("others").ok().json()["jobs"], 0);

    settings(&scene, "[policy]\nfail_check_on_pending = false\n");
    let relaxed = codes(&check(&scene, &[]).ok());
    assert_eq!(relaxed, ["warning backfill_policy_relaxed", "warning backfill_required_pending"]);
    settings(&scene, "");

    scene.longshore(["submit", &job]).run().ok();
    assert_eq!(
        codes(&check(&scene, &[]).exits_with(PROBLEM)),
        [pending, "error backfill_interrupted"]
    );
    // A worker that lives and waits.
    let waits = format!("{}=sleep(60000)", faults::CLAIM_BEFORE.0);
    let mut worker = scene.endless_worker().faults(waits).env("LONGSHORE_LEASE", "60s").spawn();
    wait_for("a worker is there", || (codes(&check(&scene, &[])) == [pending]).then_some(()));
    worker.kill();
    scene.sign_all_off();

    scene.longshore(["pause", &job]).run().ok();
    assert_eq!(
        codes(&check(&scene, &[]).exits_with(PROBLEM)),
        [pending, "error backfill_job_paused"]
    );
    scene.longshore(["resume", &job]).run().ok();
    scene.settle(&job, "after checks");
    assert_eq!(codes(&check(&scene, &[]).ok()), Vec::<String>::new());
    let words = scene.longshore(["check"]).run().ok();
    assert_eq!(words.stdout.trim(), "1 job checked: all is loaded.");
}

#[test]
fn check_names_tasks_that_failed_or_cannot_be_proved() {
    let scene = Scene::with_events(3, 50);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.forget("events-002.parquet");
    scene.put_rows("events-002.parquet", 51, Format::Parquet);
    scene.finish_all(&job);
    let checked = check(&scene, &[]).exits_with(PROBLEM);
    assert!(codes(&checked).contains(&"error backfill_chunk_failed_retry_exhausted".to_owned()));
    let document = checked.json();
    let of = |code: &str| {
        let findings = document["findings"].as_array().expect("a list");
        findings.iter().find(|finding| finding["code"] == code).cloned()
    };
    let failed = of("backfill_chunk_failed_retry_exhausted").expect("a finding");
    let bad = scene.tasks().0.iter().find(|task| task.state == "failed").expect("one").id.clone();
    assert_eq!(failed["tasks"][0], bad.as_str(), "{failed}");
    scene.longshore(["cancel", &job]).run().ok();
    assert_eq!(check(&scene, &[]).ok().json()["ok"], true, "nobody asks for it any more");
}
