//! What can come between a kill inside a MOVE and the look of a worker at what it left.

use longshore_tests::{
    CLICKHOUSE, Format, LONG_LEASE, OwnBed, Scene, drawn_few, long_or, rows_sql, send_signal,
    within,
};
use std::time::Duration;

use crate::blow::{Standing, WorkerOutcome, forget_merged, merge};
use crate::campaign::RENAME;
use crate::place::{Folders, classify};

/// What becomes of the worker: one of both ways, drawn by each test, or both in a long run.
fn outcomes() -> Vec<WorkerOutcome> {
    drawn_few(&[WorkerOutcome::Survives, WorkerOutcome::Dies], 1)
}

#[test]
fn merges_before_the_recovery_do_not_hide_what_was_moved() {
    let bed = OwnBed::start();
    for outcome in outcomes() {
        let scene = Scene::on(&bed.bed).and_events(4, 300);
        let job = scene.submit(&["--chunk-files-max", "2"]);
        let standing = Standing::new(&bed, &scene, &job, 1);
        standing.kill_in_both("events");
        merge(&scene, "events");
        standing.settle(outcome, "merges before the recovery");
    }
}

#[test]
fn merged_parts_that_a_started_server_lists_late_are_waited_for() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(4, 300);
    // A server with many parts takes as long by itself.
    scene.admin.run(&format!(
        "ALTER TABLE {}.events MODIFY SETTING sleep_before_loading_outdated_parts_ms = 20000",
        scene.db
    ));
    let job = scene.submit(&["--chunk-files-max", "2"]);
    let standing = Standing::new(&bed, &scene, &job, 1);
    standing.kill_in_both("events");
    // What was moved is merged away, and the server is killed once more before anybody has looked.
    merge(&scene, "events");
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
    standing.settle(WorkerOutcome::Dies, "parts that are listed late");
}

#[test]
fn sums_stay_exact_when_merges_come_before_the_recovery() {
    let bed = OwnBed::start();
    for outcome in outcomes() {
        let scene = Scene::on(&bed.bed).and_events(4, 300);
        let job = scene.submit(&["--chunk-files-max", "2"]);
        let standing = Standing::new(&bed, &scene, &job, 1);
        standing.kill_in_both("daily");
        merge(&scene, "daily");
        standing.settle(outcome, "a view's sums");
    }
}

#[test]
fn a_target_that_sums_its_rows_gets_every_file_once() {
    let bed = OwnBed::start();
    for outcome in outcomes() {
        let scene = Scene::on(&bed.bed);
        scene.create(
            "CREATE TABLE {db}.totals (kind String, day Date, value UInt64, n UInt64)
             ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY kind;\n",
        );
        let files = ["0.parquet", "1.parquet"];
        for file in files {
            scene.put_rows(file, 400, Format::Parquet);
        }
        let id = scene.plan_into(
            "totals",
            "*",
            &["--chunk-files-max", "1", "--columns", "n,day,kind,value"],
        );
        scene.longshore(["submit", &id]).run().ok();
        let standing = Standing::new(&bed, &scene, &id, 1);
        standing.kill_in_both("totals");
        merge(&scene, "totals");
        if let Some(worker) = standing.decide(outcome) {
            worker.wait().ok();
        }
        scene.finish_all(&id);
        let sums = "sum(value), sum(n)";
        let [first, second] = files.map(|file| format!("SELECT * FROM ({})", rows_sql(file, 400)));
        let expected = format!("SELECT {sums} FROM ({first} UNION ALL {second})");
        let found = format!("SELECT {sums} FROM {}.totals", scene.db);
        assert_eq!(scene.admin.run(&found), scene.admin.run(&expected), "{outcome:?}");
        scene.assert_clean(&id);
    }
}

