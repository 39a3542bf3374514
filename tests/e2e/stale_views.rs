//! Views that could not be created today, though the server goes on firing them: what a load or replay
//! makes of them is what a plain INSERT makes.

use longshore_tests::{Format, Scene, rows_sql};

const COLUMNS: &str = "file, n, day, kind, value, checksum";

const BASE: &str = "
CREATE TABLE {db}.events
(file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64, old UInt8 DEFAULT 7)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
CREATE TABLE {db}.kinds (sort String, label String) ENGINE = MergeTree ORDER BY sort;
INSERT INTO {db}.kinds SELECT arrayJoin(['buy', 'view']), 'label';
";

/// Each view has a target of its own, named like the view without `_mv`.
const VIEWS: &str = "
CREATE TABLE {db}.every (file String, n UInt64, old UInt8) ENGINE = MergeTree ORDER BY n;
ALTER TABLE {db}.every ADD COLUMN day Date, ADD COLUMN kind String, ADD COLUMN value UInt64,
    ADD COLUMN checksum UInt64;
CREATE MATERIALIZED VIEW {db}.every_mv TO {db}.every AS SELECT * FROM {db}.events;
CREATE TABLE {db}.both AS {db}.every;
CREATE MATERIALIZED VIEW {db}.both_mv TO {db}.both AS SELECT * FROM {db}.events;
CREATE TABLE {db}.fewer (n UInt64, value UInt64, kind String) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.fewer_mv TO {db}.fewer AS SELECT n, value, kind FROM {db}.events;
CREATE TABLE {db}.renamed (n UInt64, value UInt64, kind String DEFAULT 'none') ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.renamed_mv TO {db}.renamed AS SELECT n, value, kind FROM {db}.events;
CREATE TABLE {db}.computed (n UInt64, twice UInt64) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.computed_mv TO {db}.computed AS SELECT n, value * 2 AS twice FROM {db}.events;
CREATE TABLE {db}.alias (n UInt64, twice UInt64) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.alias_mv TO {db}.alias AS SELECT n, value * 2 AS twice FROM {db}.events;
CREATE MATERIALIZED VIEW {db}.inner ENGINE = MergeTree ORDER BY n AS SELECT * FROM {db}.events;
CREATE TABLE {db}.folded (n UInt64, each UInt8) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.folded_mv TO {db}.folded AS
SELECT n, arrayJoin([1, 2, 3]) AS each FROM {db}.events;
CREATE TABLE {db}.joined (n UInt64, sort String, label String) ENGINE = MergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.joined_mv TO {db}.joined AS
SELECT e.n AS n, k.* FROM {db}.events AS e INNER JOIN {db}.kinds AS k ON e.kind = k.sort;
CREATE TABLE {db}.followed (n UInt64, total UInt64) ENGINE = SummingMergeTree ORDER BY n;
CREATE MATERIALIZED VIEW {db}.followed_mv TO {db}.followed AS
SELECT n % 10 AS n, sum(value) AS total FROM {db}.every GROUP BY n;
";

/// What makes every one of them a view that the server would not create again.
const CHANGES: &str = "
ALTER TABLE {db}.events ADD COLUMN later UInt8 DEFAULT 3;
ALTER TABLE {db}.both ADD COLUMN later UInt8 DEFAULT 9;
ALTER TABLE {db}.events RENAME COLUMN old TO older;
ALTER TABLE {db}.fewer DROP COLUMN value;
ALTER TABLE {db}.renamed RENAME COLUMN kind TO sort;
ALTER TABLE {db}.computed MODIFY COLUMN twice UInt64 MATERIALIZED n + 1;
ALTER TABLE {db}.alias MODIFY COLUMN twice UInt64 ALIAS n + 1;
ALTER TABLE {db}.folded DROP COLUMN each;
ALTER TABLE {db}.kinds ADD COLUMN more String DEFAULT 'more';
";

fn scene() -> Scene {
    let scene = Scene::new();
    for ddl in [BASE, VIEWS, CHANGES] {
        scene.create(ddl);
    }
    scene
}

