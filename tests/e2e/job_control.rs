//! Pause, halt, resume and cancel: beside workers that load, die and wake up again.

use std::time::Duration;

use longshore_shared::faults::{self, Point};
use longshore_tests::{LONG_LEASE, Running, Scene, wait_for, within};

/// A load of 100 rows takes a second: the server reads one after the other.
const SLOW: &str = "sleepEachRow(0.01) = 0";
const EXIT_CONFLICT: i32 = 6;

/// Eight files of 100 rows, a chunk each, and workers that wait for jobs.
fn slow_job(count: usize) -> (Scene, String, Vec<Running>) {
    let scene = Scene::with_events(8, 100);
    let job = scene.submit(&["--chunk-files-max", "1", "--where", SLOW]);
    let workers = start_workers(&scene, count);
    (scene, job, workers)
}

/// Workers whose lease outlives a busy machine: what a dead one has in hand waits while a job is paused.
fn start_workers(scene: &Scene, count: usize) -> Vec<Running> {
    let worker = || scene.endless_worker().env("LONGSHORE_LEASE", LONG_LEASE);
    (0..count).map(|_| worker().spawn()).collect()
}

/// Visits all points at once, each in a scene of its own.
pub(crate) fn at_once(points: impl IntoIterator<Item = Point>, visit: impl Fn(Point) + Sync) {
    let visit = &visit;
    std::thread::scope(|scope| {
        for point in points {
            scope.spawn(move || visit(point));
        }
    });
}

fn end(workers: Vec<Running>) {
    for mut worker in workers {
        worker.kill();
    }
}

/// Only rows of tasks that are done are in the target.
fn only_done_rows(scene: &Scene) {
    let done: u64 = scene.tasks().0.iter().map(|task| task.rows).sum();
    let there = scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db));
    assert_eq!(there, done, "{:?}", scene.tasks());
    scene.assert_view("daily_mv");
    scene.assert_view("buys");
}

fn running_queries(scene: &Scene, job: &str) -> u64 {
    scene.admin.number(&format!(
        "SELECT count() FROM system.processes WHERE startsWith(query_id, '{job}-')"
    ))
}

#[test]
fn a_paused_job_ends_what_is_in_flight_and_begins_nothing() {
    let (scene, job, workers) = slow_job(2);
    wait_for("some are loading", || (scene.tasks().count("claimed") > 0).then_some(()));
    let paused = scene.longshore(["pause", &job, "--json"]).run().ok();
    assert_eq!(
        (&paused.json()["state"], &paused.json()["changed"]),
        (&"paused".into(), &true.into())
    );
    wait_for("nothing is in flight", || {
        let tasks = scene.tasks();
        (tasks.count("claimed") + tasks.count("publishing") == 0).then_some(())
    });
    let before = scene.tasks();
    assert!(before.count("done") > 0 && before.count("pending") > 0, "{before:?}");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(scene.tasks(), before, "nothing of a paused job is begun");
    only_done_rows(&scene);
    scene.longshore(["pause", &job]).run().ok().says(&["is paused already"]);
    scene.longshore(["resume", &job]).run().ok().says(&["goes on"]);
    wait_for("all is done", || scene.tasks().all("done").then_some(()));
    end(workers);
    scene.settle(&job, "paused and resumed");
}

#[test]
fn a_halted_job_gives_its_loads_back_within_seconds() {
    let scene = Scene::with_events(12, 250);
    let more = ["--chunk-files-max", "6", "--where", SLOW, "--settings", "max_threads=1"];
    let job = scene.submit(&more);
    let workers = start_workers(&scene, 2);
    wait_for("both are loading", || (running_queries(&scene, &job) > 1).then_some(()));
    // Each load would take a quarter of a minute.
    scene.longshore(["pause", &job, "--now", "--reason", "night"]).run().ok();
    let given_back = within(Duration::from_secs(12), || scene.tasks().all("pending").then_some(()));
    assert!(given_back.is_some(), "{:?}", scene.tasks());
    assert!(scene.tasks().0.iter().all(|task| task.attempts == 0), "{:?}", scene.tasks());
    assert_eq!(running_queries(&scene, &job), 0);
    wait_for("nothing is staged", || scene.staged().is_empty().then_some(()));
    assert_eq!(scene.status(&job)["reason"], "night");
    end(workers);
    only_done_rows(&scene);
}

