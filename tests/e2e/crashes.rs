//! A worker may die anywhere, and the rows are exact all the same.

use std::thread;
use std::time::{Duration, Instant};

use longshore_shared::faults::{self, Point};
use longshore_tests::{Format, Running, Scene, drawn, drawn_few, long_or};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Scenes that go on at the same time inside one test: they mostly wait for a lease to lapse.
const LANES: usize = 4;

#[test]
fn a_worker_that_dies_at_a_named_point_loses_and_doubles_nothing() {
    // The one sweep that is always whole.
    at_each(faults::ALL, |scene, point| {
        let job = two_tasks(scene, point);
        let dead = scene.worker(&job).args(["--slots", "1"]).faults(format!("{}=exit", point.0));
        let dead = dead.run();
        assert!(dead.was_killed(), "the worker never passed {}\n{dead}", point.0);
        settle(scene, &job, point.0);
    });
}

#[test]
fn a_worker_that_dies_at_the_second_pass_of_a_point_loses_and_doubles_nothing() {
    at_each(&drawn(faults::ALL), |scene, point| {
        // One task: the job finishes once, everything else happens more than once in its two tasks.
        if matches!(*point, faults::FINISH_BEFORE | faults::FINISH_AUDITED) {
            return;
        }
        let job = two_tasks(scene, point);
        let faults = format!("{}=1*off->exit", point.0);
        // Both of its tasks are in hand at the same time.
        let dead = scene.worker(&job).args(["--slots", "1", "--load-ahead", "true"]);
        let dead = dead.faults(faults).run();
        assert!(dead.was_killed(), "the worker never passed {} twice\n{dead}", point.0);
        settle(scene, &job, point.0);
    });
}

#[test]
fn an_error_at_a_named_point_is_survived() {
    at_each(&drawn(faults::ALL), |scene, point| {
        let job = two_tasks(scene, point);
        scene.worker(&job).faults(format!("{}=1*error", point.0)).run();
        settle(scene, &job, point.0);
    });
}

#[test]
fn a_worker_that_dies_at_a_named_point_of_a_copy_loses_and_doubles_nothing() {
    in_lanes(&drawn_few(faults::ALL, LANES), |point| {
        let scene = Scene::with_source(2, 300);
        let job = scene.submit_copy(&["--snapshot", "--chunk-bytes", "20K"]);
        // Others go on in the source: the snapshot is what is copied.
        scene.put_into("source", "later.parquet", 50);
        let dead = scene.worker(&job).args(["--slots", "1"]).faults(format!("{}=exit", point.0));
        let dead = dead.run();
        assert!(dead.was_killed(), "the worker never passed {}\n{dead}", point.0);
        settle(&scene, &job, point.0);
    });
}

#[test]
fn workers_killed_at_random_times_lose_and_double_nothing() {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let scene = Scene::with_events(24, 1_500);
    let job = scene.submit(&["--chunk-files-max", "2"]);
    let start = Instant::now();
    let mut kills = 0;
    let mut workers: Vec<(Running, Instant)> = Vec::new();
    while !scene.tasks().all("done") {
        assert!(
            start.elapsed() < Duration::from_mins(2),
            "seed {seed}: {:?}",
            scene.tasks().states()
        );
        while workers.len() < 3 {
            // Kills end after a while, or an unlucky seed could keep the job from ever ending.
            let life = if kills < 15 { rng.random_range(20..1_500) } else { 600_000 };
            let worker = scene.worker(&job).args(["--slots", "2"]).env("LONGSHORE_LEASE", "1s");
            workers.push((worker.spawn(), Instant::now() + Duration::from_millis(life)));
        }
        for (worker, end) in &mut workers {
            if Instant::now() >= *end {
                worker.kill();
                kills += 1;
            }
        }
        workers.retain_mut(|(worker, _)| !worker.has_ended());
        thread::sleep(Duration::from_millis(10));
    }
    drop(workers);
    println!("{kills} workers were killed");
    assert!(kills > 0, "seed {seed}: the job ended before the first kill");
    settle(&scene, &job, &format!("seed {seed}"));
}

/// Lets another worker finish, and checks everything.
pub(crate) fn settle(scene: &Scene, job: &str, what: &str) {
    scene.settle(job, what);
    println!("{what}: {:?}", scene.tasks().0.iter().map(|task| task.epoch).collect::<Vec<_>>());
}

/// Submits a job of two tasks in a scene that may have seen others: its tables are empty again.
fn two_tasks(scene: &Scene, point: &Point) -> String {
    // What the visit before has left, since it was looked at last.
    scene.assert_exact();
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    scene.forget_all();
    let (files, chunk) = long_or((2, "1"), (4, "2"));
    for file in 0..files {
        scene.put_rows(&format!("{}-{file}.parquet", point.0), 300, Format::Parquet);
    }
    let id = scene.plan_into("events", &format!("{}-*", point.0), &["--chunk-files-max", chunk]);
    scene.longshore(["submit", &id]).run().ok();
    id
}

/// Visits points, several scenes at a time: the visits of a lane share a scene, one after the other.
fn at_each(points: &[Point], visit: impl Fn(&Scene, &Point) + Sync) {
    assert!(points.len() >= LANES);
    let visit = &visit;
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                let scene = Scene::with_events(0, 0);
                points.iter().skip(lane).step_by(LANES).for_each(|point| visit(&scene, point));
            });
        }
    });
}

/// Visits points that make scenes of their own, several at a time; all failures are told.
fn in_lanes(points: &[Point], visit: impl Fn(&Point) + Sync) {
    assert!(points.len() >= LANES);
    let visit = &visit;
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || points.iter().skip(lane).step_by(LANES).for_each(visit));
        }
    });
}
