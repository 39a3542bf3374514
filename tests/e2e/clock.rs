//! Clocks of the machines that workers run on may be wrong: only the server's clock judges a lease.

use longshore_tests::{Program, Scene, wait_for};

use crate::crashes::settle;

/// Shifts the wall clock of a program; what it measures durations with stays as it is.
fn with_clock(program: Program, shift: &str) -> Program {
    let library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("libfaketime is installed: scripts/test does it");
    program
        .env("LD_PRELOAD", library)
        .env("FAKETIME", shift)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

#[test]
fn a_worker_with_a_wrong_clock_takes_nothing_from_others_and_loses_nothing_to_them() {
    let scene = Scene::with_events(8, 300);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let worker = |shift: &str, faults: &str| {
        let worker = scene.worker(&job).args(["--slots", "4"]).faults(faults);
        with_clock(worker, shift).env("LONGSHORE_LEASE", "20s").spawn()
    };
    // One has half of the tasks in its hands for longer than the others need to look at them.
    let steady = worker("+0", "load.after=4*sleep(5000)");
    wait_for("four tasks are claimed", || (scene.tasks().count("claimed") == 4).then_some(()));
    let [ahead, behind] = ["+1h", "-1h"].map(|shift| worker(shift, "load.after=1*sleep(100)"));
    for worker in [steady, ahead, behind] {
        worker.wait().ok();
    }
    settle(&scene, &job, "clocks an hour apart");
    let epochs: Vec<u64> = scene.tasks().0.iter().map(|task| task.epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == 1), "nobody's lease had lapsed: {epochs:?}");
}

#[test]
fn a_dead_worker_with_a_wrong_clock_is_replaced_in_time() {
    let scene = Scene::with_events(2, 300);
    let job = scene.submit(&[]);
    // From a clock an hour ahead its heartbeat would look fresh for an hour.
    let dead = with_clock(scene.worker(&job).faults("load.after=exit"), "+1h").run();
    assert!(dead.was_killed(), "{dead}");
    settle(&scene, &job, "a dead worker with a clock an hour ahead");
}
