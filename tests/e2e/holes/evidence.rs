//! H4, H6, H7: what a task was about to move is known after Keeper has forgotten it, after the
//! server has forgotten it, and whatever an operator sweeps.

use std::path::PathBuf;

use longshore_tests::{Running, Scene, name, wait_for};

/// A command that something speaks against.
const EXIT_CONFLICT: i32 = 6;

/// The server forgets a part a second after it was merged, instead of eight minutes.
const FORGETFUL: &str = "MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, \
                         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0, \
                         merge_tree_clear_old_parts_interval_seconds = 1";

/// A job of one task that was killed in the middle of publishing: `events` is moved, its views' targets
/// are not.
fn half_published() -> (Scene, String) {
    let scene = Scene::with_events(1, 300);
    kill_at_a_move(scene, "move.after=exit")
}

/// The same, and the server forgets parts soon.
fn half_published_and_forgetful(faults: &str) -> (Scene, String) {
    let scene = Scene::with_events(1, 300);
    for table in ["events", "daily"] {
        scene.admin.run(&format!("ALTER TABLE {}.{table} {FORGETFUL}", scene.db));
    }
    kill_at_a_move(scene, faults)
}

fn kill_at_a_move(scene: Scene, faults: &str) -> (Scene, String) {
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults(faults).run();
    assert!(dead.was_killed(), "{dead}");
    scene.sign_all_off();
    (scene, job)
}

/// Keeper was restored from a copy of before: the row of the task is pending, of its first epoch.
fn forget_task(scene: &Scene, job: &str) {
    let control = &scene.control;
    scene.admin.run(&format!("DELETE FROM {control}.tasks WHERE task_id = '{job}-0000000'"));
    scene.longshore(["pause", job]).run().ok();
    scene.plan_program("events", "*", &[]).run().ok();
    scene.longshore(["resume", job]).run().ok();
}

/// Merges the rows of a table with others, and waits until the server has forgotten the parts.
fn forget_parts(scene: &Scene) {
    let Scene { db, admin, .. } = scene;
    admin.run(&format!("OPTIMIZE TABLE {db}.events FINAL"));
    wait_for("the server has forgotten the parts", || {
        let inactive = admin.number(&format!(
            "SELECT count() FROM system.parts WHERE database = '{db}' AND table = 'events' AND NOT active"
        ));
        (inactive == 0).then_some(())
    });
}

fn rows(scene: &Scene) -> [u64; 2] {
    let audit = scene.audit_rows("events");
    [audit.rows, audit.duplicated]
}

#[test]
fn a_task_that_keeper_has_forgotten_is_finished_where_it_stood() {
    let (scene, job) = half_published();
    let before = rows(&scene);
    forget_task(&scene, &job);
    scene.worker(&job).run().ok();
    assert_eq!(rows(&scene), before, "nothing was loaded");
    let tasks = scene.tasks();
    assert_eq!(tasks.count("quarantined"), 1, "{tasks:?}");
    assert!(tasks.0[0].error.contains("was about to be"), "{tasks:?}");
    // Nothing sweeps evidence, whatever is asked for.
    let staged = scene.staged();
    scene.longshore(["gc", "--yes", "--older-than", "0s"]).run().ok();
    scene.worker(&job).run().ok();
    assert_eq!(scene.staged(), staged);
    scene.longshore(["retry", &job, "--quarantined"]).run().ok();
    scene.settle(&job, "what the manifest says was finished");
}

#[test]
fn gc_and_cancel_leave_the_evidence_of_a_task_that_nobody_has_looked_at_yet() {
    let (scene, job) = half_published();
    let staged = scene.staged();
    forget_task(&scene, &job);
    scene.longshore(["gc", "--yes", "--older-than", "0s"]).run().ok();
    assert_eq!(scene.staged(), staged, "gc has swept evidence");
    scene.longshore(["cancel", &job]).run().ok().says(&["1 task may have rows in"]);
    assert_eq!(scene.staged(), staged, "cancel has swept evidence");
    scene
        .longshore(["plan", "delete", &job, "--yes"])
        .run()
        .exits_with(6)
        .says(&["--discard-quarantined"]);
    scene.longshore(["resume", &job]).run().ok();
    scene.worker(&job).run().ok();
    scene.longshore(["retry", &job, "--quarantined"]).run().ok();
    scene.settle(&job, "evidence was kept");
}

