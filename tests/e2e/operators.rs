//! Mistakes of operators with what Longshore keeps, in the middle of a running job: the job stops,
//! says why and what to do, claims nothing that is not so, and is exact once that was done.

use longshore_tests::{Finished, Midway, Scene, name, wait_for};

use crate::advice::states::retry_cut;

/// Makes a mistake, lets the workers meet it, and looks at what is told.
fn after(mistake: impl FnOnce(&Midway)) -> Midway {
    let mut midway = Midway::new();
    mistake(&midway);
    midway.resume_workers();
    midway.assert_honest();
    midway
}

/// The operator mends it: the job goes on and is exact.
fn resume_job(midway: &Midway, what: &str) {
    midway.scene.longshore(["submit", &midway.job]).run().ok();
    midway.scene.settle(&midway.job, what);
}

/// The command that made the plan, again.
fn plan_again(midway: &Midway) -> Finished {
    let planned = midway.scene.plan_program("events", "*", &["--chunk-files-max", "1"]).run().ok();
    assert_eq!(planned.json()["plan_id"], midway.job.as_str(), "the same plan\n{planned}");
    planned
}

/// Deletes rows of a control table.
fn delete(scene: &Scene, table: &str, key: &str, keys: &[String]) {
    let keys: Vec<String> = keys.iter().map(|key| format!("'{key}'")).collect();
    let control = &scene.control;
    scene.admin.run(&format!("DELETE FROM {control}.{table} WHERE {key} IN ({})", keys.join(", ")));
}

#[test]
fn the_staging_database_was_dropped() {
    let midway = after(|midway| {
        midway.scene.admin.run(&format!("DROP DATABASE {} SYNC", midway.scene.staging));
    });
    let database = midway.scene.staging.clone();
    midway.assert_told("paused", &[&database], &["longshore init", "longshore resume"]);
    // What was about to be published cannot be proved: nothing of it is staged, nothing is moved.
    let tasks = midway.scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("quarantined")), (2, 1), "{tasks:?}");
    midway.scene.longshore(["init"]).run().ok();
    midway.scene.longshore(["submit", &midway.job]).run().ok();
    midway.scene.finish_all(&midway.job);
    midway.assert_told("failed", &["quarantined: 1"], &["its staging table is gone"]);
    midway.assert_honest();
    assert_eq!(midway.scene.tasks().count("done"), 5);
}

#[test]
fn staging_tables_were_dropped_and_emptied() {
    let midway = after(|midway| {
        let (scene, claimed) = (&midway.scene, midway.task("claimed").replace('-', "_"));
        for table in scene.staged() {
            let quoted = format!("{}.{}", scene.staging, name(&table));
            if table.starts_with(&claimed) {
                scene.admin.run(&format!("DROP TABLE IF EXISTS {quoted} SYNC"));
            } else {
                // A view clone cannot be emptied; its target can.
                scene.admin.try_run(&format!("TRUNCATE TABLE {quoted} SYNC")).ok();
            }
        }
    });
    // What was loaded is loaded again; what was about to be published cannot be proved.
    let tasks = midway.scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("quarantined")), (5, 1), "{tasks:?}");
    midway.assert_told("failed", &["quarantined: 1"], &["its staging table is empty"]);
}

#[test]
fn rows_of_tasks_were_deleted() {
    let mut midway = Midway::new();
    let keys = ["pending", "done", "claimed", "publishing"].map(|state| midway.task(state));
    delete(&midway.scene, "tasks", "task_id", &keys);
    midway.resume_workers();
    midway.assert_told("paused", &["is missing in the task table"], &["made the plan once more"]);
    plan_again(&midway);
    // A task that was done is pending again now. It has receipts, so nobody loads it twice.
    midway.scene.longshore(["submit", &midway.job]).run().ok();
    midway.scene.worker(&midway.job).run().ok();
    midway.assert_told("paused", &["has receipts of epoch 1"], &["longshore restore"]);
    let rows = midway.scene.audit_rows("events");
    assert_eq!(rows.duplicated, 0, "{rows:?}");
    // Done before, and published without a row to say so: both are done by their receipts.
    let restored = midway.scene.longshore(["restore", &midway.job, "--json"]).run().ok();
    assert_eq!(restored.json()["restored"], 2, "{restored}");
    assert_eq!(restored.json()["rows"], 400, "{restored}");
    resume_job(&midway, "rows of tasks were deleted");
}

