//! The closing audit alone: the mend of a hole is taken out of the command (its bug is planted there),
//! the workers are as they are, and the job does not end as completed.

use longshore_tests::{
    Admin, Bed, Finished, LONG_LEASE, Program, Running, Scene, TwoServers, wait_for,
};

/// A worker that is held before it closes its job.
struct Held {
    gate: std::path::PathBuf,
    running: Running,
}

/// All tasks are done, and the job is not closed yet.
fn held_before_the_end(scene: &Scene, worker: Program) -> Held {
    let gate = scene.folder().join("gate");
    let faults = format!("finish.before=1*until({})->off", gate.display());
    let running = worker.env("LONGSHORE_LEASE", LONG_LEASE).faults(faults).spawn();
    wait_for("a worker is about to close the job", || {
        running.words().contains("until(").then_some(())
    });
    Held { gate, running }
}

impl Held {
    fn release(self) -> Finished {
        std::fs::write(&self.gate, "").expect("a writable folder");
        self.running.wait()
    }
}

fn reason(scene: &Scene, job: &str) -> String {
    let status = scene.status(job);
    assert_eq!(status["state"], "failed", "{status}");
    status["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_plan_that_is_a_mixture_of_two_cuts_is_not_completed() {
    let (scene, more) = super::planners::scene_and_flags();
    let plan = || scene.copy_program("source", "target", &more).env("LONGSHORE_PLANT", "mix-cuts");
    let killed = plan().faults("batch=2;plan.batch=1*off->exit").run();
    assert!(killed.was_killed(), "{killed}");
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
    let made = plan().run().ok().json();
    let id = made["plan_id"].as_str().expect("a plan id");
    scene.longshore(["submit", id]).run().ok();
    scene.finish(id);
    let reason = reason(&scene, id);
    assert!(reason.contains("the tasks are not those that were planned"), "{reason}");
}

#[test]
fn a_replay_that_is_forgotten_in_the_middle_is_not_completed() {
    let scene = Scene::with_events(4, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.finish(&job);
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    let cut =
        scene.longshore(["resume", &job, "--replay-done"]).faults("send.reset_tasks=exit").run();
    assert!(cut.was_killed(), "{cut}");
    scene.longshore(["resume", &job]).env("LONGSHORE_PLANT", "forget-wish").run().ok();
    scene.finish(&job);
    let reason = reason(&scene, &job);
    assert!(reason.contains("tasks that are done without all of their receipts: 4"), "{reason}");
}

#[test]
fn rows_of_an_attempt_that_does_not_count_are_not_completed() {
    let scene = Scene::with_events(1, 300);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults("move.after=exit").run();
    assert!(dead.was_killed(), "{dead}");
    scene.sign_all_off();
    // What H5 did by looking at another server: the task is loaded anew though a part of it was moved.
    let Scene { control, admin, .. } = &scene;
    admin.run(&format!(
        "INSERT INTO {control}.manifests SELECT * REPLACE (toUInt8(1) AS is_void, \
         written_at + toIntervalMillisecond(1) AS written_at) FROM (SELECT * FROM {control}.manifests FINAL)"
    ));
    admin.run(&format!(
        "ALTER TABLE {control}.tasks UPDATE state = 'pending', manifest = '' WHERE task_id = '{job}-0000000'"
    ));
    for table in scene.staged() {
        let table = format!("{}.{}", scene.staging, longshore_tests::name(&table));
        admin.run(&format!("DROP TABLE IF EXISTS {table} SYNC"));
    }
    scene.finish(&job);
    let reason = reason(&scene, &job);
    assert!(reason.contains("holds parts of this job that no receipt names"), "{reason}");
    assert!(scene.audit_rows("events").duplicated > 0, "the audit has seen what the checker sees");
}

/// H10: a worker has decided that a job is over; the job was opened again before it acts.
#[test]
fn a_job_that_is_closed_by_an_old_decision_is_not_completed() {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let held =
        held_before_the_end(&scene, scene.worker(&job).env("LONGSHORE_PLANT", "close-blindly"));
    scene.worker(&job).run().ok();
    assert_eq!(scene.status(&job)["state"], "completed", "the other worker has closed it");
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    scene.longshore(["resume", &job, "--replay-done"]).run().ok();
    held.release();
    let reason = reason(&scene, &job);
    assert!(reason.contains("2 of 2 tasks are not done"), "{reason}");
}

/// H11: what belongs to the second server of a job was loaded into the first one, with receipts there.
#[test]
fn rows_on_another_server_than_planned_are_not_completed() {
    let two = TwoServers::with_events(&Bed::from_env(), 4, 100);
    let (scene, [_, second]) = (&two.scene, &two.urls);
    let job = scene.plan(&[two.both().as_slice(), &["--chunk-files-max", "1"]].concat());
    scene.longshore(["submit", &job]).run().ok();
    let held = held_before_the_end(scene, scene.worker(&job));
    let Scene { control, db, admin, .. } = scene;
    for table in ["events", "daily", "buys"] {
        move_rows(admin, second, &format!("{db}.{table}"));
        two.second.run(&format!("TRUNCATE TABLE {db}.{table} SYNC"));
    }
    for table in ["receipts", "manifests"] {
        move_rows(admin, second, &format!("{control}.{table}"));
        two.second.run(&format!("TRUNCATE TABLE {control}.{table} SYNC"));
    }
    assert_eq!(two.counts("events"), [400, 0], "all rows are on the first server");
    held.release();
    let reason = reason(scene, &job);
    assert!(reason.contains("tasks that are done without all of their receipts: 2"), "{reason}");
}

/// Copies all rows of a table of the same name from another server.
fn move_rows(admin: &Admin, from: &str, table: &str) {
    let query = format!("{from}/?query=SELECT+*+FROM+{table}+FORMAT+Native");
    admin.run(&format!("INSERT INTO {table} SELECT * FROM url('{query}', Native)"));
}

#[test]
fn a_table_with_other_rows_than_its_receipt_says_is_not_completed() {
    let scene = Scene::with_events(1, 300);
    let job = scene.submit(&[]);
    let held = held_before_the_end(&scene, scene.worker(&job));
    scene.admin.run(&format!(
        "INSERT INTO {control}.receipts SELECT * REPLACE (rows_staged + 5 AS rows_staged, \
         published_at + toIntervalMillisecond(1) AS published_at) FROM (SELECT * FROM {control}.receipts FINAL) \
         WHERE endsWith(target, '.daily')",
        control = scene.control
    ));
    held.release();
    let reason = reason(&scene, &job);
    assert!(reason.contains(".daily holds") && reason.contains("and its receipt says"), "{reason}");
}

#[test]
fn a_table_that_somebody_exchanged_once_more_is_not_completed() {
    let scene = Scene::for_swaps(&Bed::from_env()).with_old_events(2, 200);
    let job = scene.submit(&["--publish", "exchange"]);
    let held = held_before_the_end(&scene, scene.worker(&job));
    let db = &scene.db;
    scene.admin.run(&format!("CREATE TABLE {db}.other AS {db}.events"));
    scene.admin.run(&format!("EXCHANGE TABLES {db}.events AND {db}.other"));
    held.release();
    let reason = reason(&scene, &job);
    assert!(reason.contains("is not the table that was exchanged into its place"), "{reason}");
}

#[test]
fn a_staging_table_that_nobody_swept_is_not_completed() {
    let scene = Scene::with_events(1, 200);
    let job = scene.submit(&[]);
    let held = held_before_the_end(&scene, scene.worker(&job));
    let staging = &scene.staging;
    scene.admin.run(&format!(
        "CREATE TABLE {staging}.`{job}_left` (n UInt64) ENGINE = MergeTree ORDER BY n"
    ));
    held.release();
    let reason = reason(&scene, &job);
    assert!(reason.contains("1 staging tables of the job are left"), "{reason}");
    scene.admin.run(&format!("DROP TABLE {staging}.`{job}_left` SYNC"));
}
