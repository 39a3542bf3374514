//! The checker itself: a checker that sees nothing would let every other test pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use longshore_tests::{Format, Scene};

/// A scene whose target holds exactly what the files hold, put there by the server alone.
fn loaded() -> Scene {
    let scene = Scene::with_events(3, 500);
    let source = scene.url("*.parquet");
    scene.admin.run(&format!(
        "INSERT INTO {}.events SELECT * FROM s3('{source}', '{}', '{}', 'Parquet')",
        scene.db, scene.bed.access_key_id, scene.bed.secret_access_key
    ));
    scene
}

fn is_seen(scene: &Scene) -> bool {
    catch_unwind(AssertUnwindSafe(|| scene.assert_exact())).is_err()
}

fn planted(statements: &[&str]) {
    let scene = loaded();
    for statement in statements {
        scene
            .admin
            .run(&format!("{} SETTINGS mutations_sync = 1", statement.replace("{db}", &scene.db)));
    }
    assert!(is_seen(&scene), "the checker does not see: {statements:?}");
}

#[test]
fn exact_rows_pass() {
    loaded().assert_exact();
}

#[test]
fn one_lost_row_is_seen() {
    planted(&["ALTER TABLE {db}.events DELETE WHERE file = 'events-001.parquet' AND n = 77"]);
}

#[test]
fn one_row_twice_is_seen() {
    let scene = loaded();
    scene.admin.run(&format!(
        "INSERT INTO {0}.events SELECT * FROM {0}.events WHERE n = 7 LIMIT 1",
        scene.db
    ));
    assert!(is_seen(&scene));
}

#[test]
fn one_row_lost_and_another_twice_is_seen() {
    let scene = loaded();
    scene.admin.run(&format!(
        "INSERT INTO {0}.events SELECT * FROM {0}.events WHERE file = 'events-000.parquet' AND n = 8",
        scene.db
    ));
    scene.admin.run(&format!(
        "ALTER TABLE {}.events DELETE WHERE file = 'events-000.parquet' AND n = 9 SETTINGS mutations_sync = 1",
        scene.db
    ));
    assert!(is_seen(&scene));
}

#[test]
fn one_changed_value_is_seen() {
    planted(&[
        "ALTER TABLE {db}.events UPDATE value = value + 1 WHERE file = 'events-002.parquet' AND n = 0",
    ]);
}

#[test]
fn a_view_that_missed_or_doubled_rows_is_seen() {
    planted(&["ALTER TABLE {db}.daily DELETE WHERE day = (SELECT min(day) FROM {db}.daily)"]);
    let scene = loaded();
    scene.admin.run(&format!("INSERT INTO {0}.buys SELECT * FROM {0}.buys LIMIT 1", scene.db));
    assert!(is_seen(&scene));
}

#[test]
fn rows_of_a_file_that_nobody_expects_are_seen() {
    let scene = loaded();
    scene.forget("events-001.parquet");
    assert!(is_seen(&scene));
}

#[test]
fn a_file_that_was_not_loaded_is_seen() {
    let scene = loaded();
    scene.put_rows("one more {a,b}?.parquet", 1, Format::Parquet);
    assert!(is_seen(&scene));
}

#[test]
fn the_audit_counts_what_is_lost_and_what_is_there_twice() {
    let scene = loaded();
    let table = format!("{}.events", scene.db);
    let audit = scene.audit_rows("events");
    assert_eq!((audit.rows, audit.lost, audit.duplicated), (1_500, 0, 0));
    scene.admin.run(&format!(
        "ALTER TABLE {table} DELETE WHERE file = 'events-000.parquet' AND n < 3 \
         SETTINGS mutations_sync = 1"
    ));
    scene.admin.run(&format!(
        "INSERT INTO {table} SELECT * FROM {table} WHERE file = 'events-001.parquet' AND n < 5"
    ));
    let audit = scene.audit_rows("events");
    assert_eq!((audit.rows, audit.lost, audit.duplicated), (1_502, 3, 5));
    assert_eq!(audit.wrong.len(), 2, "{audit:?}");
    scene.pardon("events-000.parquet");
    assert_eq!(scene.audit_rows("events").wrong.len(), 1, "only the other one is left");
}

