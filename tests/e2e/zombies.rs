//! A worker that was asleep longer than its lease wakes up in a world that went on without it.

use std::thread;
use std::time::Duration;

use longshore_shared::faults::{self, Point};
use longshore_tests::{Proxy, Running, Scene, Tasks, Verdict, drawn, wait_for};

use crate::crashes::settle;

/// Scenes side by side: they mostly wait for a lease to lapse.
const LANES: usize = 3;

#[test]
fn a_zombie_at_any_point_changes_nothing() {
    let points = &drawn(faults::ALL);
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || points.iter().skip(lane).step_by(LANES).for_each(sleeps_at));
        }
    });
}

/// Stops a worker at a point until another has finished the job, then lets it go on.
fn sleeps_at(point: &Point) {
    let scene = Scene::with_events(2, 500);
    let job = scene.submit(&[]);
    let zombie = asleep(&scene, &job, point, "");
    settle(&scene, &job, point.0);
    let before = everything(&scene);
    wakes(zombie, point.0);
    assert_eq!(everything(&scene), before, "{}: the zombie changed something", point.0);
    settle(&scene, &job, point.0);
    // Whoever has not claimed yet or is done already leaves nothing to take over.
    let is_taken_over = ![
        faults::CLAIM_BEFORE,
        faults::DONE_AFTER,
        faults::DROP_AFTER,
        faults::FINISH_BEFORE,
        faults::FINISH_AUDITED,
    ]
    .contains(point);
    assert_eq!(before.0.0[0].epoch, 1 + u64::from(is_taken_over), "{}: {:?}", point.0, before.0);
}

#[test]
fn a_zombie_in_the_middle_of_a_take_over_changes_nothing() {
    for (first, point) in [
        (faults::LOAD_AFTER, faults::FENCE_BEFORE),
        (faults::LOAD_AFTER, faults::FENCE_AFTER),
        (faults::MOVE_AFTER, faults::FENCE_BEFORE),
        (faults::MOVE_AFTER, faults::FENCE_RENAMED),
        (faults::MOVE_AFTER, faults::FENCE_AFTER),
    ] {
        let what = format!("{} then {}", first.0, point.0);
        let scene = Scene::with_events(2, 500);
        let job = scene.submit(&[]);
        let dead = scene.worker(&job).faults(format!("{}=exit", first.0)).run();
        assert!(dead.was_killed(), "{what}\n{dead}");
        scene.sign_all_off();
        let zombie = asleep(&scene, &job, &point, "");
        settle(&scene, &job, &what);
        let before = everything(&scene);
        assert_eq!(before.0.0[0].epoch, 3, "{what}: {:?}", before.0);
        wakes(zombie, &what);
        assert_eq!(everything(&scene), before, "{what}: the zombie changed something");
        settle(&scene, &job, &what);
    }
}

/// The request of the zombie waits in the network until the job is over, and arrives then.
#[test]
fn a_request_of_a_zombie_that_arrives_late_changes_nothing() {
    for words in ["MOVE PARTITION", ".tasks\nUPDATE", "INSERT INTO `longshore_s", "RENAME TABLE"] {
        let scene = Scene::with_events(2, 500);
        let job = scene.submit(&[]);
        if words == "RENAME TABLE" {
            let dead = scene.worker(&job).faults("move.after=exit").run();
            assert!(dead.was_killed(), "{words}\n{dead}");
        }
        let (arrive, arrived) = std::sync::mpsc::channel::<()>();
        let arrived = std::sync::Mutex::new(Some(arrived));
        let (held, is_held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let proxy = Proxy::start(&scene.bed.clickhouse_url, move |request| {
            // Of the changes of a task the manifest is held, of all others the first.
            let is_it = !words.contains(".tasks") || is_manifest(request);
            if is_it && request.contains(words) {
                let held_here = arrived.lock().expect("no panic").take();
                if let Some(arrived) = held_here {
                    held.lock().expect("no panic").send(()).ok();
                    arrived.recv().ok();
                }
            }
            Verdict::Pass
        });
        let zombie = scene.worker(&job).env("CLICKHOUSE_URL", proxy.url()).spawn();
        wait_for(&format!("{words} is on its way"), || is_held.try_recv().ok());
        zombie.signal("STOP");
        settle(&scene, &job, words);
        let before = everything(&scene);
        // First the request alone reaches the server, then the zombie wakes up.
        arrive.send(()).ok();
        drop(arrive);
        thread::sleep(Duration::from_millis(500));
        assert_eq!(everything(&scene), before, "{words}: a late request changed something");
        wakes(zombie, words);
        assert_eq!(everything(&scene), before, "{words}: the zombie changed something");
        settle(&scene, &job, words);
    }
}

/// A change of a task to `publishing` names that state.
fn is_manifest(request: &str) -> bool {
    request.contains("publishing")
}

/// A worker that was stopped at a point. The others take it for gone at once.
fn asleep(scene: &Scene, job: &str, point: &Point, more: &str) -> Running {
    let faults = format!("{}=1*sleep(1000){more}", point.0);
    let zombie = scene.worker(job).args(["--slots", "1"]).env("LONGSHORE_LEASE", "6s");
    let zombie = zombie.faults(faults).spawn();
    wait_for(&format!("the worker is at {}", point.0), || {
        zombie.words().contains(&format!("point=\"{}\"", point.0)).then_some(())
    });
    zombie.signal("STOP");
    scene.sign_all_off();
    zombie
}

/// Lets a zombie go on to its end once its lease is over.
fn wakes(zombie: Running, what: &str) {
    // Longer than every lease in here: the settling before may have been quick.
    thread::sleep(Duration::from_secs(6));
    zombie.signal("CONT");
    let ended = zombie.wait();
    assert_ne!(ended.code(), Some(101), "{what}: a panic\n{ended}");
    assert!(ended.code().is_some(), "{what}: ended by a signal\n{ended}");
}

/// Everything that a zombie might change: tasks, job, rows of every table.
fn everything(scene: &Scene) -> (Tasks, Vec<Vec<String>>) {
    let mut rows = scene.admin.rows(&format!("SELECT state, reason FROM {}.jobs", scene.control));
    for table in ["events", "daily", "buys"] {
        rows.extend(scene.whole(&scene.db, table));
    }
    (scene.tasks(), rows)
}
