//! Tasks that ended, done again: failed ones, quarantined ones, and done ones whose rows are gone.

use longshore_shared::faults;

use longshore_tests::{Finished, Scene, TaskRow, long_or, name, wait_for};

use crate::job_control::at_once;

const EXIT_CONFLICT: i32 = 6;
const EXIT_USAGE: i32 = 2;

/// A job with three files of which one is broken, at its end.
fn with_broken_file() -> (Scene, String, Vec<u8>) {
    let scene = Scene::with_events(3, 200);
    let key = "events-001.parquet";
    let good =
        scene.admin.bytes(&format!("{} FORMAT Parquet", longshore_tests::rows_sql(key, 200)));
    scene.put_bytes(key, &good);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.put_bytes(key, b"not a Parquet file");
    scene.worker(&job).run();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (2, 1), "{tasks:?}");
    (scene, job, good)
}

fn retry(scene: &Scene, job: &str, more: &[&str]) -> Finished {
    scene.longshore(["retry", job, "--json"]).args(more).run()
}

#[test]
fn a_failed_task_is_tried_again_once_its_cause_is_gone() {
    let (scene, job, good) = with_broken_file();
    assert_eq!(scene.status(&job)["state"], "failed");
    retry(&scene, &job, &[]).exits_with(EXIT_USAGE);
    retry(&scene, &job, &["--quarantined"]).exits_with(EXIT_CONFLICT);
    let dry = retry(&scene, &job, &["--failed", "--dry-run"]).ok().json();
    assert_eq!((&dry["failed"], &dry["state"]), (&1.into(), &"failed".into()));
    // The cause is still there: it fails again, and nothing else happens.
    retry(&scene, &job, &["--failed"]).ok();
    scene.worker(&job).run();
    assert_eq!(scene.status(&job)["state"], "failed");
    assert_eq!(scene.tasks().count("done"), 2);

    scene.put_bytes("events-001.parquet", &good);
    let opened = scene.longshore(["resume", &job, "--json"]).run().ok().json();
    assert_eq!((&opened["failed_retried"], &opened["state"]), (&1.into(), &"running".into()));
    scene.settle(&job, "retried");
    assert_eq!(scene.loads(&job), 3, "what was done is not loaded again");
    let again = scene.longshore(["resume", &job, "--json"]).run().ok().json();
    assert_eq!((&again["failed_retried"], &again["state"]), (&0.into(), &"completed".into()));
}

#[test]
fn a_retry_that_dies_anywhere_is_finished_by_doing_it_again() {
    at_once(faults::REOPEN.iter().copied(), |point| {
        let (scene, job, good) = with_broken_file();
        scene.put_bytes("events-001.parquet", &good);
        // Workers look for something to do all the time.
        let mut idle = scene.endless_worker().spawn();
        let dead =
            scene.longshore(["retry", &job, "--failed"]).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{}: {dead}", point.0);
        assert_eq!(scene.status(&job)["state"], "reopening", "{}", point.0);
        let doctor = scene.longshore(["doctor", &job]).run();
        doctor.says(&["a retry was interrupted", "longshore resume"]);
        for command in ["submit", "run"] {
            scene
                .longshore([command, &job])
                .run()
                .exits_with(EXIT_CONFLICT)
                .says(&["longshore resume"]);
        }
        scene.longshore(["resume", &job]).run().ok();
        wait_for("all is done", || scene.tasks().all("done").then_some(()));
        idle.kill();
        scene.settle(&job, point.0);
    });
}