#[test]
fn a_row_whose_checksum_does_not_fit_is_seen() {
    planted(&[
        "ALTER TABLE {db}.events UPDATE checksum = checksum + 1 WHERE file = 'events-000.parquet' AND n = 4",
    ]);
}

#[test]
fn a_wrong_state_of_an_aggregating_view_is_seen() {
    let scene = Scene::with_events(1, 100);
    scene.create(
        "CREATE TABLE {db}.seen (kind String, seen AggregateFunction(uniqExact, UInt64)) \
         ENGINE = AggregatingMergeTree ORDER BY kind;\n\
         CREATE MATERIALIZED VIEW {db}.seen_mv TO {db}.seen AS \
         SELECT kind, uniqExactState(n) AS seen FROM {db}.events GROUP BY kind;\n",
    );
    scene.admin.run(&format!(
        "INSERT INTO {}.events SELECT * FROM {}",
        scene.db,
        format_args!(
            "s3('{}', '{}', '{}', 'Parquet')",
            scene.url("*.parquet"),
            scene.bed.access_key_id,
            scene.bed.secret_access_key
        )
    ));
    let check = || scene.assert_states("seen_mv", "kind", "uniqExactMerge(seen)");
    check();
    scene.admin.run(&format!(
        "INSERT INTO {}.seen SELECT 'buy', uniqExactState(toUInt64(100000))",
        scene.db
    ));
    assert!(catch_unwind(AssertUnwindSafe(check)).is_err());
}

#[test]
fn rows_and_tables_that_belong_to_nothing_are_seen() {
    let scene = Scene::with_events(2, 50);
    let job = scene.submit(&[]);
    scene.finish(&job);
    assert_eq!(scene.orphans(), Vec::<String>::new());
    scene.assert_clean(&job);
    let control = &scene.control;
    for (table, key) in [("tasks", "task_id"), ("cursors", "job_id")] {
        scene.admin.run(&format!(
            "INSERT INTO {control}.{table} SELECT * REPLACE (replaceOne({key}, '{job}', '0123456789abcdef') AS {key}) \
             FROM {control}.{table}"
        ));
    }
    scene.admin.run(&format!(
        "INSERT INTO {control}.workers (worker_id, heartbeat, lease_ms) VALUES ('w-1', now64(3), 600000)"
    ));
    let found = scene.orphans();
    for what in ["a task of no job", "a cursor of no job", "a worker that looks alive"] {
        assert!(found.iter().any(|line| line.starts_with(what)), "{what}: {found:?}");
    }
    scene.admin.run(&format!(
        "CREATE TABLE {}.{job}_0000000_e1_0_events (n UInt8) ENGINE = MergeTree ORDER BY n",
        scene.staging
    ));
    assert!(catch_unwind(AssertUnwindSafe(|| scene.assert_clean(&job))).is_err());
}

#[test]
fn a_secret_in_a_table_or_in_a_programs_words_is_seen() {
    let scene = Scene::with_events(1, 10);
    let job = scene.submit(&[]);
    scene.finish(&job);
    assert_eq!(scene.secrets_seen(), Vec::<String>::new());
    let secret = &scene.bed.secret_access_key;
    scene.admin.run(&format!(
        "ALTER TABLE {}.tasks UPDATE error = 'key {secret} refused' WHERE task_id = '{job}-0000000'",
        scene.control
    ));
    std::fs::write(scene.folder().join("some.err"), &scene.bed.password).expect("a file");
    let found = scene.secrets_seen();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("table tasks") && found[1].contains("some.err"), "{found:?}");
}
