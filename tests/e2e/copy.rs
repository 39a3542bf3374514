//! `plan copy`: every row of a table once in another, and in the targets of its views.

use longshore_tests::{Scene, drawn_few};

#[test]
fn a_copy_is_exact_in_the_target_and_in_both_views() {
    let scene = Scene::with_source(3, 2_000);
    let planned = scene.copy_program("source", "events", &["--chunk-bytes", "64K"]).run().ok();
    let plan = planned.json();
    assert_eq!(plan["rows"], 6_000, "{plan}");
    assert!(plan["chunks"].as_u64().expect("chunks") >= 4, "a chunk a month at least: {plan}");
    let id = plan["plan_id"].as_str().expect("a plan id");

    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_exact();
    scene.assert_clean(id);
    scene.assert_receipts(id);
    let status = scene.status(id);
    assert_eq!(status["state"], "completed");
    assert_eq!(status["rows"], 6_000);
    assert_eq!(status["bytes"], plan["bytes"]);
}

#[test]
fn a_table_is_not_copied_into_itself() {
    let scene = Scene::with_source(1, 10);
    let said = scene.copy_program("source", "source", &[]).run().exits_with(2);
    said.says(&["cannot be copied into itself"]);
}

#[test]
fn a_snapshot_is_copied_as_of_one_moment_and_dropped_at_the_end() {
    let scene = Scene::with_source(3, 2_000);
    let id = scene.submit_copy(&["--snapshot", "--chunk-bytes", "50K"]);
    // What comes and goes after the plan is no part of it.
    scene.put_into("source", "later.parquet", 500);
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
    let db = &scene.db;
    scene
        .admin
        .run(&format!("ALTER TABLE {db}.source DELETE WHERE n < 100 SETTINGS mutations_sync = 1"));
    assert_eq!(scene.staged(), [format!("{id}_snapshot_0")]);
    scene.settle(&id, "snapshot");
    assert!(scene.staged().is_empty(), "{:?}", scene.staged());
}

#[test]
fn a_live_table_gets_rows_while_it_is_copied_and_none_of_the_old_is_lost() {
    let scene = Scene::with_source(3, 2_000);
    let id = scene.submit_copy(&["--chunk-bytes", "50K"]);
    scene.put_source("later.parquet", 500);
    scene.pardon("later.parquet");
    scene.settle(&id, "live");
}

#[test]
fn rows_that_vanish_from_a_live_table_fail_their_chunk() {
    let scene = Scene::with_source(2, 1_000);
    let id = scene.submit_copy(&["--no-snapshot"]);
    scene.admin.run(&format!(
        "ALTER TABLE {}.source DELETE WHERE n < 100 SETTINGS mutations_sync = 1",
        scene.db
    ));
    scene.finish_all(&id);
    let status = scene.status(&id);
    assert_eq!(status["state"], "failed", "{status}");
    let tasks = scene.longshore(["tasks", &id, "--json"]).run().ok();
    assert!(tasks.json().to_string().contains("rows were removed"), "{tasks}");
}

#[test]
fn planning_again_gives_the_same_id_until_the_table_changes() {
    let scene = Scene::with_source(2, 1_000);
    for more in [&[][..], &["--snapshot"], &["--chunk-bytes", "64K"]] {
        let id = scene.plan_copy(more);
        let again = scene.copy_program("source", "events", more).run().ok().json();
        assert_eq!(again["plan_id"], *id, "{more:?}");
        assert_eq!(again["created"], false);
    }
    let before = scene.plan_copy(&[]);
    scene.put_source("later.parquet", 10);
    assert_ne!(scene.plan_copy(&[]), before);
}

#[test]
fn a_value_that_no_key_divides_is_cut_by_rows_of_a_snapshot() {
    let scene = Scene::with_events(0, 0);
    scene.create(
        "CREATE TABLE {db}.source (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64) \
         ENGINE = MergeTree ORDER BY file SETTINGS index_granularity = 256;",
    );
    scene.put_source("one.parquet", 20_000);
    let planned = scene.copy_program("source", "events", &["--chunk-bytes", "256K"]).run().ok();
    assert!(planned.json()["chunks"].as_u64().expect("chunks") > 3, "{planned}");
    let id = planned.json()["plan_id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.staged(), [format!("{id}_snapshot_0")]);
    scene.longshore(["submit", &id]).run().ok();
    scene.settle(&id, "one value");

    let live = scene.copy_program("source", "events", &["--chunk-bytes", "256K", "--no-snapshot"]);
    let live = live.run().ok().json();
    assert_eq!(live["chunks"], 1, "{live}");
    assert!(live["notes"].to_string().contains("--snapshot"), "{live}");
}

#[test]
fn columns_go_by_name_and_expressions_may_be_given() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.old (a UInt32, b String, gone UInt8, c DateTime) ENGINE = MergeTree ORDER BY a;
         CREATE TABLE {db}.new (c DateTime64(3), a UInt64, b LowCardinality(String), twice UInt64, d UInt8 DEFAULT 7)
         ENGINE = MergeTree PARTITION BY toYYYYMMDD(c) ORDER BY (b, a);
         INSERT INTO {db}.old SELECT number, toString(number % 10), 1, toDateTime('2024-01-01') + number * 60 FROM numbers(5000);",
    );
    let said = scene.copy_program("old", "new", &[]).run().exits_with(2);
    said.says(&["no column `gone`", "--columns 'a,b,c'"]);
    let more = ["--select", "b, c, a, a * 2 AS twice", "--where", "a >= 1000"];
    let planned = scene.copy_program("old", "new", &more).run().ok().json();
    let id = planned["plan_id"].as_str().expect("an id").to_owned();
    scene.longshore(["run", &id]).run().ok();
    let db = &scene.db;
    let differ = scene.admin.number(&format!(
        "SELECT count() FROM (SELECT toUInt64(a) AS a, b, toDateTime64(c, 3) AS c, toUInt64(a * 2) AS twice, 7 AS d \
         FROM {db}.old WHERE a >= 1000) AS o FULL JOIN (SELECT a, toString(b) AS b, c, twice, d FROM {db}.new) AS n \
         ON o.a = n.a AND o.b = n.b AND o.c = n.c AND o.twice = n.twice AND o.d = n.d \
         WHERE o.c = toDateTime64(0, 3) OR n.c = toDateTime64(0, 3)"
    ));
    assert_eq!(differ, 0);
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {db}.new")), 4_000);
}

