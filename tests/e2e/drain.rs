//! An orderly end: SIGTERM finishes or hands back, and leaves no staging tables.

use longshore_tests::{LONG_LEASE, Scene, wait_for};

use crate::crashes::settle;

#[test]
fn a_worker_that_is_asked_to_end_leaves_nothing_behind() {
    let scene = Scene::with_events(12, 300);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let slow = "load.after=sleep(300);move.after=sleep(50)";
    let worker = scene
        .worker(&job)
        .args(["--slots", "3"])
        .env("LONGSHORE_LEASE", LONG_LEASE)
        .faults(slow)
        .spawn();
    wait_for("work is in flight", || {
        let tasks = scene.tasks();
        (tasks.count("done") >= 2 && tasks.count("claimed") + tasks.count("publishing") >= 1)
            .then_some(())
    });
    worker.signal("TERM");
    worker.wait().ok();

    assert_eq!(scene.staged(), Vec::<String>::new(), "staging tables are left");
    let tasks = scene.tasks();
    assert_eq!(tasks.count("claimed") + tasks.count("publishing"), 0, "{:?}", tasks.states());
    assert!(tasks.count("pending") > 0, "the job was far from its end: {:?}", tasks.states());
    assert_eq!(scene.status(&job)["state"], "running");
    let workers = scene.admin.number(&format!("SELECT count() FROM {}.workers", scene.control));
    assert_eq!(workers, 0, "a worker that left says so");

    settle(&scene, &job, "after a drain");
    assert!(scene.tasks().0.iter().all(|task| task.attempts == 1), "handing back uses no attempt");
}

#[test]
fn an_idle_worker_ends_at_once() {
    let scene = Scene::with_events(0, 0);
    let worker = scene.endless_worker().spawn();
    wait_for("the worker is registered", || {
        let workers = scene.admin.number(&format!("SELECT count() FROM {}.workers", scene.control));
        (workers == 1).then_some(())
    });
    worker.signal("INT");
    worker.wait().ok();
}

#[test]
fn a_second_signal_ends_a_worker_at_once_and_everything_is_recoverable() {
    let scene = Scene::with_events(2, 300);
    let job = scene.submit(&[]);
    // The manifest is written, so the drain may not hand the task back: it would wait here for minutes.
    let worker = scene.worker(&job).faults("manifest.after=1*sleep(600000)").spawn();
    wait_for("the task is publishing", || (scene.tasks().count("publishing") == 1).then_some(()));
    worker.signal("TERM");
    wait_for("the worker drains", || {
        let draining = format!("SELECT count() FROM {}.workers WHERE draining = 1", scene.control);
        (scene.admin.number(&draining) == 1).then_some(())
    });
    worker.signal("TERM");
    let ended = worker.wait();
    assert!(!ended.was_killed());
    assert_ne!(ended.code(), Some(0), "it left work behind and says so\n{ended}");
    settle(&scene, &job, "after a second signal");
}

#[test]
fn run_passes_a_signal_on_to_its_workers() {
    let scene = Scene::with_events(12, 300);
    let id = scene.plan(&["--chunk-files-max", "1"]);
    let run = scene
        .longshore(["run", &id, "--workers", "2"])
        .faults("load.after=sleep(400)")
        .env("LONGSHORE_LEASE", LONG_LEASE)
        .spawn();
    wait_for("work is in flight", || (scene.tasks().count("claimed") > 0).then_some(()));
    run.signal("INT");
    let ended = run.wait();
    assert!(!ended.was_killed());
    let workers = scene.admin.number(&format!("SELECT count() FROM {}.workers", scene.control));
    assert_eq!(workers, 0, "its workers ended with it\n{ended}");
    assert_eq!(scene.staged(), Vec::<String>::new(), "staging tables are left");
    settle(&scene, &id, "after an interrupted run");
}