#[test]
fn a_retry_that_sleeps_changes_nothing_that_was_done_meanwhile() {
    let (scene, job, good) = with_broken_file();
    scene.put_bytes("events-001.parquet", &good);
    let sleeper = scene
        .longshore(["retry", &job, "--failed", "--json"])
        .faults(format!("{}=sleep(8000)", faults::REOPEN_BEGUN.0))
        .spawn();
    wait_for("it has chosen", || (scene.status(&job)["state"] == "reopening").then_some(()));
    assert_eq!(retry(&scene, &job, &["--failed"]).ok().json()["failed"], 1);
    scene.finish(&job);
    assert!(scene.tasks().all("done"), "{:?}", scene.tasks());
    assert_eq!(sleeper.wait().ok().json()["failed"], 0, "the task is in another epoch by now");
    scene.settle(&job, "a retry slept");
    assert_eq!(scene.loads(&job), 3);
}

#[test]
fn several_retries_at_once_open_each_task_once() {
    let (scene, job, good) = with_broken_file();
    scene.put_bytes("events-001.parquet", &good);
    let all: Vec<_> =
        (0..6).map(|_| scene.longshore(["retry", &job, "--json", "--failed"]).spawn()).collect();
    let mut opened = 0;
    for finished in all.into_iter().map(longshore_tests::Running::wait) {
        if finished.code() != Some(EXIT_CONFLICT) {
            opened += finished.ok().json()["failed"].as_u64().expect("a number");
        }
    }
    assert_eq!(opened, 1);
    scene.settle(&job, "retried by six at once");
}

#[test]
fn an_exchange_whose_chunk_failed_is_finished_after_a_retry() {
    let bed = longshore_tests::Bed::from_env();
    let scene = Scene::for_swaps(&bed).with_old_events(2, 200);
    let key = "events-001.parquet";
    let good =
        scene.admin.bytes(&format!("{} FORMAT Parquet", longshore_tests::rows_sql(key, 200)));
    scene.put_bytes(key, &good);
    let job = scene.submit(&["--publish", "exchange", "--chunk-files-max", "1"]);
    scene.put_bytes(key, b"not a Parquet file");
    scene.worker(&job).run();
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (1, 2), "chunk and last: {tasks:?}");
    scene.assert_untouched();
    scene.put_bytes(key, &good);
    let opened = retry(&scene, &job, &["--task", &format!("{job}-0000001")]).ok().json();
    assert_eq!(opened["failed"], 2, "the last task comes with it");
    scene.settle_swap(&job, "exchange", "retried");
}

/// A job of one task that is in quarantine, because its staging tables were emptied after the
/// manifest was taken (`moved`: after its moves).
fn quarantined(moved: bool) -> (Scene, String) {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults(format!("{}=exit", faults::MANIFEST_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    for table in scene.staged() {
        let (staging, table) = (&scene.staging, name(&table));
        if moved {
            for target in
                ["events", "daily"].iter().filter(|target| table.ends_with(&format!("_{target}`")))
            {
                let ids = scene.admin.column(&format!(
                    "SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = '{staging}' \
                     AND table = '{}'", table.trim_matches('`')
                ));
                for id in ids {
                    scene.admin.run(&format!(
                        "ALTER TABLE {staging}.{table} MOVE PARTITION ID '{id}' TO TABLE {}.{target}", scene.db
                    ));
                }
            }
        }
        // A view clone cannot be emptied; its target can.
        scene.admin.try_run(&format!("TRUNCATE TABLE {staging}.{table} SYNC")).ok();
    }
    scene.finish(&job);
    assert!(scene.tasks().all("quarantined"), "{:?}", scene.tasks());
    (scene, job)
}

#[test]
fn a_quarantined_task_is_proved_again_and_never_taken_for_done_without() {
    let (scene, job) = quarantined(false);
    retry(&scene, &job, &["--quarantined"]).ok();
    scene.finish(&job);
    assert!(scene.tasks().all("quarantined"), "{:?}", scene.tasks());
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), 0);
    // Nothing of it is in a target: the person says so, and the server agrees.
    retry(&scene, &job, &["--quarantined", "--reload"]).ok();
    scene.settle(&job, "loaded again");
}