#[test]
fn parts_that_nobody_lists_any_more_prove_nothing() {
    let (scene, job) = half_published_and_forgetful("move.after=exit");
    let before = rows(&scene);
    forget_task(&scene, &job);
    // Not even staging tells any more.
    for table in scene.staged() {
        let table = format!("{}.{}", scene.staging, name(&table));
        scene.admin.run(&format!("DROP TABLE IF EXISTS {table} SYNC"));
    }
    forget_parts(&scene);
    scene.worker(&job).run().ok();
    assert_eq!(rows(&scene), before, "its rows were loaded a second time");
    let tasks = scene.tasks();
    assert_eq!(tasks.count("quarantined"), 1, "{tasks:?}");
    assert_eq!(scene.status(&job)["state"], "failed");
    // A person deletes the rows from the targets. Then the task may be loaded again.
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    scene.longshore(["retry", &job, "--quarantined", "--reload"]).run().ok();
    scene.settle(&job, "a person has decided");
}

#[test]
fn staged_parts_that_are_gone_are_no_proof_however_old_the_manifest_is() {
    let (scene, job) = half_published_and_forgetful("move.before=exit");
    // A power cut: the parts were never on disk.
    for table in scene.staged() {
        let table = format!("{}.{}", scene.staging, name(&table));
        scene.admin.try_run(&format!("TRUNCATE TABLE {table} SYNC")).ok();
    }
    std::thread::sleep(std::time::Duration::from_secs(3));
    scene.worker(&job).run().ok();
    let tasks = scene.tasks();
    assert_eq!(tasks.count("quarantined"), 1, "{tasks:?}");
    assert_eq!(scene.status(&job)["state"], "failed", "0 of 300 rows are there");
}

/// Both tasks of a job are done. The worker that would close it waits until somebody writes the file.
fn done_and_not_closed() -> (Scene, String, Running, PathBuf) {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let gate = scene.folder().join("gate");
    let held = scene
        .worker(&job)
        .faults(format!("finish.before=1*until({})->off", gate.display()))
        .spawn();
    wait_for("both tasks are done", || held.words().contains("until(").then_some(()));
    (scene, job, held, gate)
}

#[test]
fn receipts_that_were_deleted_fail_the_job() {
    let (scene, job, held, gate) = done_and_not_closed();
    let control = &scene.control;
    scene.admin.run(&format!(
        "DELETE FROM {control}.receipts WHERE task_id = '{job}-0000001' SETTINGS lightweight_deletes_sync = 2"
    ));
    std::fs::write(&gate, "").expect("a writable folder");
    held.wait();
    scene.worker(&job).run();
    let status = scene.status(&job);
    assert_eq!(status["state"], "failed", "{status}");
    scene.longshore(["status", &job]).run().ok().says(&[
        "closing audit failed",
        "tasks that are done without all of their receipts: 1",
        &format!("{job}-0000001"),
    ]);
}

/// What an audit found can have gone from the server's lists by the time of the next one, without any mend.
#[test]
fn a_second_audit_is_made_only_where_a_person_asks_for_it() {
    let (scene, job, held, gate) = done_and_not_closed();
    let control = &scene.control;
    scene.admin.run(&format!("RENAME TABLE {control}.receipts TO {control}.hidden"));
    scene.admin.run(&format!("CREATE TABLE {control}.receipts AS {control}.hidden"));
    std::fs::write(&gate, "").expect("a writable folder");
    held.wait();
    scene.worker(&job).run();
    assert_eq!(scene.status(&job)["state"], "failed");
    scene.admin.run(&format!("EXCHANGE TABLES {control}.receipts AND {control}.hidden"));
    for command in [&["resume"][..], &["retry", "--failed"]] {
        let (name, more) = command.split_first().expect("a command");
        let given = scene.longshore([&[*name, &*job], more].concat()).run();
        given
            .exits_with(EXIT_CONFLICT)
            .says(&["stays as it is", "without all of their receipts: 2"]);
        assert_eq!(scene.status(&job)["state"], "failed", "{name} changes nothing");
    }
    let refused = scene.longshore(["resume", &job]).run().exits_with(EXIT_CONFLICT);
    refused.says(&["can miss what the first one found", &format!("resume {job} --audit-again")]);
    // Not by a way round either: what was found stays in the row of the job.
    scene.longshore(["cancel", &job]).run().ok();
    scene.longshore(["resume", &job]).run().exits_with(EXIT_CONFLICT).says(&["--audit-again"]);
    assert_eq!(scene.status(&job)["state"], "cancelled");
    scene.longshore(["resume", &job, "--audit-again"]).run().ok();
    scene.worker(&job).run().ok();
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.assert_exact();
}