#[test]
fn an_expression_with_the_name_of_a_key_column_does_not_move_the_bounds() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.old (id UInt64, v UInt64) ENGINE = MergeTree ORDER BY id SETTINGS index_granularity = 128;
         CREATE TABLE {db}.new (id UInt64, v UInt64) ENGINE = MergeTree ORDER BY id;
         INSERT INTO {db}.old SELECT number, number * 10 FROM numbers(10000);",
    );
    let more = ["--chunk-bytes", "32K", "--select", "id + 100000 AS id, v", "--where", "id != 7"];
    let planned = scene.copy_program("old", "new", &more).run().ok().json();
    assert!(planned["chunks"].as_u64().expect("chunks") > 3, "{planned}");
    scene.longshore(["run", planned["plan_id"].as_str().expect("an id")]).run().ok();
    let found = scene.admin.rows(&format!(
        "SELECT count(), uniqExact(id), min(id), max(id), sum(v) FROM {}.new",
        scene.db
    ));
    assert_eq!(found, [["9999", "9999", "100000", "109999", "499949930"]]);
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_way_out() {
    let scene = Scene::with_source(1, 10);
    scene.create("CREATE VIEW {db}.seen AS SELECT * FROM {db}.source;");
    let said = scene.copy_program("seen", "events", &[]).run().exits_with(2);
    said.says(&["View", "MergeTree family"]);
    let said = scene.copy_program("nowhere", "events", &[]).run().exits_with(2);
    said.says(&["there is no table"]);
    let said = scene.copy_program("source", "events", &["--budget", "rows"]).run().exits_with(2);
    said.says(&["uncompressed", "compressed"]);
}

#[test]
fn an_empty_table_is_a_plan_without_chunks_that_completes() {
    let scene = Scene::with_source(0, 0);
    let planned = scene.copy_program("source", "events", &[]).run().ok().json();
    assert_eq!(planned["rows"], 0, "{planned}");
    let id = planned["plan_id"].as_str().expect("an id").to_owned();
    scene.longshore(["run", &id]).run().ok();
    assert_eq!(scene.status(&id)["state"], "completed");
}

#[test]
fn a_delta_brings_what_arrived_since_the_snapshot_and_nothing_twice() {
    let scene = Scene::with_source(3, 1_000);
    // Merges mix old rows with new ones; here rows remember the block they came in.
    scene.admin.run(&format!(
        "ALTER TABLE {}.source MODIFY SETTING enable_block_number_column = 1",
        scene.db
    ));
    let first = scene.submit_copy(&["--snapshot"]);
    scene.put_source("second.parquet", 700);
    scene.finish(&first);
    let run_delta = |job: &str, rows: u64| {
        let planned = scene.copy_program("source", "events", &["--delta", job]).run().ok().json();
        assert_eq!(planned["rows"], rows, "{planned}");
        let id = planned["plan_id"].as_str().expect("an id").to_owned();
        let again = scene.copy_program("source", "events", &["--delta", job]).run().ok().json();
        assert_eq!(again["plan_id"], *id, "the same delta is the same plan");
        scene.longshore(["run", &id]).run().ok();
        id
    };
    let second = run_delta(&first, 700);
    scene.assert_exact();
    // New rows among themselves may be merged; the next delta follows the last one.
    for file in ["third.parquet", "fourth.parquet"] {
        scene.put_source(file, 300);
    }
    let third = run_delta(&second, 600);
    scene.assert_exact();
    run_delta(&third, 0);
    scene.put_source("fifth.parquet", 200);
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
    run_delta(&third, 200);
    scene.assert_exact();
    assert!(scene.staged().is_empty(), "{:?}", scene.staged());
}

#[test]
fn a_delta_that_cannot_tell_old_rows_from_new_ones_is_refused() {
    let scene = Scene::with_source(1, 500);
    let first = scene.plan_copy(&["--snapshot"]);
    scene.put_source("later.parquet", 500);
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
    let said = scene.copy_program("source", "events", &["--delta", &first]).run().exits_with(6);
    said.says(&["cannot be told apart", "enable_block_number_column", "SYSTEM STOP MERGES"]);
    let live = scene.plan_copy(&["--no-snapshot"]);
    let said = scene.copy_program("source", "events", &["--delta", &live]).run().exits_with(2);
    said.says(&["is not known", "--snapshot"]);
}

#[test]
fn a_plan_of_a_snapshot_that_dies_is_finished_by_planning_again() {
    for point in drawn_few(&["plan.before", "plan.tasks", "plan.cursor", "plan.after"], 2) {
        let scene = Scene::with_source(2, 300);
        let more = ["--snapshot", "--chunk-bytes", "20K"];
        let dead = scene.copy_program("source", "events", &more);
        let dead = dead.faults(format!("{point}=exit")).run();
        assert!(dead.was_killed(), "{point}: {dead}");
        // A merge in between is no other state of the table.
        scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
        let id = scene.submit_copy(&more);
        assert_eq!(scene.staged(), [format!("{id}_snapshot_0")], "{point}");
        scene.settle(&id, point);
    }
}