#[test]
fn chunks_of_identical_bytes_are_told_apart() {
    let bed = OwnBed::start();
    let cases = [
        (false, WorkerOutcome::Dies),
        (true, WorkerOutcome::Dies),
        (false, WorkerOutcome::Survives),
        (true, WorkerOutcome::Survives),
    ];
    for (both, outcome) in drawn_few(&cases, 2) {
        let scene = Scene::on(&bed.bed).and_events(0, 0);
        let statement = format!("{} FORMAT Parquet", rows_sql("same", 300));
        let bytes = scene.admin.bytes(&statement);
        for file in ["a.parquet", "b.parquet"] {
            scene.put_bytes(file, &bytes);
        }
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let standing = Standing::new(&bed, &scene, &job, 1);
        if both {
            standing.kill_in_both("events");
        } else {
            standing.kill_in_source("events");
        }
        if let Some(worker) = standing.decide(outcome) {
            worker.wait().ok();
        }
        scene.finish_all(&job);
        let rows = scene.admin.rows(&format!(
            "SELECT count(), countIf(times = 2) FROM (SELECT n, count() AS times FROM {}.events GROUP BY n)",
            scene.db
        ));
        assert_eq!(rows, [["300", "300"]], "every row twice, once of each file: {outcome:?}");
        scene.assert_view("daily_mv");
        scene.assert_view("buys");
        scene.assert_clean(&job);
    }
}

/// A base table that forgets merged parts at once, as after an outage of many minutes.
const FORGETFUL: &str = "
CREATE TABLE {db}.events (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n)
SETTINGS old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0;
";

#[test]
fn after_an_outage_longer_than_the_evidence_nothing_is_guessed() {
    let bed = OwnBed::start();
    let outcomes = outcomes();
    let mut quarantined = 0;
    for outcome in &outcomes {
        let scene = Scene::on(&bed.bed);
        scene.create(FORGETFUL);
        for file in ["0.parquet", "1.parquet"] {
            scene.put_rows(file, 400, Format::Parquet);
        }
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let standing = Standing::new(&bed, &scene, &job, 1);
        standing.kill_in_both("events");
        merge(&scene, "events");
        forget_merged(&scene, "events");
        if let Some(worker) = standing.decide(*outcome) {
            worker.wait();
        }
        scene.finish_all(&job);
        let tasks = scene.tasks();
        println!("{outcome:?}: {tasks:?}");
        let doubled = scene
            .admin
            .number(&format!("SELECT count() - uniqExact(file, n) FROM {}.events", scene.db));
        assert_eq!(doubled, 0, "{outcome:?}: rows were moved a second time: {tasks:?}");
        if tasks.all("done") {
            scene.assert_rows("events");
            continue;
        }
        quarantined += 1;
        assert_eq!(tasks.count("quarantined"), 1, "{outcome:?}: {tasks:?}");
        let task = tasks.0.iter().find(|task| task.state == "quarantined").expect("just counted");
        assert!(task.error.contains("events"), "the evidence names the table: {}", task.error);
        assert_eq!(scene.staged().len(), 1, "the staged rows are kept for a person");
    }
    println!("{quarantined} of {} were quarantined", outcomes.len());
}

#[test]
fn a_server_killed_again_during_the_recovery_loses_and_doubles_nothing() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(2, 400);
    let job = scene.submit(&[]);
    let standing = Standing::new(&bed, &scene, &job, 0);
    standing.kill_in_both("events");
    standing.decide(WorkerOutcome::Dies);
    bed.slow_renames(RENAME * 3);
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
    let (tries, least) = long_or((3, 2), (6, 4));
    let mut kills = 0;
    for _ in 0..tries {
        let (staging, pid) = (Folders::of(&scene, &scene.staging), bed.pid(CLICKHOUSE));
        let before = staging.list_parts();
        // A short lease: the next worker can take over from this one soon.
        let mut worker = scene.worker(&job).env("LONGSHORE_LEASE", "2s").spawn();
        // The first thing that a recovery changes on disk is in the staging tables: the staged copy
        // of a moved part is dropped, or the next part is moved away.
        let changed = within(Duration::from_secs(60), || {
            (staging.list_parts() != before || worker.has_ended()).then_some(())
        });
        changed.expect("the worker recovers");
        if worker.has_ended() {
            break;
        }
        send_signal(pid, "KILL");
        worker.kill();
        kills += 1;
        bed.restart(CLICKHOUSE);
        println!("kill {kills} in the recovery: {:?}", classify(&scene, &scene.tasks()));
    }
    assert!(kills >= least, "{kills} kills");
    bed.usual_renames();
    bed.restart(CLICKHOUSE);
    scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).run();
    scene.settle(&job, "kills during the recovery");
}
