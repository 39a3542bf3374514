//! The main job: files in, every row once in the target and in every view's target.

use longshore_tests::{Format, Scene};

#[test]
fn a_load_is_exact_in_the_target_and_in_both_views() {
    let scene = Scene::with_events(12, 3_000);
    let planned = scene.plan_program("events", "*.parquet", &["--chunk-files-max", "3"]).run().ok();
    let plan = planned.json();
    let id = plan["plan_id"].as_str().expect("a plan id");
    assert_eq!(id.len(), 16);
    assert_eq!(plan["files"], 12);
    assert!(plan["chunks"].as_u64().expect("chunks") >= 4, "at most three files a chunk: {plan}");
    assert_eq!(scene.status(id)["state"], "planned");

    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_exact();
    scene.assert_clean(id);
    scene.assert_receipts(id);

    let status = scene.status(id);
    assert_eq!(status["job_id"], id);
    assert_eq!(status["state"], "completed");
    assert_eq!(status["tasks"]["total"], plan["chunks"]);
    assert_eq!(status["tasks"]["done"], plan["chunks"]);
    for none in ["pending", "claimed", "publishing", "failed", "quarantined"] {
        assert_eq!(status["tasks"][none], 0, "{none} in {status}");
    }
    assert_eq!(status["rows"], 36_000);
    assert_eq!(status["bytes"], plan["bytes"]);
    assert!(scene.tasks().all("done"));
}

#[test]
fn rows_that_were_there_before_stay() {
    let scene = Scene::with_events(2, 100);
    let id = scene.submit(&[]);
    scene.finish(&id);
    for file in ["later-0.parquet", "later-1.parquet"] {
        scene.put_rows(file, 100, Format::Parquet);
    }
    let later = scene.plan_into("events", "later-*", &[]);
    assert_ne!(later, id);
    scene.longshore(["run", &later, "--workers", "1"]).run().ok();
    scene.assert_exact();
}

#[test]
fn a_csv_load_is_exact() {
    let scene = Scene::with_events(0, 0);
    for file in 0..4 {
        scene.put_rows(&format!("{file}.csv"), 500, Format::Csv);
    }
    scene.load_into("events", "*.csv", &["--format", "CSVWithNames"]).ok();
    scene.assert_exact();
}

#[test]
fn files_without_rows_and_with_one_row_are_loaded() {
    let scene = Scene::with_events(0, 0);
    for (file, rows) in [("none.parquet", 0), ("one.parquet", 1), ("some.parquet", 1_000)] {
        scene.put_rows(file, rows, Format::Parquet);
    }
    let id = scene.submit(&["--chunk-files-max", "1"]);
    scene.finish(&id);
    scene.assert_exact();
    scene.assert_clean(&id);
    assert_eq!(scene.status(&id)["rows"], 1_001);
}

#[test]
fn a_chunk_budget_in_bytes_cuts_the_files_into_chunks() {
    let scene = Scene::with_events(8, 2_000);
    let planned = scene.plan_program("events", "*", &["--chunk-bytes", "1"]).run().ok().json();
    assert_eq!(planned["chunks"], 8, "a file is never cut: {planned}");
    let planned =
        scene.plan_program("events", "*", &["--chunk-bytes", "1000000000"]).run().ok().json();
    assert_eq!(planned["chunks"], 1, "{planned}");
    scene.longshore(["run", planned["plan_id"].as_str().expect("id"), "--workers", "1"]).run().ok();
    scene.assert_exact();
}

#[test]
fn planning_again_gives_the_same_id_and_submitting_again_changes_nothing() {
    let scene = Scene::with_events(4, 200);
    let id = scene.plan(&["--chunk-files-max", "1"]);
    assert_eq!(scene.plan(&["--chunk-files-max", "1"]), id);
    scene.longshore(["submit", &id]).run().ok();
    scene.longshore(["submit", &id]).run().ok();
    assert_eq!(scene.plan(&["--chunk-files-max", "1"]), id, "also while it runs");
    scene.finish(&id);
    scene.assert_exact();
    let before = scene.tasks();

    scene.longshore(["submit", &id]).run().ok();
    scene.longshore(["run", &id, "--workers", "2"]).run().ok();
    assert_eq!(scene.plan(&["--chunk-files-max", "1"]), id, "also when it is over");
    scene.assert_exact();
    assert_eq!(scene.tasks(), before, "a job that is over is not run again");

    scene.put_rows("new.parquet", 200, Format::Parquet);
    assert_ne!(scene.plan(&["--chunk-files-max", "1"]), id, "another file is another plan");
}

#[test]
fn two_programs_may_run_the_same_job_at_once() {
    let scene = Scene::with_events(6, 200);
    let id = scene.plan(&["--chunk-files-max", "1"]);
    let runs: Vec<_> =
        (0..2).map(|_| scene.longshore(["run", &id, "--workers", "1"]).spawn()).collect();
    for run in runs {
        run.wait().ok();
    }
    scene.assert_exact();
    scene.assert_clean(&id);
}

#[test]
fn an_endless_worker_finds_a_job_that_is_submitted_later() {
    let scene = Scene::with_events(2, 100);
    let worker = scene.endless_worker().spawn();
    let id = scene.submit(&[]);
    longshore_tests::wait_for("the job is completed", || {
        (scene.status(&id)["state"] == "completed").then_some(())
    });
    worker.signal("TERM");
    worker.wait().ok();
    scene.assert_exact();
    scene.assert_clean(&id);
}
