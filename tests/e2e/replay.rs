//! `plan replay`: the target of a view again, through the view's own query.

use longshore_shared::faults;
use longshore_tests::{Bed, Scene, drawn_few};

/// What rows are, whatever order they are in.
const ROWS: &str = "SELECT count(), sum(cityHash64(*)) FROM {t}";
const MERGED: &str = "SELECT count(), sum(cityHash64(*)) FROM {t} FINAL";
/// Small enough that every source here is cut into several chunks.
const SMALL: [&str; 2] = ["--chunk-bytes", "32K"];

/// A scene whose `events` hold rows, and whose view targets were emptied.
fn scene(rows: u64) -> Scene {
    let scene = Scene::with_events(0, 0);
    scene.put_into("events", "first", rows);
    scene.put_into("events", "second", rows);
    scene.admin.run(&format!("TRUNCATE TABLE {}.daily", scene.db));
    scene.admin.run(&format!("TRUNCATE TABLE {}.buys", scene.db));
    scene
}

/// A scene whose source has small granules and no views yet; those of `ddl` come after its rows.
fn source(rows: u64, ddl: &str) -> Scene {
    source_in(Scene::new(), rows, ddl)
}

fn source_in(scene: Scene, rows: u64, ddl: &str) -> Scene {
    scene.create(
        "CREATE TABLE {db}.source (file String, n UInt64, day Date, kind LowCardinality(String), \
         value UInt64, checksum UInt64) ENGINE = MergeTree PARTITION BY toYYYYMM(day) \
         ORDER BY (kind, day, n) SETTINGS index_granularity = 64;",
    );
    scene.put_into("source", "first", rows);
    scene.put_into("source", "second", rows);
    scene.create(ddl);
    scene
}

fn count(scene: &Scene, table: &str) -> u64 {
    scene.admin.number(&format!("SELECT count() FROM {}.{table}", scene.db))
}

fn chunks(plan: &serde_json::Value) -> u64 {
    plan["chunks"].as_u64().expect("chunks")
}

fn notes(plan: &serde_json::Value) -> String {
    plan["notes"].to_string()
}

#[test]
fn a_view_fills_its_target_again_and_nothing_else() {
    let scene = scene(2_000);
    let plan = scene.replay(&["daily_mv"], &["--chunk-bytes", "64K"]);
    assert_eq!(plan["rows"], 4_000, "{plan}");
    assert!(chunks(&plan) > 1, "{plan}");
    scene.assert_view("daily_mv");
    assert_eq!((count(&scene, "buys"), count(&scene, "events")), (0, 4_000));
}

#[test]
fn a_view_with_a_table_of_its_own_is_filled_again() {
    let scene = scene(1_000);
    let plan = scene.replay(&["buys"], &SMALL);
    scene.assert_view("buys");
    assert_eq!(count(&scene, "daily"), 0);
    let again = scene.replay_program(&["buys"], &SMALL).run().ok().json();
    assert_eq!(again["plan_id"], plan["plan_id"], "an unchanged source gives the same plan");
    assert_eq!(again["created"], false);
    assert!(notes(&again).contains("already, and the replay adds to them"), "{again}");
}

const CHAIN: &str = "
CREATE TABLE {db}.days (day Date, kind String, events UInt64)
ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind);
CREATE TABLE {db}.months (month Date, events UInt64) ENGINE = SummingMergeTree ORDER BY month;
CREATE TABLE {db}.years (year UInt16, events UInt64) ENGINE = SummingMergeTree ORDER BY year;
CREATE MATERIALIZED VIEW {db}.days_mv TO {db}.days AS
SELECT day, kind, count() AS events FROM {db}.source GROUP BY day, kind;
CREATE MATERIALIZED VIEW {db}.months_mv TO {db}.months AS
SELECT toStartOfMonth(day) AS month, sum(events) AS events FROM {db}.days GROUP BY month;
CREATE MATERIALIZED VIEW {db}.years_mv TO {db}.years AS
SELECT toYear(month) AS year, sum(events) AS events FROM {db}.months GROUP BY year;
";

