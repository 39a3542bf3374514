//! Loads are held back: by a person's limit, and while the server has too much to do.

use longshore_tests::{Scene, wait_for};

const EXIT_USAGE: i32 = 2;
const EXIT_CONFLICT: i32 = 6;

/// A scene whose every load of 100 rows takes a third of a second.
fn slow_loads(files: usize) -> Scene {
    let scene = Scene::with_events(files, 100);
    scene.create("CREATE TABLE {db}.slow (n UInt64) ENGINE = MergeTree ORDER BY n;");
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.slow_mv TO {db}.slow AS SELECT n FROM {db}.events WHERE sleepEachRow(0.003) = 0;",
    );
    scene
}

/// Loads that ran at the same time, at most; of those that began before a moment of the server's clock.
fn most_at_once(scene: &Scene, job: &str, before: &str) -> u64 {
    scene.admin.run("SYSTEM FLUSH LOGS");
    scene.admin.number(&format!(
        "SELECT max(running) FROM
         (
             SELECT sum(event.2) OVER (ORDER BY event.1, event.2) AS running FROM
             (
                 SELECT arrayJoin([(query_start_time_microseconds, 1), (event_time_microseconds, -1)]) AS event
                 FROM system.query_log
                 WHERE startsWith(query_id, '{job}') AND endsWith(query_id, '-load') AND type = 'QueryFinish'
                   AND query_start_time_microseconds < toDateTime64('{before}', 6)
             )
         )"
    ))
}

#[test]
fn a_limit_holds_over_all_workers_until_it_is_changed() {
    let scene = slow_loads(12);
    let job = scene.plan(&["--chunk-files-max", "1"]);
    let limited = scene.longshore(["scale", &job, "--loads", "1"]).run().ok();
    limited.says(&["loads 1 task at a time"]);
    scene.longshore(["submit", &job]).run().ok();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            scene.worker(&job).env("LONGSHORE_SLOTS", "2").env("LONGSHORE_LEASE", "60s").spawn()
        })
        .collect();
    wait_for("three tasks are done", || (scene.tasks().count("done") >= 3).then_some(()));
    assert_eq!(scene.status(&job)["loads_max"], 1);
    let changed = scene.admin.run("SELECT toString(now64(6))").trim().to_owned();
    scene.longshore(["scale", &job, "--loads", "none"]).run().ok().says(&["no limit"]);
    for worker in workers {
        worker.wait().ok();
    }
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_eq!(most_at_once(&scene, &job, &changed), 1);
    assert!(most_at_once(&scene, &job, "2100-01-01 00:00:00") > 1, "the limit was lifted");
    scene.assert_exact();
    let over = scene.longshore(["scale", &job, "--loads", "2"]).run().exits_with(EXIT_CONFLICT);
    over.says(&["is completed", "longshore status"]);
    let zero = scene.longshore(["scale", &job, "--loads", "0"]).run().exits_with(EXIT_USAGE);
    zero.says(&["longshore pause"]);
}

#[test]
fn loads_wait_for_merges_before_the_server_slows_them_down() {
    let scene = Scene::with_events(24, 100);
    let table = format!("{}.events", scene.db);
    scene.admin.run(&format!("ALTER TABLE {table} MODIFY SETTING parts_to_delay_insert = 10"));
    scene.admin.run(&format!("SYSTEM STOP MERGES {table}"));
    let job = scene.submit(&["--chunk-files-max", "1"]);
    // It is looked at every five seconds.
    let worker = scene.worker(&job).env("LONGSHORE_SLOTS", "1").faults("stage.after=sleep(700)");
    let worker = worker.spawn();
    let reason = wait_for("the job waits for merges", || {
        let status = scene.status(&job);
        assert_ne!(status["state"], "completed", "all was loaded");
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        reason.contains("slows inserts down at 10: merges must catch up").then_some(reason)
    });
    assert!(reason.starts_with("waits for the server since "), "{reason}");
    wait_for("nothing is in flight", || {
        let tasks = scene.tasks();
        (tasks.count("claimed") + tasks.count("publishing") == 0).then_some(())
    });
    let done = scene.tasks().count("done");
    assert!((8..20).contains(&done), "{done} of 24 are done");
    scene.longshore(["status", &job]).run().ok().says(&["merges must catch up"]);
    // Whoever was told not to wait loads all the same, also when it would have looked by then.
    let hasty = scene.worker(&job).env("LONGSHORE_WAIT_WHEN_BUSY", "false");
    let slowly = "stage.after=sleep(3000);done.after=2*off->exit";
    let hasty = hasty.env("LONGSHORE_SLOTS", "1").env("LONGSHORE_LOAD_AHEAD", "false");
    let hasty = hasty.faults(slowly).run();
    assert!(hasty.was_killed(), "{hasty}");
    let done = done + 3;
    assert_eq!(scene.tasks().count("done"), done, "three tasks were loaded");
    scene.admin.run(&format!("SYSTEM START MERGES {table}"));
    scene.admin.run(&format!("OPTIMIZE TABLE {table} FINAL"));
    wait_for("loads go on", || (scene.tasks().count("done") > done).then_some(()));
    worker.wait().ok();
    let status = scene.status(&job);
    assert_eq!((&status["state"], &status["reason"]), (&"completed".into(), &"".into()));
    scene.assert_exact();
}
