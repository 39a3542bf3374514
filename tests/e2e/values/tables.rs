//! Values of tables.

use super::World;

#[test]
fn a_value_of_a_table_that_does_not_fit_fails_its_task() {
    let world = World::with(
        "CREATE TABLE {db}.s (id UInt64, n Nullable(String), m Nullable(UInt64), w Int64) ENGINE = MergeTree ORDER BY id;
         CREATE TABLE {db}.t (id UInt64, n String, m UInt64, w Int8) ENGINE = MergeTree ORDER BY id;
         INSERT INTO {db}.s VALUES (1, NULL, NULL, 300);\n",
    );
    let db = &world.scene.db;
    let copy = |more: &[&str]| {
        let (from, target) = (format!("{db}.s"), format!("{db}.t"));
        let args = ["plan", "copy", "--from", &from, "--target", &target, "--json"];
        let planned = world.scene.longshore(args).args(more).run().ok().json();
        let id = planned["plan_id"].as_str().expect("a plan").to_owned();
        let ended = world.scene.longshore(["run", &id, "--workers", "1"]).run();
        let tasks = world.scene.longshore(["tasks", &id, "--json"]).run().ok().json();
        (planned["notes"].to_string(), ended, tasks["tasks"][0]["error"].to_string())
    };
    let (notes, _, error) = copy(&[]);
    for word in
        ["n (Nullable(String) to String)", "m (Nullable(UInt64) to UInt64)", "w (Int64 to Int8)"]
    {
        assert!(notes.contains(word), "{notes}");
    }
    assert!(error.contains("NULL of column n"), "{error}");
    assert_eq!(world.all("t"), "");
    let (_, ended, _) = copy(&["--conversions", "as-insert"]);
    ended.ok();
    assert_eq!(world.all("t"), world.plain("INSERT INTO {db}.oracle SELECT * FROM {db}.s"));
}

#[test]
fn computed_columns_of_the_source_are_stored_where_the_target_stores_them() {
    let world = World::with(
        "CREATE TABLE {db}.s (id UInt64, m UInt64 MATERIALIZED id * 2, a UInt64 ALIAS id + 1) ENGINE = MergeTree ORDER BY id;
         CREATE TABLE {db}.t (id UInt64, m UInt64, a UInt64) ENGINE = MergeTree ORDER BY id;
         INSERT INTO {db}.s SELECT number FROM numbers(3);\n",
    );
    let db = &world.scene.db;
    let (from, target) = (format!("{db}.s"), format!("{db}.t"));
    let planned = world
        .scene
        .longshore(["plan", "copy", "--from", &from, "--target", &target, "--json"])
        .run()
        .ok();
    let id = planned.json()["plan_id"].as_str().expect("a plan").to_owned();
    world.scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    assert_eq!(world.all("t"), "0\t0\t1\n1\t2\t2\n2\t4\t3\n");
}

#[test]
fn columns_of_tables_that_are_named_like_virtual_ones_are_columns() {
    let world = World::with(
        "CREATE TABLE {db}.s (id UInt64, _path String, _file String, _size UInt64) ENGINE = MergeTree ORDER BY id;
         INSERT INTO {db}.s SELECT number, 'b/x.csv', 'x.csv', 7 FROM numbers(2);
         CREATE TABLE {db}.t AS {db}.s;
         CREATE TABLE {db}.o AS {db}.s;
         CREATE MATERIALIZED VIEW {db}.v TO {db}.o AS SELECT id, _path, _file, _size FROM {db}.s;
         CREATE TABLE {db}.p (id UInt64, _part String) ENGINE = MergeTree ORDER BY id;\n",
    );
    let db = &world.scene.db;
    let (from, target, view) = (format!("{db}.s"), format!("{db}.t"), format!("{db}.v"));
    for plan in [
        ["plan", "copy", "--from", &from, "--target", &target],
        ["plan", "replay", "--view", &view, "--json", "--json"],
    ] {
        let plan: Vec<&str> = plan.into_iter().filter(|arg| *arg != "--json").collect();
        let planned = world.scene.longshore(plan).args(["--json"]).run().ok();
        let id = planned.json()["plan_id"].as_str().expect("a plan").to_owned();
        world.scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    }
    assert_eq!(world.all("t"), world.all("s"));
    assert_eq!(world.all("o"), world.all("s"));
    // A piece of a table is found by these columns of the server.
    let (from, target) = (format!("{db}.p"), format!("{db}.t"));
    let refused =
        world.scene.longshore(["plan", "copy", "--from", &from, "--target", &target]).run();
    refused.exits_with(super::USAGE).says(&["`_part`", "RENAME COLUMN"]);
}

#[test]
fn days_and_digits_of_a_table_that_do_not_fit_fail_their_task() {
    let cases = [
        ("Date32", "Date", "'1950-01-01'", "1950-01-01"),
        ("DateTime64(3, 'UTC')", "DateTime('UTC')", "'2024-01-01 00:00:00.250'", "00:00:00.25"),
        ("Decimal(18, 6)", "Decimal(9, 2)", "1.234567", "1.234567"),
        ("Float64", "Int32", "0.5", "0.5"),
    ];
    for (from, to, value, shown) in cases {
        let world = World::with(&format!(
            "CREATE TABLE {{db}}.s (v {from}) ENGINE = MergeTree ORDER BY v;
             CREATE TABLE {{db}}.t (v {to}) ENGINE = MergeTree ORDER BY v;
             INSERT INTO {{db}}.s VALUES ({value});\n"
        ));
        let db = &world.scene.db;
        let (from, target) = (format!("{db}.s"), format!("{db}.t"));
        let args = ["plan", "copy", "--from", &from, "--target", &target, "--json"];
        let planned = world.scene.longshore(args).run().ok().json();
        assert!(planned["notes"].to_string().contains("v ("), "{to}: {planned}");
        let id = planned["plan_id"].as_str().expect("a plan").to_owned();
        world.scene.longshore(["run", &id, "--workers", "1"]).run();
        let tasks = world.scene.longshore(["tasks", &id, "--json"]).run().ok().json();
        let error = tasks["tasks"][0]["error"].to_string();
        assert!(error.contains(shown) && error.contains("of column v"), "{to}: {error}");
        assert_eq!(world.all("t"), "", "{to}");
    }
}