#[test]
fn a_row_was_deleted_while_a_retry_was_cut() {
    let midway = retry_cut();
    let (scene, job) = (&midway.scene, &midway.job);
    assert_eq!(scene.status(job)["state"], "reopening");
    let task = scene.tasks().0[0].id.clone();
    delete(scene, "tasks", "task_id", &[task]);
    let refused = scene.longshore(["resume", job]).run();
    assert_ne!(refused.code(), Some(0), "{refused}");
    refused.says(&["is missing in the control tables", "the same `longshore plan` again"]);
    plan_again(&midway);
    scene.longshore(["resume", job]).run().ok();
    scene.worker(job).run().ok();
    if scene.status(job)["state"] == "paused" {
        // It was done before, as its receipts say.
        scene.longshore(["restore", job]).run().ok();
        scene.longshore(["resume", job]).run().ok();
        scene.worker(job).run().ok();
    }
    assert_eq!(scene.status(job)["state"], "completed", "{}", scene.status(job));
    scene.assert_exact();
}

#[test]
fn the_row_of_a_task_that_was_half_published_was_deleted() {
    let scene = Scene::with_events(1, 300);
    for table in ["events", "daily"] {
        scene.admin.run(&format!(
            "ALTER TABLE {}.{table} MODIFY SETTING old_parts_lifetime = 1, \
             merge_tree_clear_old_parts_interval_seconds = 1",
            scene.db
        ));
    }
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults("move.after=exit").run();
    assert!(dead.was_killed(), "{dead}");
    scene.sign_all_off();
    delete(&scene, "tasks", "task_id", &[format!("{job}-0000000")]);
    scene.worker(&job).run().ok();
    scene.plan_program("events", "*", &[]).run().ok();
    scene.longshore(["submit", &job]).run().ok();
    scene.worker(&job).run().ok();
    let tasks = scene.tasks();
    assert!(tasks.all("quarantined") && tasks.0[0].error.contains("was about to be"), "{tasks:?}");
    assert_eq!(scene.audit_rows("events").duplicated, 0);
    // A person may take its rows out of the targets and load it anew, instead of having it finished.
    scene.longshore(["retry", &job, "--quarantined", "--reload"]).run().exits_with(6);
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    // The server lists parts that were taken out for a moment: a reload is refused until then.
    wait_for("the parts that were taken out are forgotten", || {
        let reload = scene.longshore(["retry", &job, "--quarantined", "--reload"]).run();
        (reload.code() == Some(0)).then_some(())
    });
    scene.settle(&job, "a half published task lost its row");
}

#[test]
fn the_row_of_the_job_was_deleted() {
    let midway =
        after(|midway| delete(&midway.scene, "jobs", "job_id", std::slice::from_ref(&midway.job)));
    midway.scene.longshore(["status", &midway.job]).run().exits_with(2).says(&["there is no job"]);
    midway.scene.longshore(["doctor"]).run().says(&["run the same `longshore plan` again"]);
    // Tasks that were in hand are ended, and nothing is claimed.
    assert_eq!(midway.scene.tasks().count("done"), 4);
    plan_again(&midway);
    resume_job(&midway, "the job row was deleted");
}

#[test]
fn the_cursor_was_deleted() {
    let midway = after(|midway| {
        delete(&midway.scene, "cursors", "job_id", std::slice::from_ref(&midway.job));
    });
    midway.assert_told("paused", &["the cursor of job"], &["made the plan once more"]);
    plan_again(&midway);
    resume_job(&midway, "the cursor was deleted");
}

