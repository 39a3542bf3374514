//! A server that is started again in the middle of a task: between the making of the staging tables and the
//! load, which it may take before it knows the clones of the views; and under the load itself, for which the
//! task may be the cause.

use std::fs;

use longshore_tests::{CLICKHOUSE, LONG_LEASE, OwnBed, Scene, TaskRow, send_signal, wait_for};

/// A task is loaded alone after its worker and its server have been well for twice as long. A server that starts
/// on a busy machine must not take it.
const LEASE: &str = "20s";

/// One task whose load takes some seconds, on a server of its own.
fn slow_load(bed: &OwnBed) -> Scene {
    Scene::on(&bed.bed).and_events(1, 100)
}

const SLOW: [&str; 4] = ["--attempts-max", "1", "--where", "sleepEachRow(0.028) = 0"];

/// Kills the server under the load of the only task and starts it again, `times` over.
fn restart_under_the_load(bed: &OwnBed, scene: &Scene, job: &str, times: u64) {
    for time in 1..=times {
        wait_for("the load runs", || {
            let running = "SELECT count() FROM system.processes WHERE query_kind = 'Insert' \
                           AND query LIKE '%sleepEachRow%' AND elapsed > 1.2";
            scene.admin.try_run(running).ok().filter(|count| count == "1")
        });
        send_signal(bed.pid(CLICKHOUSE), "KILL");
        bed.restart(CLICKHOUSE);
        wait_for("the restart is held against the task", || {
            let tasks = scene.try_tasks()?.0;
            let is_it = |task: &TaskRow| task.id.starts_with(job) && task.deaths == time;
            tasks.iter().any(is_it).then_some(())
        });
    }
}

#[test]
fn a_load_under_which_the_server_restarted_three_times_is_run_once_more_alone() {
    let bed = OwnBed::start();
    let scene = slow_load(&bed);
    let job = scene.submit(&SLOW);
    let running = scene.worker(&job).env("LONGSHORE_LEASE", LEASE).spawn();
    restart_under_the_load(&bed, &scene, &job, 3);
    running.wait().ok().says(&["loaded alone", "the server restarted before"]);
    assert_eq!(scene.tasks().0[0].state, "done", "{:?}", scene.tasks());
    scene.settle(&job, "three restarts under one load");

    // The fourth time it is alone, so it is the cause as far as anybody can tell.
    let again = scene.submit(&[SLOW.as_slice(), &["--again", "four"]].concat());
    let running = scene.worker(&again).env("LONGSHORE_LEASE", LEASE).spawn();
    restart_under_the_load(&bed, &scene, &again, 4);
    running.wait();
    let status = scene.status(&again);
    assert_eq!(status["state"], "failed", "{status}");
    let task = scene.tasks().0.into_iter().find(|task| task.id.starts_with(&again));
    let task = task.expect("the task of the second job");
    assert_eq!(task.state, "failed", "{task:?}");
    assert!(task.error.contains("the server restarted 4 times while it was loaded"), "{task:?}");
}

#[test]
fn a_load_that_a_restarted_server_took_begins_anew() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(1, 300);
    let job = scene.submit(&[]);
    let gate = scene.folder().join("gate");
    let faults = format!("stage.after=1*until({})->off", gate.display());
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).faults(faults).spawn();
    wait_for("the set is staged", || worker.words().contains("until(").then_some(()));
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
    fs::write(&gate, "").expect("a writable folder");
    worker.wait().ok().says(&["started again since the staging tables were made"]);
    assert!(scene.loads(&job) >= 2, "it was loaded anew");
    scene.settle(&job, "a server that was started between staging and load");
}
