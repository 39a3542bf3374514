//! Jobs that publish everything at their end: `--publish exchange` and `--publish replace`.

use longshore_tests::{Bed, Scene};

fn scene(files: usize, rows: u64) -> Scene {
    Scene::for_swaps(&Bed::from_env()).with_old_events(files, rows)
}

#[test]
fn an_exchange_shows_everything_at_once_and_keeps_the_old_table() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "exchange", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    assert_eq!(scene.tasks().0.len(), 4, "three chunks and the task that publishes");
    scene.settle_swap(&job, "exchange", "an exchange");
}

#[test]
fn a_replacement_takes_the_place_of_whole_partitions() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "replace", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    scene.settle_swap(&job, "replace", "a replacement");
}

#[test]
fn nothing_is_published_when_a_task_failed() {
    for mode in ["exchange", "replace"] {
        let scene = scene(3, 300);
        scene.put_bytes("events-broken.parquet", b"PAR1 is not all it takes PAR1");
        let schema = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
        let flags = ["--publish", mode, "--chunk-files-max", "1", "--structure", schema];
        let job = scene.submit(&flags);
        scene.finish_all(&job);
        assert_eq!(scene.status(&job)["state"], "failed", "{mode}");
        let tasks = scene.tasks();
        assert_eq!((tasks.count("done"), tasks.count("failed")), (3, 2), "{mode}: {tasks:?}");
        let last = tasks.0.last().expect("tasks").clone();
        assert!(last.error.contains("Nothing is published"), "{mode}: {last:?}");
        assert!(last.error.contains("tasks failed: 1"), "{mode}: {last:?}");
        scene.assert_untouched();
    }
}

/// Plans a copy of `events` into itself; the id of the submitted job.
fn in_place(scene: &Scene, mode: &str, flags: &[&str]) -> String {
    let events = format!("{}.events", scene.db);
    let args =
        ["plan", "copy", "--json", "--from", &events, "--target", &events, "--publish", mode];
    let planned = scene.longshore(args).args(flags).run().ok();
    let job = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["submit", &job]).run().ok();
    job
}

fn count(scene: &Scene, table: &str, condition: &str) -> u64 {
    scene.admin.number(&format!("SELECT count() FROM {}.{table} WHERE {condition}", scene.db))
}

#[test]
fn a_table_takes_its_own_place() {
    for mode in ["exchange", "replace"] {
        let scene = scene(0, 0);
        let select = "file, n, day, kind, value + 1 AS value, checksum";
        let job = in_place(&scene, mode, &["--select", select, "--chunk-bytes", "4K"]);
        assert!(scene.tasks().0.len() > 3, "{mode}: several chunks: {:?}", scene.tasks());
        let sum = "SELECT sum(value), count() FROM {}.events";
        let sum = || scene.admin.rows(&sum.replace("{}", &scene.db)).swap_remove(0);
        let before = sum();
        scene.finish(&job);
        assert_eq!(scene.status(&job)["state"], "completed", "{mode}: {:?}", scene.tasks());
        let [value, rows] = [0, 1].map(|at| before[at].parse::<u64>().expect("a number"));
        assert_eq!(sum(), [(value + rows).to_string(), rows.to_string()], "{mode}");
        assert_eq!(scene.shadows(), Vec::<String>::new(), "{mode}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "{mode}: the snapshot is dropped too");
    }
}

#[test]
fn rows_that_came_after_the_plan_are_never_lost_silently() {
    for mode in ["exchange", "replace"] {
        let scene = scene(0, 0);
        let job = in_place(&scene, mode, &[]);
        let late = "INSERT INTO {}.events (file, n, day) VALUES ('late', 1, '2024-01-05')";
        scene.admin.run(&late.replace("{}", &scene.db));
        scene.worker(&job).run().ok();
        let status = scene.status(&job);
        assert_eq!(status["state"], "paused", "{mode}: {:?}", scene.tasks());
        let reason = status["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains("1 rows were written"), "{mode}: {reason}");
        assert!(reason.contains("Nothing is published"), "{mode}: {reason}");
        assert_eq!(count(&scene, "events", "1"), 451, "{mode}: untouched");
    }
    // By consent it goes on, and what is in the old table only is told.
    let scene = scene(0, 0);
    let job = in_place(&scene, "exchange", &["--late-rows", "tell"]);
    scene.admin.run(&format!(
        "INSERT INTO {}.events (file, n, day) VALUES ('late', 1, '2024-01-05')",
        scene.db
    ));
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_eq!((count(&scene, "events", "1"), count(&scene, "events", "file = 'late'")), (450, 0));
    assert_eq!(count(&scene, &format!("events_before_{job}"), "file = 'late'"), 1);
    let last = scene.tasks().0.last().expect("tasks").id.clone();
    let shown = scene.longshore(["task", &last]).run().ok();
    assert!(shown.stdout.contains("only in"), "{shown}");
}
