//! Loads that run at the same time: how many, how wide, and what a slot does beside them.

use longshore_tests::{LONG_LEASE, Program, Scene, wait_for};

/// A worker of one slot that stops in the middle of its first publishing until the gate opens.
fn held(scene: &Scene, job: &str, ahead: &str) -> (Program, std::path::PathBuf) {
    let gate = scene.folder().join("gate");
    let fault = format!("manifest.after=1*until({})->off", gate.display());
    let worker = scene.worker(job).args(["--slots", "1", "--load-ahead", ahead]);
    (worker.env("LONGSHORE_LEASE", LONG_LEASE).faults(fault), gate)
}

/// Value of a setting in each load of the job, in the order of their beginning.
fn sent(scene: &Scene, job: &str, setting: &str) -> Vec<String> {
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let rows = scene.admin.rows(&format!(
        "SELECT Settings['{setting}'] FROM system.query_log WHERE type = 'QueryFinish' \
         AND startsWith(query_id, '{job}-') AND endsWith(query_id, '-load') \
         ORDER BY query_start_time_microseconds"
    ));
    rows.into_iter().flatten().collect()
}

#[test]
fn a_slot_loads_while_the_task_before_it_is_published() {
    let scene = Scene::with_events(6, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let (worker, gate) = held(&scene, &job, "true");
    let worker = worker.spawn();
    // The first one waits before its first MOVE; the others go on, one at a time.
    wait_for("all others are done", || {
        let tasks = scene.tasks();
        (tasks.count("publishing") == 1 && tasks.count("done") == 5).then_some(())
    });
    std::fs::write(gate, "").expect("a writable folder");
    worker.wait().ok();
    scene.assert_exact();
    scene.assert_clean(&job);
}

#[test]
fn a_slot_that_does_not_load_ahead_holds_one_task() {
    let scene = Scene::with_events(6, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let (worker, gate) = held(&scene, &job, "false");
    let worker = worker.spawn();
    wait_for("a task is published", || (scene.tasks().count("publishing") == 1).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(scene.tasks().count("pending"), 5);
    std::fs::write(gate, "").expect("a writable folder");
    worker.wait().ok();
    scene.assert_exact();
}

#[test]
fn what_a_drain_finds_in_hand_is_finished_or_given_back() {
    let scene = Scene::with_events(6, 200);
    let job = scene.submit(&["--chunk-files-max", "1", "--where", "sleepEachRow(0.01) = 0"]);
    let worker = scene.worker(&job).args(["--slots", "1", "--load-ahead", "true"]).spawn();
    wait_for("a task is done", || (scene.tasks().count("done") > 0).then_some(()));
    worker.signal("TERM");
    worker.wait().ok();
    let tasks = scene.tasks();
    assert_eq!(tasks.count("pending") + tasks.count("done"), 6, "{tasks:?}");
    scene.finish(&job);
    scene.assert_exact();
    scene.assert_clean(&job);
}

/// What was claimed ahead of a free slot is given back by a pause, and not loaded after it.
#[test]
fn a_task_that_waits_for_a_slot_is_not_loaded_after_a_pause() {
    let scene = Scene::with_events(6, 200);
    let job = scene.submit(&["--chunk-files-max", "1", "--where", "sleepEachRow(0.014) = 0"]);
    let worker = scene.worker(&job).args(["--slots", "1", "--load-ahead", "true"]);
    let worker = worker.env("LONGSHORE_LEASE", LONG_LEASE).spawn();
    wait_for("one loads and one waits", || (scene.tasks().count("claimed") == 2).then_some(()));
    scene.longshore(["pause", &job]).run().ok();
    worker.wait().ok();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("pending")), (1, 5), "{tasks:?}");
    scene.longshore(["resume", &job]).run().ok();
    scene.finish(&job);
    scene.assert_exact();
}

/// Cores of the server are shared among the loads; a task that is alone has them all.
#[test]
fn a_load_is_as_wide_as_there_are_cores_for_it() {
    let scene = Scene::with_events(4, 200);
    let cores = scene.admin.number("SELECT toUInt64(getSetting('max_threads'))");
    let job = scene.submit(&[]);
    scene.worker(&job).args(["--slots", "4"]).run().ok();
    assert_eq!(sent(&scene, &job, "max_insert_threads"), [cores.to_string()], "one task");

    let job = scene.submit(&["--chunk-files-max", "1", "--again", "four"]);
    scene.worker(&job).args(["--slots", "1"]).run().ok();
    assert_eq!(sent(&scene, &job, "max_insert_threads"), vec![cores.to_string(); 4], "one slot");

    let job = scene.submit(&["--chunk-files-max", "1", "--again", "slots"]);
    scene.worker(&job).args(["--slots", "256"]).run().ok();
    assert!(sent(&scene, &job, "max_threads").contains(&"1".to_owned()) || cores > 4);

    // What a person says holds.
    let job = scene.submit(&["--settings", "max_threads=3", "--again", "three"]);
    scene.worker(&job).run().ok();
    assert_eq!(sent(&scene, &job, "max_threads"), ["3"]);
}

/// Without a number a worker takes the cores of the server for itself and those that begin with it.
#[test]
fn workers_share_the_cores_of_the_server() {
    let scene = Scene::with_events(2, 100);
    let cores = scene.admin.number("SELECT toUInt64(getSetting('max_threads'))");
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let worker = |together: &str| {
        scene.worker(&job).without("LONGSHORE_SLOTS").env("LONGSHORE_TOGETHER", together)
    };
    let ended = worker("1").run();
    ended.says(&[&format!("slots={}", cores.clamp(1, 8))]);
    let job = scene.submit(&["--chunk-files-max", "1", "--again", "many"]);
    let ended = scene.worker(&job).without("LONGSHORE_SLOTS").env("LONGSHORE_TOGETHER", "256");
    ended.run().says(&["slots=1"]);
}

/// Rows of Parquet files are known from their footers at plan time; the etag pins them.
#[test]
fn rows_that_the_plan_knows_are_not_counted_again() {
    let counts = |scene: &Scene| {
        scene.admin.run("SYSTEM FLUSH LOGS query_log");
        scene.admin.number(&format!(
            "SELECT count() FROM system.query_log WHERE type = 'QueryFinish' \
             AND startsWith(query, 'SELECT count() AS rows FROM s3') AND query LIKE '%{}%'",
            scene.key("")
        ))
    };
    let scene = Scene::with_events(4, 200);
    let job = scene.submit(&[]);
    scene.worker(&job).run().ok();
    scene.assert_exact();
    assert_eq!(counts(&scene), 0);
}