#[test]
fn the_last_decision_counts_where_an_earlier_one_was_cut() {
    let (scene, job) = quarantined(false);
    let accept = ["retry", &job, "--quarantined", "--accept"];
    let cut = scene.longshore(accept).faults("reopen.begun=exit").run();
    assert!(cut.was_killed(), "{cut}");
    // The person has looked again: nothing of it is in any target.
    let reloaded = retry(&scene, &job, &["--quarantined", "--reload"]).ok().json();
    assert_eq!(reloaded["quarantined"], 1, "{reloaded}");
    scene.settle(&job, "accepted, cut, and then reloaded");
}

#[test]
fn what_was_true_when_a_command_was_cut_is_looked_at_again() {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&[]);
    scene.finish(&job);
    let truncate =
        |table: &str| scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    for table in ["events", "daily", "buys"] {
        truncate(table);
    }
    let cut = scene.longshore(["resume", &job, "--replay-done"]).faults("reopen.begun=exit").run();
    assert!(cut.was_killed(), "{cut}");
    // Before anybody goes on, somebody else fills the table.
    let other = scene.plan(&["--again", "meanwhile"]);
    scene.longshore(["submit", &other, "--force-overlap"]).run().ok();
    scene.finish(&other);
    let refused = scene.longshore(["resume", &job]).run().exits_with(EXIT_CONFLICT);
    refused.says(&["would be in", "twice", "not empty"]);
    scene.assert_exact();
}

#[test]
fn a_quarantined_task_that_is_in_its_targets_is_not_loaded_again() {
    let (scene, job) = quarantined(true);
    let refused = retry(&scene, &job, &["--quarantined", "--reload"]).exits_with(EXIT_CONFLICT);
    refused.says(&["cannot be loaded again", "is in"]);
    assert_eq!(scene.status(&job)["state"], "failed", "refused before anything was changed");
    let opened = retry(&scene, &job, &["--quarantined", "--accept"]).ok().json();
    assert_eq!(opened["quarantined"], 1);
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.assert_rows("events");
    assert_eq!(scene.loads(&job), 1);
}