#[test]
fn views_that_stand_are_loaded_as_a_plain_insert_feeds_them() {
    let scene = scene();
    for file in 0..4 {
        scene.put_rows(&format!("{file}.parquet"), 300, Format::Parquet);
    }
    let planned = scene.plan_program("events", "*", &["--chunk-files-max", "2"]).run().ok();
    let notes = planned.json()["notes"].to_string();
    let db = &scene.db;
    for (view, columns) in [
        ("every", "older, later"),
        ("fewer", "value"),
        ("renamed", "kind"),
        ("alias", "twice"),
        ("folded", "each"),
        ("joined", "more"),
    ] {
        let words =
            format!("{db}.{view}_mv gives columns that {db}.{view} does not store: {columns};");
        assert!(notes.contains(&words), "`{words}` in {notes}");
    }
    assert!(notes.contains(&format!("MATERIALIZED columns of {db}.computed: twice")), "{notes}");
    let planned = planned.json();
    let id = planned["plan_id"].as_str().expect("a plan id");
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.make_twin("events", COLUMNS);
    let tables = scene.assert_like_twin();
    let filled: Vec<&str> = tables
        .iter()
        .map(String::as_str)
        .filter(|table| scene.whole(&scene.db, table)[0][0] != "0")
        .collect();
    assert_eq!(filled.len(), 12, "every table holds rows: {filled:?}");
    // The columns that the changes are about, so that equal means right.
    let one = |query: &str| scene.admin.run(&query.replace("{db}", db));
    assert_eq!(one("SELECT DISTINCT later FROM {db}.both"), "3");
    assert_eq!(one("SELECT DISTINCT old FROM {db}.every"), "0");
    assert_eq!(one("SELECT DISTINCT sort FROM {db}.renamed"), "none");
    assert_eq!(one("SELECT count() FROM {db}.folded"), "3600");
    assert_eq!(one("SELECT countIf(twice = n + 1) < 1200 FROM {db}.computed"), "1");
    scene.assert_clean(id);
}

#[test]
fn views_that_stand_are_replayed_and_what_cannot_be_is_named() {
    let scene = scene();
    let run = |statement: &str| scene.admin.run(&statement.replace("{db}", &scene.db));
    run(&format!("INSERT INTO {{db}}.events ({COLUMNS}) {}", rows_sql("first", 500)));
    run("CREATE TABLE {db}.again ENGINE = MergeTree ORDER BY n AS SELECT * FROM {db}.events");
    for view in ["fewer", "renamed", "alias", "folded"] {
        let rows = || {
            run(&format!(
                "SELECT groupArray(tuple(*)) FROM (SELECT * FROM {{db}}.{view} ORDER BY ALL)"
            ))
        };
        run(&format!("TRUNCATE TABLE {{db}}.{view}"));
        let plan = scene.replay(&[&format!("{view}_mv")], &["--chunk-bytes", "16K"]);
        assert!(plan["notes"].to_string().contains("does not store"), "{plan}");
        let replayed = rows();
        // The oracle: the same rows through the view, by a plain INSERT.
        run(&format!("TRUNCATE TABLE {{db}}.{view}"));
        run("TRUNCATE TABLE {db}.events");
        run("INSERT INTO {db}.events SELECT * FROM {db}.again");
        assert!(replayed.len() > 500, "{view} holds rows");
        assert_eq!(replayed, rows(), "{view}");
    }
    let refused = scene.replay_program(&["computed_mv"], &[]).run().exits_with(2);
    refused.says(&["`twice`", "MATERIALIZED", "MODIFY COLUMN"]);
}

#[test]
fn a_view_that_fails_every_insert_is_refused_with_a_way_out() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE TABLE {db}.t (n UInt64, label String) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.t AS
         SELECT e.n AS n, k.label AS label FROM {db}.events AS e INNER JOIN {db}.kinds AS k ON e.kind = k.sort;
         ALTER TABLE {db}.kinds DROP COLUMN label;\n",
    );
    scene.put_rows("0.parquet", 10, Format::Parquet);
    let refused = scene.plan_program("events", "*", &[]).run().exits_with(2);
    refused.says(&[&format!("{}.mv cannot be staged", scene.db), "MODIFY", "label"]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}
