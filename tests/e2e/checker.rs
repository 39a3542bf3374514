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