#[test]
fn the_control_database_was_dropped() {
    let mut midway = Midway::new();
    let scene = &midway.scene;
    scene.admin.run(&format!("DROP DATABASE {} SYNC", scene.control));
    let control = scene.control.clone();
    let words = midway.resume_workers();
    assert!(words.contains(&control) && words.contains("does not exist"), "{words}");
    let scene = &midway.scene;
    scene.longshore(["status"]).run().exits_with(2).says(&[&control, "longshore init"]);
    scene.longshore(["doctor"]).run().exits_with(8).says(&[&control, "longshore init"]);
}

#[test]
fn the_sorting_key_was_extended() {
    let midway = after(|midway| {
        let (db, admin) = (&midway.scene.db, &midway.scene.admin);
        let change = "ADD COLUMN z UInt8, MODIFY ORDER BY (kind, file, n, z)";
        admin.run(&format!("ALTER TABLE {db}.events {change}"));
    });
    let target = format!("{}.events was altered", midway.scene.db);
    midway.assert_told("paused", &[&target, "`z` UInt8"], &["undo", "longshore resume"]);
    // Nothing undoes it here: the job stays as it is, and can be submitted as often as one likes.
    midway.scene.longshore(["submit", &midway.job]).run().ok();
    midway.scene.worker(&midway.job).run().ok();
    midway.assert_told("paused", &[&target], &["undo"]);
    midway.assert_honest();
}

#[test]
fn a_column_was_added() {
    let midway = after(|midway| {
        let (db, admin) = (&midway.scene.db, &midway.scene.admin);
        admin.run(&format!("ALTER TABLE {db}.events ADD COLUMN extra UInt8"));
    });
    let target = format!("{}.events was altered", midway.scene.db);
    midway.assert_told("paused", &[&target, "`extra` UInt8"], &["undo", "longshore resume"]);
    midway.scene.admin.run(&format!("ALTER TABLE {}.events DROP COLUMN extra", midway.scene.db));
    resume_job(&midway, "a column was added and dropped");
}

#[test]
fn a_time_to_live_was_set() {
    let midway = after(|midway| {
        let (db, admin) = (&midway.scene.db, &midway.scene.admin);
        admin.run(&format!("ALTER TABLE {db}.events MODIFY TTL day + INTERVAL 100 YEAR"));
    });
    let target = format!("{}.events was altered", midway.scene.db);
    midway.assert_told("paused", &[&target, "TTL day"], &["undo", "longshore resume"]);
    midway.scene.admin.run(&format!("ALTER TABLE {}.events REMOVE TTL", midway.scene.db));
    resume_job(&midway, "a TTL was set and removed");
}

#[test]
fn a_column_of_the_target_was_dropped() {
    // The checker needs all other columns, so it is one that nothing else has.
    let midway = after(|midway| {
        midway
            .scene
            .admin
            .run(&format!("ALTER TABLE {}.daily DROP COLUMN events", midway.scene.db));
    });
    let target = format!("{}.daily was altered", midway.scene.db);
    midway.assert_told("paused", &[&target], &["undo the change"]);
}

#[test]
fn the_target_was_dropped_and_brought_back() {
    for table in ["events", "daily"] {
        let mut midway = Midway::new();
        let target = format!("{}.{table}", midway.scene.db);
        midway.scene.admin.run(&format!("DROP TABLE {target}"));
        midway.resume_workers();
        midway.assert_told("paused", &[&target, "is gone"], &["UNDROP TABLE", "longshore resume"]);
        midway.scene.admin.run(&format!("UNDROP TABLE {target}"));
        midway.assert_honest();
        assert_eq!(midway.scene.tasks().count("quarantined"), 0, "{:?}", midway.scene.tasks());
        resume_job(&midway, &format!("{table} was dropped and undropped"));
    }
}