/// Hole H12a: `--accept` of a task whose staged rows have no twin in the target was taken, and the
/// staging tables were swept.
#[test]
fn what_is_staged_only_is_not_accepted_as_done() {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults(format!("{}=exit", faults::MANIFEST_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    // Another table has the name of a target: nothing can be proved there.
    let db = &scene.db;
    scene.admin.run(&format!("RENAME TABLE {db}.daily TO {db}.daily_old"));
    scene.admin.run(&format!("CREATE TABLE {db}.daily AS {db}.daily_old"));
    scene.finish(&job);
    assert!(scene.tasks().all("quarantined"), "{:?}", scene.tasks());
    scene.admin.run(&format!("DROP TABLE {db}.daily SYNC"));
    scene.admin.run(&format!("RENAME TABLE {db}.daily_old TO {db}.daily"));

    let accept = ["--quarantined", "--accept"];
    let refused = retry(&scene, &job, &accept).exits_with(EXIT_CONFLICT);
    let rows = scene.admin.number(&format!(
        "SELECT sum(rows) FROM system.parts WHERE active AND database = '{}' AND endsWith(table, '_daily')",
        scene.staging
    ));
    let task = format!("{job}-0000000");
    refused.says(&[&format!("with {rows} rows"), "still staged", ".daily", "--task", &task]);
    assert_eq!(scene.status(&job)["state"], "failed", "nothing was changed");
    assert!(!scene.staged().is_empty());
    retry(&scene, &job, &["--task", &task]).ok();
    scene.settle(&job, "its moves were finished");
    assert_eq!(scene.loads(&job), 1);
}

#[test]
fn what_is_done_is_loaded_again_only_where_it_is_gone() {
    let scene = Scene::with_events(3, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.settle(&job, "loaded");
    let refused =
        scene.longshore(["resume", &job, "--replay-done"]).run().exits_with(EXIT_CONFLICT);
    refused.says(&["would be in", "twice", "are not empty"]);
    scene.assert_exact();
    for table in ["events", "daily"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    // The view with an inner table still has its rows.
    retry(&scene, &job, &["--replay-done"]).exits_with(EXIT_CONFLICT).says(&["inner"]);
    scene.admin.run(&format!("TRUNCATE TABLE {}.buys SYNC", scene.db));
    let opened = retry(&scene, &job, &["--replay-done"]).ok().json();
    assert_eq!((&opened["done"], &opened["state"]), (&3.into(), &"running".into()));
    scene.settle(&job, "replayed");
    assert_eq!(scene.loads(&job), 6);
}

/// The cost is measured by `scripts/bench retry`; here it is only that one command does it all.
#[test]
fn thousands_of_failed_tasks_are_opened_by_one_command() {
    let scene = Scene::new();
    let least = long_or(2_000, 10_000);
    scene.create(&format!(
        "CREATE TABLE {{db}}.source (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS index_granularity = 8;
         INSERT INTO {{db}}.source SELECT number FROM numbers({});
         CREATE TABLE {{db}}.target (n UInt64) ENGINE = MergeTree ORDER BY n;",
        least * 8
    ));
    let plan = scene.copy_program("source", "target", &["--chunk-bytes", "64"]).run().ok().json();
    let job = plan["plan_id"].as_str().expect("a plan id").to_owned();
    let tasks = scene.tasks().0.len();
    assert!(tasks >= least, "{tasks} tasks");
    fail_all(&scene, &job, tasks);
    let opened = retry(&scene, &job, &["--failed"]).ok().json();
    assert_eq!(opened["failed"], tasks);
    let now = scene.tasks();
    assert!(now.all("pending"), "{:?}", now.states());
    // As `TaskEvent::Reopened` makes of one task.
    let as_planned = |task: &TaskRow| {
        (task.attempts, task.deaths, task.rows) == (0, 0, 0) && task.error.is_empty()
    };
    assert!(now.0.iter().all(as_planned), "{:?}", now.0.iter().find(|task| !as_planned(task)));
    let status = scene.status(&job);
    assert_eq!((&status["state"], &status["tasks"]["pending"]), (&"running".into(), &tasks.into()));
    scene.longshore(["cancel", &job]).run().ok();
}

/// As if every task had failed and the job had ended so.
fn fail_all(scene: &Scene, job: &str, tasks: usize) {
    let control = &scene.control;
    let ids: Vec<String> = (0..tasks).map(|ordinal| format!("'{job}-{ordinal:07}'")).collect();
    for page in ids.chunks(500) {
        scene.admin.run(&format!(
            "ALTER TABLE {control}.tasks UPDATE state = 'failed', error = 'planted', attempts = 5 \
             WHERE task_id IN ({})",
            page.join(",")
        ));
    }
    let segments = tasks.div_ceil(64);
    let mut bits = vec![0u8; segments.div_ceil(8)];
    (0..segments).for_each(|segment| bits[segment / 8] |= 1 << (segment % 8));
    let bits = format!("{bits:02x?}").replace([',', '[', ']', ' '], "");
    scene.admin.run(&format!(
        "ALTER TABLE {control}.cursors UPDATE frontier = {segments}, finished = '{bits}', failed = {tasks} \
         WHERE job_id = '{job}'"
    ));
    scene
        .admin
        .run(&format!("ALTER TABLE {control}.jobs UPDATE state = 'failed' WHERE job_id = '{job}'"));
}

#[test]
fn submits_of_the_same_plan_at_once_make_one_running_job() {
    let scene = Scene::with_events(2, 100);
    let plan = scene.plan(&[]);
    let all: Vec<_> = (0..8).map(|_| scene.longshore(["submit", &plan]).spawn()).collect();
    for submit in all {
        submit.wait().ok();
    }
    scene.settle(&plan, "submitted by eight at once");
    assert_eq!(scene.loads(&plan), 1);
}
