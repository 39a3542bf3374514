//! `plan files --validate`: what does not fit is found before anything is written.

use super::{PROBLEM, World};

#[test]
fn every_drift_is_found_and_nothing_else() {
    let world = World::with(
        "CREATE TABLE {db}.t (a Int32, b String, c UInt8 DEFAULT 1) ENGINE = MergeTree ORDER BY a;\n",
    );
    for file in 0..20 {
        world.put(
            &format!("{file:02}.parquet"),
            "Parquet",
            "SELECT 1::Int32 AS a, 'x' AS b, 2::UInt8 AS c",
        );
    }
    world.put("20-type.parquet", "Parquet", "SELECT 1::Int64 AS a, 'x' AS b, 2::UInt8 AS c");
    world.put("21-missing.parquet", "Parquet", "SELECT 1::Int32 AS a, 2::UInt8 AS c");
    world.put(
        "22-surplus.parquet",
        "Parquet",
        "SELECT 1::Int32 AS a, 'x' AS b, 2::UInt8 AS c, 5::UInt8 AS d",
    );
    world.put(
        "23-null.parquet",
        "Parquet",
        "SELECT NULL::Nullable(Int32) AS a, 'x' AS b, 2::UInt8 AS c",
    );
    world.text("24-broken.parquet", "PAR1 this is none");
    let found = world
        .scene
        .plan_program("t", "*.parquet", &["--validate"])
        .run()
        .exits_with(PROBLEM)
        .json();
    let findings: Vec<(String, String, String)> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let file = text(&finding["first"][0]);
            let file = file.rsplit('/').next().unwrap_or_default().to_owned();
            (text(&finding["what"]), text(&finding["column"]), file)
        })
        .collect();
    let expected = [
        ("broken", "", "24-broken.parquet"),
        ("surplus", "d", "22-surplus.parquet"),
        ("type", "a", "20-type.parquet"),
        ("nulls", "a", "23-null.parquet"),
        ("missing", "b", "21-missing.parquet"),
    ]
    .map(|(what, column, file)| (what.to_owned(), column.to_owned(), file.to_owned()));
    assert_eq!(findings, expected);
    let jobs = format!("SELECT count() FROM {}.jobs", world.scene.control);
    assert_eq!(world.scene.admin.number(&jobs), 0, "nothing is written");
}

#[test]
fn rows_are_parsed_on_demand() {
    let world = World::with("CREATE TABLE {db}.t (a UInt8) ENGINE = MergeTree ORDER BY a;\n");
    world.text("1.csv", "a\n1\n2\n");
    world.text("2.csv", "a\n1\n2\nx\n");
    let csv = |rows: &'static str| world.scene.plan_program("t", "*.csv", &["--validate", rows]);
    csv("2").run().ok();
    let found = csv("10").run().exits_with(PROBLEM).json();
    assert_eq!(found["findings"][0]["what"], "parse");
    assert!(
        found["findings"][0]["first"][0].as_str().is_some_and(|file| file.ends_with("2.csv")),
        "{found}"
    );
}