#[test]
fn the_target_was_dropped_and_made_again() {
    let mut midway = Midway::new();
    let (db, admin) = (midway.scene.db.clone(), midway.scene.admin.clone());
    admin.run(&format!("CREATE TABLE {db}.other AS {db}.events"));
    admin.run(&format!("DROP TABLE {db}.events SYNC"));
    admin.run(&format!("RENAME TABLE {db}.other TO {db}.events"));
    midway.resume_workers();
    midway.assert_told("paused", &["dropped and made again"], &["--again TEXT", "quarantined"]);
    assert_eq!(admin.number(&format!("SELECT count() FROM {db}.events")), 0, "nothing by guess");
    midway.scene.longshore(["submit", &midway.job]).run().ok();
    midway.scene.worker(&midway.job).run().ok();
    assert_eq!(admin.number(&format!("SELECT count() FROM {db}.events")), 0, "nothing by guess");
    assert_ne!(midway.scene.status(&midway.job)["state"], "completed");
}

#[test]
fn a_view_was_added() {
    let midway = after(|midway| {
        let (db, admin) = (&midway.scene.db, &midway.scene.admin);
        let late = "ENGINE = MergeTree ORDER BY n AS SELECT n FROM";
        admin.run(&format!("CREATE MATERIALIZED VIEW {db}.late {late} {db}.events"));
    });
    let view = format!("{}.late", midway.scene.db);
    midway.assert_told("paused", &[&view, "was added"], &["undo", "longshore resume"]);
    midway.scene.admin.run(&format!("DROP VIEW {view} SYNC"));
    resume_job(&midway, "a view was added and dropped");
}

#[test]
fn a_view_was_dropped() {
    let mut statement = String::new();
    let midway = after(|midway| {
        let (db, admin) = (&midway.scene.db, &midway.scene.admin);
        let view = format!("database = '{db}' AND name = 'daily_mv'");
        let create = "SELECT create_table_query FROM system.tables WHERE";
        statement = admin.run(&format!("{create} {view} FORMAT TSVRaw"));
        admin.run(&format!("DROP VIEW {db}.daily_mv SYNC"));
    });
    let view = format!("{}.daily_mv", midway.scene.db);
    midway.assert_told("paused", &[&view, "does not any more"], &["undo", "longshore resume"]);
    midway.scene.admin.run(&statement);
    resume_job(&midway, "a view was dropped and made again");
}

#[test]
fn files_were_deleted_and_overwritten() {
    let midway = after(|midway| {
        let [deleted, changed] = ["pending", "claimed"].map(|state| {
            let files = midway.scene.files_of_task(&midway.task(state));
            files.into_iter().next().expect("one file a task")
        });
        midway.scene.delete(&deleted);
        midway.scene.put_bytes(&changed, b"PAR1 is not all it takes PAR1");
    });
    let tasks = midway.scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (4, 2), "{tasks:?}");
    midway.assert_told("failed", &["failed: 2"], &["file ", ".parquet", "2 failed"]);
}

#[test]
fn rows_of_workers_were_deleted() {
    let mut midway = Midway::new();
    midway.scene.sign_all_off();
    midway.resume_workers();
    midway.scene.settle(&midway.job, "worker rows were deleted");
}

#[test]
fn a_clone_of_a_view_was_dropped_before_the_load() {
    let scene = Scene::with_events(1, 200);
    let job = scene.submit(&[]);
    let gate = scene.folder().join("gate");
    let wait = format!("stage.after=1*until({})->off", gate.display());
    let worker = scene.worker(&job).faults(wait).spawn();
    wait_for("the clones are made", || worker.words().contains("until(").then_some(()));
    let clones = scene.admin.column(&format!(
        "SELECT name FROM system.tables WHERE database = '{}' AND engine = 'MaterializedView'",
        scene.staging
    ));
    let clone = clones.iter().find(|name| name.contains("daily")).expect("a clone of the view");
    scene.admin.run(&format!("DROP VIEW {}.{} SYNC", scene.staging, name(clone)));
    std::fs::write(&gate, "").expect("a writable folder");
    drop(worker.wait());
    scene.finish(&job);
    // The load fits the numbers of its table; only the rows of the view are missing.
    assert_eq!(scene.status(&job)["state"], "completed", "{}", scene.status(&job));
    scene.assert_exact();
    let told = scene.longshore(["task", &format!("{job}-0000000")]).run().ok();
    told.says(&["the staging clone of", "daily_mv is gone"]);
}
