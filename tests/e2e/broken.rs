//! Files that are damaged or not what was planned: their task fails alone and names them.

use longshore_tests::{Format, Scene};

/// Exit code of a job that ended with failed tasks.
const EXIT_JOB_FAILED: i32 = 3;

#[test]
fn a_broken_file_fails_its_task_only_and_is_named() {
    let scene = Scene::with_events(5, 300);
    let good =
        scene.admin.bytes("SELECT 'x' AS file, number AS n FROM numbers(5000) FORMAT Parquet");
    let half = &good[..good.len() / 2];
    scene.put_bytes("events-002-broken.parquet", half);
    let structure = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
    let more = ["--chunk-files-max", "1", "--structure", structure];
    let id = scene.plan(&more);
    let run = scene.longshore(["run", &id, "--workers", "2"]).run();
    let run = run.exits_with(EXIT_JOB_FAILED).says(&["events-002-broken.parquet"]);

    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed"), tasks.0.len()), (5, 1, 6), "{run}");
    let failed = tasks.0.iter().find(|task| task.state == "failed").expect("a failed task");
    assert!(failed.error.contains("events-002-broken.parquet"), "{}", failed.error);
    let status = scene.status(&id);
    assert_eq!((&status["state"], &status["tasks"]["failed"]), (&"failed".into(), &1.into()));
    scene.assert_exact();
    scene.assert_clean(&id);
}

#[test]
fn a_broken_file_in_the_middle_of_a_chunk_takes_its_neighbours_with_it_and_nothing_of_them_is_loaded()
 {
    let scene = Scene::with_events(0, 0);
    for file in ["a.csv", "z.csv"] {
        scene.put_rows(file, 20_000, Format::Csv);
        scene.forget(file);
    }
    scene.put_bytes(
        "m.csv",
        b"\"file\",\"n\",\"day\",\"kind\",\"value\",\"checksum\"\n\"m\",\"not a number\",,,,\n",
    );
    let run = scene.load_into("events", "*.csv", &["--format", "CSVWithNames"]);
    run.exits_with(EXIT_JOB_FAILED).says(&["m.csv"]);
    scene.assert_exact();
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[test]
fn a_file_that_was_replaced_after_the_plan_is_refused_by_name() {
    let scene = Scene::with_events(4, 300);
    let id = scene.submit(&["--chunk-files-max", "1"]);
    scene.forget("events-001.parquet");
    scene.put_rows("events-001.parquet", 301, Format::Parquet);
    scene.forget("events-001.parquet");
    scene.worker(&id).run();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (3, 1), "{tasks:?}");
    let failed = tasks.0.iter().find(|task| task.state == "failed").expect("a failed task");
    assert!(failed.error.contains("events-001.parquet"), "{}", failed.error);
    scene.assert_exact();
    scene.assert_clean(&id);
}

#[test]
fn a_file_that_is_gone_after_the_plan_fails_its_task_by_name() {
    let scene = Scene::with_events(3, 300);
    let id = scene.submit(&["--chunk-files-max", "1"]);
    scene.delete("events-002.parquet");
    scene.worker(&id).run();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (2, 1), "{tasks:?}");
    let failed = tasks.0.iter().find(|task| task.state == "failed").expect("a failed task");
    assert!(failed.error.contains("events-002.parquet"), "{}", failed.error);
    scene.assert_exact();
    scene.assert_clean(&id);
}

#[test]
fn a_view_that_throws_fails_the_task_and_leaves_both_targets_without_its_rows() {
    let scene = Scene::with_events(4, 300);
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.picky ENGINE = MergeTree ORDER BY n AS \
         SELECT n, throwIf(file = 'events-003.parquet', 'no such rows here') AS ok FROM {db}.events;\n",
    );
    let id = scene.submit(&["--chunk-files-max", "1"]);
    scene.worker(&id).run();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (3, 1), "{tasks:?}");
    scene.forget("events-003.parquet");
    scene.assert_exact();
    scene.assert_clean(&id);
}
