//! H17: a plan that was deleted and made again has the same id, and so have its tasks and statements.
//! What is known of its older life says nothing about the new one.

use longshore_tests::{Scene, name, wait_for};

fn load_and_delete(scene: &Scene, more: &[&str]) -> String {
    let job = scene.submit(more);
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.longshore(["plan", "delete", &job, "--yes"]).run().ok();
    job
}

#[test]
fn a_plan_that_was_deleted_is_loaded_again() {
    let scene = Scene::with_events(2, 200);
    let job = load_and_delete(&scene, &["--chunk-files-max", "1"]);
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    let again = scene.submit(&["--chunk-files-max", "1"]);
    assert_eq!(again, job, "the same plan has the same id");
    // Its older receipts must not count: nothing of it is in the target.
    scene.longshore(["pause", &again]).run().ok();
    let restored = scene.longshore(["restore", &again, "--json"]).run().ok();
    assert_eq!(restored.json()["restored"], 0, "{restored}");
    scene.longshore(["resume", &again]).run().ok();
    scene.finish(&again);
    scene.settle(&again, "a second life");
}

#[test]
fn a_direct_load_of_an_older_life_is_not_taken_for_this_one() {
    let scene = Scene::with_events(1, 200);
    scene.create(
        "CREATE TABLE {db}.plain (file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64) \
         ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 10000;",
    );
    let plan = |scene: &Scene| {
        let planned = scene.plan_program("plain", "*", &["--mode", "direct"]).run().ok();
        let id = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
        scene.longshore(["submit", &id]).run().ok();
        id
    };
    let job = plan(&scene);
    scene.finish(&job);
    scene.longshore(["plan", "delete", &job, "--yes"]).run().ok();
    scene.admin.run(&format!("TRUNCATE TABLE {}.plain SYNC", scene.db));
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let again = plan(&scene);
    // The first owner dies before it sends anything: the second asks how the insert of epoch 1 ended.
    let dead = scene.worker(&again).faults("claim.after=exit").run();
    assert!(dead.was_killed(), "{dead}");
    scene.sign_all_off();
    scene.finish(&again);
    assert_eq!(scene.status(&again)["state"], "completed");
    let rows = scene.admin.number(&format!("SELECT count() FROM {}.plain", scene.db));
    assert_eq!(rows, 200, "the rows of the older life are gone, those of this one are not there");
}

#[test]
fn a_move_of_an_older_life_that_comes_late_doubles_nothing() {
    let scene = Scene::with_events(1, 300);
    let job = load_and_delete(&scene, &[]);
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    let again = scene.submit(&[]);
    assert_eq!(again, job, "the same plan has the same id");
    let gate = scene.folder().join("gate");
    let wait = format!("load.after=1*until({})->off", gate.display());
    let worker = scene.worker(&again).faults(wait).spawn();
    wait_for("the task is loaded", || worker.words().contains("until(").then_some(()));
    // The older life had a staging table of the same name. A MOVE of it was on its way until now.
    let Scene { staging, db, admin, .. } = &scene;
    let staged = scene.staged().into_iter().find(|table| table.ends_with("_0_events"));
    let staged = staged.expect("the staging table of the new life");
    let partition = admin.run(&format!(
        "SELECT min(partition_id) FROM system.parts WHERE database = '{staging}' AND table = '{staged}' AND active"
    ));
    admin.run(&format!(
        "ALTER TABLE {staging}.{} MOVE PARTITION ID '{partition}' TO TABLE {db}.events",
        name(&staged)
    ));
    std::fs::write(&gate, "").expect("a writable folder");
    drop(worker.wait());
    scene.finish(&again);
    let audit = scene.audit_rows("events");
    assert_eq!(audit.duplicated, 0, "{:?}", scene.tasks());
    assert!(scene.tasks().all("quarantined"), "a person decides: {:?}", scene.tasks());
    // The operator empties the table, and then loads the task again.
    admin.run(&format!("TRUNCATE TABLE {db}.events SYNC"));
    scene.longshore(["retry", &again, "--quarantined", "--reload"]).run().ok();
    scene.settle(&again, "a late move");
}