#[test]
fn chosen_views_of_a_chain_fire_in_order_and_the_rest_is_left_out() {
    let scene = source(1_500, CHAIN);
    let plan = scene.replay(&["months_mv", "days_mv"], &SMALL);
    assert!(chunks(&plan) > 3 && notes(&plan).contains("years_mv"), "{plan}");
    scene.assert_view("days_mv");
    scene.assert_view("months_mv");
    assert_eq!(count(&scene, "years"), 0);

    // The rest alone, from what is there now.
    scene.replay(&["years_mv"], &[]);
    scene.assert_view("years_mv");
}

#[test]
fn a_cascade_fills_everything_that_follows() {
    let scene = source(1_500, CHAIN);
    let plan = scene.replay(&["days_mv"], &["--cascade", "--chunk-bytes", "32K"]);
    assert_eq!((&plan["tables"], &plan["views"]), (&3.into(), &2.into()), "{plan}");
    for view in ["days_mv", "months_mv", "years_mv"] {
        scene.assert_view(view);
    }
}

const FAN_IN: &str = "
CREATE TABLE {db}.other (day Date, value UInt64) ENGINE = MergeTree ORDER BY day;
INSERT INTO {db}.other SELECT toDate('2024-02-01') + number % 9, number FROM numbers(500);
CREATE TABLE {db}.totals (day Date, what String, value UInt64) ENGINE = SummingMergeTree ORDER BY (day, what);
CREATE MATERIALIZED VIEW {db}.a_mv TO {db}.totals AS
SELECT day, 'a' AS what, sum(value) AS value FROM {db}.source GROUP BY day;
CREATE MATERIALIZED VIEW {db}.b_mv TO {db}.totals AS
SELECT count() AS value, day, 'b' AS what FROM {db}.source GROUP BY day;
CREATE MATERIALIZED VIEW {db}.c_mv TO {db}.totals AS
SELECT 'c' AS what, value, day FROM {db}.other;
CREATE TABLE {db}.loud (n UInt64) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.loud_mv TO {db}.loud AS SELECT n FROM {db}.source WHERE kind = 'buy';
";

#[test]
fn a_target_alone_is_filled_by_every_view_that_writes_it() {
    let scene = source(1_000, FAN_IN);
    let target = format!("{}.totals", scene.db);
    scene.replay(&[], &["--target", &target, "--chunk-bytes", "32K"]);
    scene.assert_replayed(&["a_mv", "b_mv", "c_mv"], "totals", MERGED);
    assert_eq!(count(&scene, "loud"), 0);
}

#[test]
fn a_subset_of_views_with_different_targets_is_one_job() {
    let scene = source(1_000, FAN_IN);
    let plan = scene.replay(&["b_mv", "loud_mv"], &SMALL);
    assert!(notes(&plan).contains("a_mv writes to") && notes(&plan).contains("c_mv"), "{plan}");
    scene.assert_replayed(&["b_mv"], "totals", MERGED);
    scene.assert_replayed(&["loud_mv"], "loud", ROWS);
}

#[test]
fn states_are_merged_whatever_the_cut() {
    let scene = source(
        1_500,
        "CREATE TABLE {db}.stats (kind String, users AggregateFunction(uniqExact, UInt64), \
         mean AggregateFunction(avg, UInt64), top SimpleAggregateFunction(max, UInt64), \
         n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY kind;
         CREATE MATERIALIZED VIEW {db}.stats_mv TO {db}.stats AS
         SELECT kind, uniqExactState(source.n) AS users, avgState(value) AS mean, max(value) AS top, \
         count() AS n FROM {db}.source GROUP BY kind;",
    );
    let plan = scene.replay(&["stats_mv"], &SMALL);
    assert!(chunks(&plan) > 3, "{plan}");
    assert!(count(&scene, "stats") >= 3);
    scene.assert_replayed(
        &["stats_mv"],
        "stats",
        "SELECT kind, uniqExactMerge(users), avgMerge(mean), max(top), sum(n) FROM {t} GROUP BY kind ORDER BY kind",
    );
}