#[test]
fn a_cancelled_job_keeps_what_is_done_and_nothing_else() {
    let (scene, job, workers) = slow_job(2);
    wait_for("some are done, some are loading", || {
        let tasks = scene.tasks();
        (tasks.count("done") > 1 && tasks.count("claimed") > 0).then_some(())
    });
    let cancelled = scene.longshore(["cancel", &job, "--json"]).run().ok().json();
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(running_queries(&scene, &job), 0);
    let tasks = scene.tasks();
    assert_eq!(tasks.count("done") + tasks.count("pending"), 8, "{tasks:?}");
    assert!(tasks.count("pending") > 0, "{tasks:?}");
    only_done_rows(&scene);
    wait_for("nothing is staged", || scene.staged().is_empty().then_some(()));
    scene.longshore(["submit", &job]).run().exits_with(EXIT_CONFLICT).says(&["longshore resume"]);
    scene.longshore(["cancel", &job]).run().ok().says(&["was cancelled before"]);
    // Somebody thinks better of it.
    scene.longshore(["resume", &job]).run().ok();
    wait_for("all is done", || scene.tasks().all("done").then_some(()));
    end(workers);
    scene.settle(&job, "cancelled and resumed");
}

#[test]
fn a_cancelled_job_whose_workers_are_dead_is_wound_down_by_one_of_its_own() {
    let points =
        [faults::STAGE_AFTER, faults::MANIFEST_BEFORE, faults::MANIFEST_AFTER, faults::MOVE_AFTER];
    at_once(points, |point| {
        let scene = Scene::with_events(4, 200);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let dead = scene.worker(&job).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{dead}");
        let is_publishing = scene.tasks().count("publishing") == 1;
        scene.longshore(["cancel", &job]).run().ok().says(&["is cancelled"]);
        let tasks = scene.tasks();
        assert_eq!(tasks.count("done"), usize::from(is_publishing), "{}: {tasks:?}", point.0);
        assert_eq!(tasks.count("pending"), 4 - tasks.count("done"), "{}: {tasks:?}", point.0);
        only_done_rows(&scene);
        assert_eq!(scene.staged(), Vec::<String>::new(), "{}", point.0);
    });
}

#[test]
fn a_worker_that_dies_while_it_winds_a_job_down_is_followed_by_another() {
    let points: Vec<Point> = faults::CANCEL.iter().chain(faults::TAKE_OVER).copied().collect();
    at_once(points, |point| {
        let scene = Scene::with_events(3, 100);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let dead = scene.worker(&job).faults(format!("{}=exit", faults::MOVE_AFTER.0)).run();
        assert!(dead.was_killed(), "{dead}");
        scene.longshore(["cancel", &job, "--no-wait"]).run().ok().says(&["is cancelling"]);
        let dead = scene.worker(&job).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{}: {dead}", point.0);
        scene.longshore(["cancel", &job]).run().ok();
        assert_eq!(scene.status(&job)["state"], "cancelled", "{}", point.0);
        assert_eq!(scene.tasks().count("done"), 1, "{}: {:?}", point.0, scene.tasks());
        only_done_rows(&scene);
        assert_eq!(scene.staged(), Vec::<String>::new(), "{}", point.0);
    });
}

#[test]
fn a_worker_that_sleeps_through_a_cancel_changes_nothing_when_it_wakes() {
    let points = [
        faults::CLAIM_BEFORE,
        faults::CLAIM_AFTER,
        faults::MANIFEST_BEFORE,
        faults::MANIFEST_AFTER,
    ];
    at_once(points, |point| {
        let scene = Scene::with_events(2, 100);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let sleeper = scene.worker(&job).faults(format!("{}=1*sleep(5000)", point.0)).spawn();
        wait_for("it sleeps", || {
            (scene.tasks().count("pending") < 2 || point == faults::CLAIM_BEFORE).then_some(())
        });
        std::thread::sleep(Duration::from_millis(500));
        scene.longshore(["cancel", &job]).run().ok();
        let before = (scene.tasks().count("done"), scene.tasks().count("pending"));
        sleeper.wait();
        assert_eq!(scene.status(&job)["state"], "cancelled");
        assert_eq!((scene.tasks().count("done"), scene.tasks().count("pending")), before);
        only_done_rows(&scene);
        assert_eq!(scene.staged(), Vec::<String>::new(), "{}", point.0);
        scene.longshore(["resume", &job]).run().ok();
        scene.settle(&job, point.0);
    });
}

#[test]
fn a_cancelled_exchange_leaves_the_target_as_it_was() {
    let scene = Scene::for_swaps(&longshore_tests::Bed::from_env()).with_old_events(3, 200);
    let job = scene.submit(&["--publish", "exchange", "--chunk-files-max", "1"]);
    let dead = scene.worker(&job).faults(format!("{}=2*off->exit", faults::DONE_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    assert!(!scene.shadows().is_empty());
    scene.longshore(["cancel", &job]).run().ok();
    assert_eq!(scene.shadows(), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
    scene.assert_untouched();
    let refused = scene.longshore(["resume", &job]).run().exits_with(EXIT_CONFLICT);
    refused.says(&["the shadows that it filled are gone", "--again"]);
}
