//! The closing audit alone: the mend of a hole is taken out of the command (its bug is planted there),
//! the workers are as they are, and the job does not end as completed.

use longshore_tests::Scene;

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
