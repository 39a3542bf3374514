//! H10: a worker has decided that a job is over, and is held; the job is closed by another one and
//! opened again. What was decided before must not close it.

use longshore_tests::{LONG_LEASE, Scene, wait_for};

fn held_at(point: &str) {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let gate = scene.folder().join("gate");
    let faults = format!("{point}=1*until({})->off", gate.display());
    let held = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).faults(faults).spawn();
    wait_for("a worker is about to close the job", || {
        held.words().contains("until(").then_some(())
    });
    scene.worker(&job).run().ok();
    assert_eq!(scene.status(&job)["state"], "completed", "the other worker has closed it");
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    scene.longshore(["resume", &job, "--replay-done"]).run().ok();
    // The held worker must not find work before it has tried to close the job.
    scene.longshore(["pause", &job]).run().ok();
    scene.longshore(["resume", &job]).run().ok();
    std::fs::write(&gate, "").expect("a writable folder");
    held.wait().ok();
    scene.settle(&job, point);
}

#[test]
fn before_it_has_looked() {
    held_at("finish.before");
}

#[test]
fn after_the_audit() {
    held_at("finish.audited");
}

#[test]
fn a_cancelled_job_that_goes_on_is_not_closed_by_an_old_decision() {
    let scene = Scene::with_events(3, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.longshore(["cancel", &job, "--no-wait"]).run().ok();
    let gate = scene.folder().join("gate");
    let faults = format!("cancel.swept=1*until({})->off", gate.display());
    let held = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).faults(faults).spawn();
    wait_for("a worker winds the job down", || held.words().contains("until(").then_some(()));
    scene.longshore(["cancel", &job]).run().ok();
    scene.longshore(["resume", &job]).run().ok();
    scene.longshore(["cancel", &job, "--no-wait"]).run().ok();
    std::fs::write(&gate, "").expect("a writable folder");
    held.wait().ok();
    let state = scene.status(&job)["state"].clone();
    assert!(state == "cancelled" || state == "cancelling", "{state}");
    scene.longshore(["cancel", &job]).run().ok();
    scene.longshore(["resume", &job]).run().ok();
    scene.settle(&job, "cancelled twice");
}
