//! A worker that was asleep longer than its lease wakes up in a world that went on without it.

use longshore_shared::faults;
use longshore_tests::{Scene, wait_for};

use crate::crashes::settle;

#[test]
fn a_zombie_that_was_loading_changes_nothing() {
    for point in [faults::STAGE_AFTER, faults::LOAD_AFTER, faults::MANIFEST_BEFORE] {
        sleeps_at(point.0);
    }
}

#[test]
fn a_zombie_that_was_publishing_changes_nothing() {
    for point in
        [faults::MANIFEST_AFTER, faults::MOVE_BEFORE, faults::RECEIPT_BEFORE, faults::RECEIPT_AFTER]
    {
        sleeps_at(point.0);
    }
}

/// Stops a worker at a point until another has finished its task, then lets it go on.
fn sleeps_at(point: &str) {
    let scene = Scene::with_events(2, 500);
    let job = scene.submit(&[]);
    let zombie = scene.worker(&job).faults(format!("{point}=1*sleep(1000)")).spawn();
    wait_for(&format!("the worker is at {point}"), || zombie.words().contains(point).then_some(()));
    zombie.signal("STOP");
    settle(&scene, &job, point);
    zombie.signal("CONT");
    let ended = zombie.wait();
    assert_ne!(ended.code(), Some(101), "a panic\n{ended}");
    assert!(ended.code().is_some(), "ended by a signal\n{ended}");
    settle(&scene, &job, point);
    let tasks = scene.tasks();
    assert_eq!(tasks.0[0].epoch, 2, "{tasks:?}");
}