#[test]
fn a_worker_that_dies_in_a_replay_loses_and_doubles_nothing() {
    let points = [faults::LOAD_AFTER, faults::MOVE_AFTER, faults::RECEIPT_BEFORE];
    for point in drawn_few(&points, 1) {
        let scene = source(1_500, CHAIN);
        let more = ["--cascade", "--chunk-bytes", "48K"];
        let plan = scene.replay_program(&["days_mv"], &more).run().ok().json();
        let id = plan["plan_id"].as_str().expect("a plan id");
        scene.longshore(["submit", id]).run().ok();
        let dead = scene.worker(id).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{dead}");
        scene.sign_all_off();
        scene.finish_all(id);
        assert_eq!(scene.status(id)["state"], "completed", "{}", point.0);
        for view in ["days_mv", "months_mv", "years_mv"] {
            scene.assert_view(view);
        }
        scene.assert_clean(id);
    }
}

#[test]
fn a_view_that_was_changed_after_the_plan_stops_the_job() {
    let scene = source(500, CHAIN);
    let plan = scene.replay_program(&["days_mv"], &SMALL).run().ok().json();
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.admin.run(&format!(
        "ALTER TABLE {0}.days_mv MODIFY QUERY SELECT day, kind, 2 * count() AS events FROM {0}.source GROUP BY day, kind",
        scene.db
    ));
    scene.longshore(["submit", id]).run().ok();
    scene.worker(id).run();
    let status = scene.status(id);
    assert_eq!(status["state"], "paused", "{status}");
    assert!(status["reason"].to_string().contains("the query of"), "{status}");
    assert_eq!(count(&scene, "days"), 0);
}

#[test]
fn a_snapshot_is_read_in_the_place_of_the_source() {
    let scene = source(
        1_000,
        "CREATE TABLE {db}.loud (n UInt64, kind String) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.loud_mv TO {db}.loud AS
         SELECT s.n, source.kind AS kind FROM (SELECT n, kind FROM {db}.source) AS s \
         LEFT ANY JOIN (SELECT 'buy' AS kind) AS source ON s.kind = source.kind;",
    );
    let plan = scene.replay_program(&["loud_mv"], &["--snapshot", "--chunk-bytes", "32K"]).run();
    let plan = plan.ok().json();
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.assert_replayed(&["loud_mv"], "loud", "SELECT 1 FROM {t} LIMIT 0 UNION ALL SELECT 1");
    scene.put_into("source", "late", 300);
    scene.admin.run(&format!("TRUNCATE TABLE {}.loud", scene.db));
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    assert_eq!(count(&scene, "loud"), 2_000, "the rows of the moment of the plan");
    scene.assert_clean(id);
}

#[test]
fn the_old_rows_are_there_until_the_replay_takes_their_place() {
    for how in drawn_few(&["exchange", "replace"], 1) {
        let scene = source_in(Scene::for_swaps(&Bed::from_env()), 1_000, FAN_IN);
        scene.put_into("source", "third", 500);
        let target = format!("{}.totals", scene.db);
        scene.admin.run(&format!(
            "ALTER TABLE {target} UPDATE value = 7 WHERE 1 SETTINGS mutations_sync = 2"
        ));
        let gone = ["--publish", how];
        let refused = scene.replay_program(&["a_mv", "b_mv"], &gone).run().exits_with(2);
        refused.says(&["c_mv writes to", "would be gone"]);

        scene.replay(&[], &["--target", &target, "--publish", how, "--chunk-bytes", "48K"]);
        scene.assert_replayed(&["a_mv", "b_mv", "c_mv"], "totals", MERGED);
        // The views go on writing into the table that is there now.
        scene.put_into("source", "fourth", 500);
        scene.assert_replayed(&["a_mv", "b_mv", "c_mv"], "totals", MERGED);
    }
}
