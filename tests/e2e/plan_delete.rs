//! A plan leaves the control tables whole, wherever its deletion is cut, and never while it lives.

use longshore_shared::faults::{self, Point};
use longshore_tests::{LONG_LEASE, Scene, wait_for};

const FILES: usize = 6;
const MORE: [&str; 2] = ["--chunk-files-max", "1"];

fn counts(scene: &Scene) -> Vec<u64> {
    let count =
        |table| scene.admin.number(&format!("SELECT count() FROM {}.{table}", scene.control));
    ["tasks", "cursors", "jobs"].map(count).to_vec()
}

fn receipts(scene: &Scene) -> String {
    scene.admin.run(&format!("SELECT * FROM {}.receipts FINAL ORDER BY ALL", scene.control))
}

#[test]
fn a_plan_that_lives_is_not_deleted() {
    let scene = Scene::with_events(FILES, 100);
    let id = scene.submit(&MORE);
    let delete = ["plan", "delete", id.as_str(), "--yes"];
    scene.longshore(delete).run().exits_with(6).says(&["is running", "longshore cancel"]);
    let mut worker = scene.worker(&id).faults("load.after=1*off->exit").spawn();
    wait_for("a worker dies with a task in hand", || worker.has_ended().then_some(()));
    scene.longshore(delete).run().exits_with(6).says(&["is running"]);
    assert_eq!(counts(&scene), [FILES as u64, 1, 1], "nothing is gone");
    scene.finish_all(&id);
    scene.settle(&id, "after refused deletions");
    let asked = scene.longshore(["plan", "delete", &id]).run().exits_with(4);
    asked.says(&["nobody to ask", "--yes"]);
    let deleted = scene.longshore(delete).args(["--json"]).run().ok().json();
    assert_eq!((&deleted["state"], &deleted["done"]), (&"completed".into(), &FILES.into()));
    assert_eq!(counts(&scene), [0, 0, 0]);
    scene.assert_exact();
    assert_eq!(scene.orphans(), Vec::<String>::new());
}

#[test]
fn a_deletion_that_dies_goes_on_and_the_plan_can_be_made_again() {
    let points: Vec<&Point> =
        faults::COORDINATOR.iter().filter(|point| point.0.starts_with("delete.")).collect();
    assert_eq!(points.len(), 3);
    let scene = Scene::with_events(FILES, 100);
    for point in &points {
        let id = scene.plan(&MORE);
        let delete = ["plan", "delete", id.as_str(), "--yes"];
        let passes = if **point == faults::DELETE_BATCH { "1*off->exit" } else { "exit" };
        let faults = format!("batch=2;{}={passes}", point.0);
        let dead = scene.longshore(delete).faults(faults).run();
        assert!(dead.was_killed(), "{}\n{dead}", point.0);
        let left = counts(&scene);
        assert_eq!((left[1], left[2]), (1, 1), "{}: {left:?}", point.0);
        assert_eq!(scene.status(&id)["state"], "deleting", "{}", point.0);
        // Half a plan is never loaded, and never taken for a whole one.
        scene.longshore(["submit", &id]).run().exits_with(6);
        scene.longshore(["retry", &id, "--failed"]).run().exits_with(6);
        let again = scene.plan_program("events", "*", &MORE).run().ok().json();
        assert_eq!((&again["created"], &again["state"]), (&false.into(), &"deleting".into()));
        scene.longshore(delete).run().ok();
        assert_eq!(counts(&scene), [0, 0, 0], "{}", point.0);
        scene.longshore(delete).run().exits_with(2);
    }
    let id = scene.submit(&MORE);
    scene.finish(&id);
    scene.settle(&id, "after deletions that died");
}

#[test]
fn two_deletions_and_a_plan_at_once_leave_a_whole_plan_or_none() {
    let scene = Scene::with_events(FILES, 100);
    for _ in 0..3 {
        let id = scene.plan(&MORE);
        let deletions = [(), ()].map(|()| {
            let delete = scene.longshore(["plan", "delete", &id, "--yes"]);
            delete.faults("batch=1").spawn()
        });
        let planned = scene.plan_program("events", "*", &MORE).run();
        let codes = deletions.map(|deletion| deletion.wait().code());
        assert!(codes.contains(&Some(0)), "one of the two ends well: {codes:?}");
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 2 | 6))), "{codes:?}");
        let left = counts(&scene);
        assert!(left == [0, 0, 0] || left == [FILES as u64, 1, 1], "{left:?}\n{planned}");
    }
    let id = scene.submit(&MORE);
    scene.finish(&id);
    scene.settle(&id, "after deletions");
}

#[test]
fn a_deletion_that_slept_leaves_the_next_life_of_its_plan_alone() {
    let scene = Scene::with_events(2, 100);
    for point in ["delete.marked", "delete.tables"] {
        let id = scene.plan(&MORE);
        let delete = || scene.longshore(["plan", "delete", &id, "--yes"]);
        let gate = scene.folder().join(point);
        let sleeps = delete().faults(format!("{point}=1*until({})->off", gate.display())).spawn();
        wait_for("a deletion sleeps", || sleeps.words().contains("until(").then_some(()));
        // Somebody else deletes it, makes the same plan again and loads it.
        delete().run().ok();
        assert_eq!(scene.submit(&MORE), id, "the same plan");
        let worker = scene.worker(&id).env("LONGSHORE_LEASE", LONG_LEASE);
        let half_done = worker.faults("load.after=1*off->exit").run();
        assert!(half_done.was_killed(), "{half_done}");
        let before = (counts(&scene), scene.staged(), receipts(&scene));
        std::fs::write(&gate, "").expect("a writable folder");
        sleeps.wait().exits_with(6).says(&["changes or deletes plan"]);
        assert_eq!((counts(&scene), scene.staged(), receipts(&scene)), before, "{point}");
        scene.sign_all_off();
        scene.finish_all(&id);
        scene.settle(&id, point);
        delete().run().ok();
        for table in ["events", "daily", "buys"] {
            scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
        }
    }
}

#[test]
fn a_plan_of_many_tasks_is_deleted_in_batches() {
    let scene = Scene::with_events(1, 10);
    scene.create("CREATE TABLE {db}.wide (k UInt64, v String) ENGINE = MergeTree ORDER BY k SETTINGS index_granularity = 1;");
    scene.admin.run(&format!(
        "INSERT INTO {0}.wide SELECT number, repeat('x', 100) FROM numbers(2500)",
        scene.db
    ));
    scene.create("CREATE TABLE {db}.copy (k UInt64, v String) ENGINE = MergeTree ORDER BY k;");
    let plan = scene.copy_program("wide", "copy", &["--chunk-bytes", "110"]).run().ok().json();
    let tasks = plan["chunks"].as_u64().expect("a number");
    assert!(tasks > 2_000, "{plan}");
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["plan", "delete", id, "--yes"]).env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    assert_eq!(counts(&scene), [0, 0, 0]);
}
