//! Faults inside the process: a panic, too few files, a task that kills whoever takes it, and
//! answers that never come although the server did its part.

use std::process::Command;

use longshore_shared::faults;
use longshore_tests::{LONG_LEASE, Scene, drawn_few, wait_for};

use crate::crashes::settle;

#[test]
fn a_panic_at_any_point_costs_one_attempt_and_not_the_worker() {
    for points in drawn_few(faults::ALL, 5).chunks(5) {
        let scene = Scene::with_events(5, 200);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let plan: Vec<String> = points.iter().map(|point| format!("{}=1*panic", point.0)).collect();
        // One slot, one worker, a lease that does not lapse: nobody else could go on.
        let worker = scene.worker(&job).args(["--slots", "1"]).env("LONGSHORE_LEASE", LONG_LEASE);
        let ended = worker.faults(plan.join(";")).run().ok();
        for point in points {
            assert!(
                ended.stderr.contains(&format!("injected at {}", point.0)),
                "{point:?}\n{ended}"
            );
        }
        assert_eq!(scene.status(&job)["state"], "completed", "{points:?}\n{ended}");
        settle(&scene, &job, &format!("{points:?}"));
    }
}

#[test]
fn a_statement_that_was_done_and_looks_failed_is_found_out() {
    for statement in drawn_few(faults::CHANGES, 3) {
        let scene = Scene::with_events(2, 200);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let faults = format!("answer.{statement}=2*do-then-error");
        let worker = scene.worker(&job).env("LONGSHORE_LEASE", "5s").faults(faults);
        worker.run();
        settle(&scene, &job, statement);
    }
}

#[test]
fn a_task_that_kills_its_workers_is_given_up_and_the_rest_goes_on() {
    let scene = Scene::with_events(3, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let poison = format!("{job}-0000001");
    let mut deaths = 0;
    while scene.tasks().0.iter().any(|task| task.id == poison && task.state != "failed") {
        let task = scene.tasks().0.into_iter().find(|task| task.id == poison).expect("the task");
        assert!(task.deaths <= 8, "it is given up some time: {task:?}");
        let worker = scene.worker(&job).args(["--slots", "1"]);
        let dead = worker.faults(format!("task.{poison}=exit")).run();
        deaths += u64::from(dead.was_killed());
    }
    wait_for("the job has ended", || {
        scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).run();
        (scene.status(&job)["state"] == "failed").then_some(())
    });
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (2, 1), "{tasks:?}");
    let task = tasks.0.iter().find(|task| task.id == poison).expect("the task");
    // Three deaths make it a suspect; the fourth worker loads it alone. One death may count less
    // where a busy machine made leases lapse by themselves.
    assert!(task.deaths == 4 && deaths >= 4, "{deaths} were killed: {task:?}");
    assert!(task.error.contains("4 times while it was loaded, the last time alone"), "{task:?}");
    scene.forget("events-001.parquet");
    scene.assert_exact();
    scene.assert_clean(&job);
}

#[test]
fn a_worker_that_may_open_no_more_files_goes_on_when_it_may() {
    for files in drawn_few(&[10, 13, 16], 1) {
        let scene = Scene::with_events(4, 200);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let worker = scene.worker(&job).args(["--slots", "4"]).faults("load.after=sleep(200)");
        let worker = worker.spawn();
        wait_for("a task is claimed", || (scene.tasks().count("claimed") > 0).then_some(()));
        limit_files(worker.pid(), files);
        // Long enough for heartbeats to fail, not a condition that a test could wait for.
        std::thread::sleep(std::time::Duration::from_secs(1));
        limit_files(worker.pid(), 1_024);
        worker.wait().ok();
        settle(&scene, &job, &format!("{files} files"));
    }
}

fn limit_files(pid: u32, files: u32) {
    let limit = format!("--nofile={files}:4096");
    let done = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit {limit}");
}

#[test]
fn fifty_workers_with_one_name_and_one_task_claim_it_once() {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&[]);
    let twin = || {
        let worker = scene.worker(&job).args(["--slots", "1", "--name", "twin"]);
        worker.env("LONGSHORE_LEASE", LONG_LEASE).spawn()
    };
    let twins: Vec<_> = (0..50).map(|_| twin()).collect();
    for twin in twins {
        twin.wait().ok();
    }
    let tasks = scene.tasks();
    assert_eq!(tasks.0.len(), 1);
    assert_eq!((tasks.0[0].epoch, tasks.0[0].attempts), (1, 1), "{tasks:?}");
    settle(&scene, &job, "fifty twins");
}
