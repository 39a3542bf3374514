//! Many workers, one job: a task belongs to exactly one of them.

use longshore_tests::{Format, LONG_LEASE, Running, Scene, long_or};

/// More than one segment of the cursor (64 tasks each), so that workers also count at once; more than
/// two in a long run.
const TASKS: [usize; 2] = [72, 140];

#[test]
fn sixteen_workers_claim_each_task_once() {
    let files = long_or(TASKS[0], TASKS[1]);
    let scene = Scene::new();
    // A plain table: what costs here is to be the workers' quarrel, not the server's work.
    scene.create(
        "CREATE TABLE {db}.events
         (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
         ENGINE = MergeTree ORDER BY (file, n);\n",
    );
    for file in 0..files {
        scene.put_rows(&format!("{file:03}.parquet"), 20, Format::Parquet);
    }
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let workers: Vec<Running> = (0..16)
        .map(|_| {
            let worker = scene.worker(&job).args(["--slots", "1", "--load-ahead", "true"]);
            worker.env("LONGSHORE_LEASE", LONG_LEASE).spawn()
        })
        .collect();
    for worker in workers {
        worker.wait().ok();
    }
    let tasks = scene.tasks();
    assert_eq!(tasks.0.len(), files);
    for task in &tasks.0 {
        assert_eq!((task.state.as_str(), task.epoch, task.attempts), ("done", 1, 1), "{task:?}");
    }
    let claims = scene.admin.rows(&format!(
        "SELECT uniqExact(task_id), count(), uniqExact(worker) > 1 FROM {}.attempts \
         WHERE job_id = '{job}' AND event = 'done'",
        scene.control
    ));
    let expected = [files.to_string(), files.to_string(), "1".to_owned()];
    assert_eq!(claims, [expected], "the history tells the same, of more than one worker");
    let status = scene.status(&job);
    assert_eq!(status["tasks"]["done"], files, "each is counted once: {status}");
    assert_eq!(status["rows"], files * 20);
    scene.assert_rows("events");
    scene.assert_clean(&job);
}

#[test]
fn the_slots_of_one_worker_claim_each_task_once() {
    // Two tasks for each slot: one is published while the next is loaded.
    let slots = long_or(4, 8);
    let scene = Scene::with_events(slots * 2, 50);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let slots = slots.to_string();
    let worker = scene.worker(&job).args(["--slots", &slots, "--load-ahead", "true"]);
    worker.env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    assert!(scene.tasks().0.iter().all(|task| task.epoch == 1 && task.state == "done"));
    scene.assert_exact();
    scene.assert_clean(&job);
}
