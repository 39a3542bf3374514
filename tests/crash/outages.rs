//! H16: outages use no attempt up. Every job here has one attempt a task, so the first outage that
//! was counted would fail a task.

use std::thread;
use std::time::Duration;

use longshore_tests::{CLICKHOUSE, KEEPER, OwnBed, S3, Scene, Tasks, long_or, wait_for};

/// Tasks of a job in a usual run, and in a long one: the kills come while some of them are loaded.
const FILES: [usize; 2] = [6, 37];
/// Kills of a usual run, and of a long one (H16: twenty in 100 seconds); `LONGSHORE_CRASH_KILLS` asks for more.
const KILLS: [usize; 2] = [2, 20];
const ONE_ATTEMPT: [&str; 4] = ["--chunk-files-max", "1", "--attempts-max", "1"];

/// How often a part of the installation is killed while the job runs.
fn kills() -> usize {
    let asked = std::env::var("LONGSHORE_CRASH_KILLS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(long_or(KILLS[0], KILLS[1]))
}

fn is_over(tasks: &Tasks) -> bool {
    tasks.count("done") + tasks.count("failed") + tasks.count("quarantined") == tasks.0.len()
}

/// Kills one part again and again beside the job, at default settings of everything else.
fn killed_again_and_again(part: &str) {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(long_or(FILES[0], FILES[1]), 3_000);
    let job = scene.submit(&ONE_ATTEMPT);
    // A load is long enough for a kill to meet it.
    let slow = "load.after=sleep(800)";
    let mut workers = [(); 2].map(|()| scene.endless_worker().faults(slow).spawn());
    for _ in 0..kills() {
        let tasks = wait_for("tasks are in work", || {
            let tasks = scene.try_tasks()?;
            (tasks.count("claimed") > 0 || is_over(&tasks)).then_some(tasks)
        });
        if is_over(&tasks) {
            break;
        }
        bed.signal(part, "KILL");
        thread::sleep(Duration::from_millis(300));
        bed.restart(part);
    }
    wait_for("every task has ended", || is_over(&scene.try_tasks()?).then_some(()));
    let tasks = scene.tasks();
    assert!(tasks.all("done"), "{part}: {tasks:?}");
    for worker in &mut workers {
        worker.signal("TERM");
    }
    for worker in workers {
        worker.wait();
    }
    scene.settle(&job, part);
}

#[test]
fn clickhouse_was_killed_again_and_again() {
    killed_again_and_again(CLICKHOUSE);
}

#[test]
fn keeper_was_killed_again_and_again() {
    killed_again_and_again(KEEPER);
}

#[test]
fn the_store_was_killed_again_and_again() {
    killed_again_and_again(S3);
}

#[test]
fn run_waits_for_a_server_that_was_killed() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(3, 1_000);
    let job = scene.plan(&ONE_ATTEMPT);
    let mut run = scene.longshore(["run", &job, "--workers", "1"]).spawn();
    wait_for("tasks are in work", || (scene.try_tasks()?.count("claimed") > 0).then_some(()));
    bed.signal(CLICKHOUSE, "KILL");
    // Longer than a statement is tried again by itself.
    thread::sleep(Duration::from_secs(8));
    assert!(!run.has_ended(), "run gave up: {}", run.words());
    bed.restart(CLICKHOUSE);
    run.wait().ok().says(&["completed"]);
    scene.settle(&job, "a server killed under run");
}

/// A server that finds no Keeper at its start answers that its control tables are not activated, with
/// the code that it also has for tables that Keeper does not know any more.
#[test]
fn a_server_that_starts_without_its_keeper_is_waited_for() {
    let bed = OwnBed::start_with(&[("LONGSHORE_TESTBED_KEEPER_RETRIES", "1".to_owned())]);
    let scene = Scene::on(&bed.bed).and_events(3, 1_000);
    let job = scene.submit(&ONE_ATTEMPT);
    let slow = "load.after=sleep(800)";
    let mut worker = scene.worker(&job).faults(slow).spawn();
    wait_for("tasks are in work", || (scene.try_tasks()?.count("claimed") > 0).then_some(()));
    bed.signal(KEEPER, "KILL");
    bed.signal(CLICKHOUSE, "KILL");
    bed.restart(CLICKHOUSE);
    // Scripts try again after this code.
    let status = scene.longshore(["status", &job]).run().exits_with(5);
    status.says(&["was started and has not reached its Keeper since"]);
    // Nothing is made anew: the rows are in that Keeper.
    scene.longshore(["init", "--keeper-is-lost"]).run().exits_with(5);
    assert!(!worker.has_ended(), "the worker gave up: {}", worker.words());
    bed.restart(KEEPER);
    worker.wait().ok();
    assert!(scene.tasks().all("done"), "{:?}", scene.tasks());
    scene.settle(&job, "a server that started without its Keeper");
}
