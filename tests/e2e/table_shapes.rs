//! Tables of every kind as sources and targets: loaded right, told of, or refused by what they are.

use longshore_tests::{Format, Scene};

const COLUMNS: &str = "file, n, day, kind, value, checksum";
const BASE: &str = "
CREATE TABLE {db}.events
(file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
";
/// A problem was found.
const PROBLEM: i32 = 8;

fn notes(said: &longshore_tests::Finished) -> String {
    said.json()["notes"].to_string()
}

#[test]
fn a_source_of_a_replay_that_cannot_be_cut_is_named_by_its_engine() {
    for engine in ["Memory", "Log", "TinyLog", "StripeLog", "Null"] {
        let scene = Scene::new();
        scene.create(&format!(
            "CREATE TABLE {{db}}.s (id UInt64) ENGINE = {engine};
             INSERT INTO {{db}}.s SELECT number FROM numbers(10);
             CREATE TABLE {{db}}.t (id UInt64) ENGINE = MergeTree ORDER BY id;
             CREATE MATERIALIZED VIEW {{db}}.v TO {{db}}.t AS SELECT id FROM {{db}}.s;\n"
        ));
        let refused = scene.replay_program(&["v"], &[]).run().exits_with(2);
        assert!(!refused.stderr.contains("holds no rows"), "{refused}");
        let hand = format!("INSERT INTO {}.t", scene.db);
        refused.says(&[&format!("{}.s, which has engine {engine}", scene.db), &hand]);
    }
}

#[test]
fn a_source_of_a_copy_that_cannot_be_cut_is_named_by_its_engine() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE TABLE {db}.target AS {db}.events;
         CREATE TABLE {db}.s_memory AS {db}.events ENGINE = Memory;
         CREATE TABLE {db}.s_log AS {db}.events ENGINE = Log;
         CREATE TABLE {db}.s_null AS {db}.events ENGINE = Null;
         CREATE TABLE {db}.s_merge AS {db}.events ENGINE = Merge('{db}', '^events$');
         CREATE TABLE {db}.s_buffer AS {db}.events ENGINE = Buffer('{db}', 'events', 1, 1, 1, 1, 1, 1, 1);
         CREATE VIEW {db}.s_view AS SELECT * FROM {db}.events;
         CREATE MATERIALIZED VIEW {db}.s_mv ENGINE = MergeTree ORDER BY n AS SELECT * FROM {db}.events;\n",
    );
    scene.put_into("events", "first", 20);
    for (from, engine, way) in [
        ("s_memory", "Memory", "ENGINE = MergeTree ORDER BY tuple()"),
        ("s_log", "Log", "ENGINE = MergeTree ORDER BY tuple()"),
        ("s_null", "Null", "keeps no rows"),
        ("s_merge", "Merge", "tables behind it"),
        ("s_buffer", "Buffer", "tables behind it"),
        ("s_view", "View", "tables behind it"),
        ("s_mv", "MaterializedView", "tables behind it"),
    ] {
        let refused = scene.copy_program(from, "target", &[]).run().exits_with(2);
        refused.says(&[&format!("{}.{from} has engine {engine}", scene.db), way]);
        let window = ["--since", "2024-01-01", "--until", "2024-01-20", "--time-column", "day"];
        let refused = scene.copy_program(from, "target", &window).run().exits_with(2);
        refused.says(&[&format!("{}.{from} has engine {engine}", scene.db), way]);
        if from == "s_null" {
            continue;
        }
        // Through a collection, where only system.parts is asked: none there is not "no rows".
        let far = ["--remote", scene.bed.first.as_str(), "--remote-plain"];
        let refused = scene.copy_program(from, "target", &far).run().exits_with(2);
        refused.says(&[&format!("{}.{from} has engine {engine}", scene.db)]);
    }
}

/// Tables of the old syntax can be made by an administrator who allows it.
fn create_old(scene: &Scene, ddl: &str) {
    let ddl = ddl.replace("{db}", &scene.db);
    scene.admin.run(&format!("{ddl} SETTINGS allow_deprecated_syntax_for_merge_tree = 1"));
}

const OLD: &str = "CREATE TABLE {db}.old ENGINE = MergeTree(day, (file, n), 8192) AS \
                   SELECT '' AS file, 0::UInt64 AS n, toDate(0) AS day, '' AS kind, 0::UInt64 AS value, \
                   0::UInt64 AS checksum WHERE 0";

#[test]
fn a_target_with_the_old_syntax_is_refused_with_one_that_works() {
    let scene = Scene::new();
    create_old(&scene, OLD);
    scene.put_rows("0.parquet", 100, Format::Parquet);
    let refused = scene.plan_program("old", "*", &[]).run().exits_with(2);
    let report: serde_json::Value =
        serde_json::from_str(&refused.stderr).expect("an error as JSON");
    let help = report["error"]["help"].as_str().expect("a way on").to_owned();
    refused.says(&["old syntax MergeTree(date, key, granularity)"]);
    // The way on is a statement to paste, and then rows go in, the old ones too.
    let statement = help.lines().last().expect("a statement").trim();
    scene.admin.run(statement);
    scene.put_into("old", "before", 50);
    scene.load_into("old_new", "*", &[]).ok();
    let copied = scene.copy_program("old", "old_new", &["--chunk-bytes", "4K"]).run().ok();
    let id = copied.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    let found = |table: &str| {
        scene.admin.run(&format!(
            "SELECT count(), sum(cityHash64(file, n, day, kind, value, checksum)) FROM {}.{table} \
             WHERE file = 'before'",
            scene.db
        ))
    };
    assert_eq!(found("old_new"), found("old"));
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.old_new", scene.db)), 150);
    // A snapshot of it cannot be linked, and the message says what goes on.
    let snapshot = scene.copy_program("old", "old_new", &["--snapshot"]).run().exits_with(2);
    snapshot.says(&["cannot be linked into a snapshot", "--no-snapshot"]);
}

#[test]
fn the_target_of_a_view_with_the_old_syntax_is_refused() {
    let scene = Scene::new();
    scene.create(BASE);
    create_old(&scene, OLD);
    scene.create("CREATE MATERIALIZED VIEW {db}.mv TO {db}.old AS SELECT * FROM {db}.events;\n");
    scene.put_rows("0.parquet", 10, Format::Parquet);
    let refused = scene.plan_program("events", "*", &[]).run().exits_with(2);
    refused.says(&[&format!("{}.old was made with the old syntax", scene.db), "CREATE TABLE"]);
}

#[test]
fn a_view_on_a_source_with_the_old_syntax_is_replayed() {
    let scene = Scene::new();
    create_old(&scene, OLD);
    scene.create(
        "CREATE TABLE {db}.t (n UInt64, value UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.v TO {db}.t AS SELECT n, value FROM {db}.old;\n",
    );
    scene.put_into("old", "first", 300);
    scene.admin.run(&format!("TRUNCATE TABLE {}.t", scene.db));
    scene.replay(&["v"], &[]);
    scene.assert_replayed(&["v"], "t", "SELECT count(), sum(cityHash64(*)) FROM {t}");
}

#[test]
fn a_plan_tells_what_a_ttl_takes_away() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE TABLE {db}.rows (n UInt64, day Date, value UInt64) ENGINE = MergeTree ORDER BY n \
             TTL day + INTERVAL 1 MONTH;
         CREATE TABLE {db}.picked (n UInt64, day Date, value UInt64) ENGINE = MergeTree ORDER BY n \
             TTL day + INTERVAL 1 DAY DELETE WHERE value > 1000000000;
         CREATE TABLE {db}.cells (n UInt64, day Date, value UInt64 TTL day + INTERVAL 1 DAY) \
             ENGINE = MergeTree ORDER BY n;
         CREATE TABLE {db}.moved (n UInt64, day Date, value UInt64) ENGINE = MergeTree ORDER BY n \
             TTL day + INTERVAL 1 DAY TO DISK 'default', day + INTERVAL 1 DAY RECOMPRESS CODEC(ZSTD(3));\n",
    );
    scene.put_into("events", "first", 100);
    let copy = |target: &str| {
        notes(&scene.copy_program("events", target, &["--columns", "n,day,value"]).run().ok())
    };
    let db = &scene.db;
    let said = copy("rows");
    assert!(
        said.contains(&format!("{db}.rows deletes rows by its TTL (day + toIntervalMonth(1))")),
        "{said}"
    );
    assert!(said.contains(&format!("{db}.events holds rows that are past the TTL")), "{said}");
    let said = copy("picked");
    assert!(said.contains("TTL (day + toIntervalDay(1) WHERE value > 1000000000)"), "{said}");
    assert!(!said.contains("holds rows that are past"), "{said}");
    let said = copy("cells");
    assert!(
        said.contains("empties columns by their TTL (value: day + toIntervalDay(1))"),
        "{said}"
    );
    let said = copy("moved");
    assert!(!said.contains("TTL"), "{said}");

    // Of the target of a view too, for files and in a replay.
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.mv TO {db}.rows AS SELECT n, day, value FROM {db}.events;\n",
    );
    scene.put_rows("0.parquet", 10, Format::Parquet);
    for said in [
        notes(&scene.plan_program("events", "*", &[]).run().ok()),
        notes(&scene.replay_program(&["mv"], &[]).run().ok()),
    ] {
        assert!(said.contains(&format!("{db}.rows deletes rows by its TTL")), "{said}");
    }
}

#[test]
fn a_replay_tells_of_functions_whose_values_change() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE VIEW {db}.clock AS SELECT toUInt64(rand()) AS r;
         CREATE TABLE {db}.t (n UInt64, at DateTime, seen DateTime DEFAULT now(), r UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.v TO {db}.t AS
         SELECT n, now() AS at, (SELECT r FROM {db}.clock) AS r FROM {db}.events;
         CREATE TABLE {db}.u (n UInt64, at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.plain TO {db}.u AS SELECT n, toDateTime(day) AS at FROM {db}.events;\n",
    );
    scene.put_into("events", "first", 10);
    let db = &scene.db;
    let said = notes(&scene.replay_program(&["v"], &[]).run().ok());
    for words in [
        format!("{db}.v calls now():"),
        format!("{db}.v calls rand() (by {db}.clock):"),
        format!("column seen of {db}.t is filled by now():"),
    ] {
        assert!(said.contains(&words), "`{words}` in {said}");
    }
    let said = notes(&scene.replay_program(&["plain"], &[]).run().ok());
    assert!(!said.contains("its own moment"), "{said}");
}

#[test]
fn dictionaries_and_joins_that_a_load_uses_are_in_the_grants_and_a_dry_run_misses_them() {
    let dictionary =
        "CREATE TABLE {db}.names (kind String, name String) ENGINE = MergeTree ORDER BY kind;
         INSERT INTO {db}.names VALUES ('buy', 'bought');
         CREATE TABLE {db}.jn (kind String, name String) ENGINE = Join(ANY, LEFT, kind);
         CREATE DICTIONARY {db}.d (kind String, name String DEFAULT '?') PRIMARY KEY kind \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 'names')) LIFETIME(0) LAYOUT(COMPLEX_KEY_HASHED());\n";
    for (ddl, has_join) in [
        (
            "CREATE MATERIALIZED VIEW {db}.mv ENGINE = MergeTree ORDER BY n AS \
             SELECT n, dictGet('{db}.d', 'name', tuple(kind)) AS name FROM {db}.events;",
            false,
        ),
        (
            "ALTER TABLE {db}.events ADD COLUMN name String DEFAULT dictGet('{db}.d', 'name', tuple(kind));",
            false,
        ),
        (
            "ALTER TABLE {db}.events ADD COLUMN name String MATERIALIZED concat(joinGet('{db}.jn', 'name', kind), \
             dictGetOrDefault('{db}.d', 'name', tuple(kind), ''));",
            true,
        ),
        (
            "CREATE VIEW {db}.w AS SELECT dictGet('{db}.d', 'name', tuple('buy')) AS name;
             CREATE MATERIALIZED VIEW {db}.mv ENGINE = MergeTree ORDER BY n AS \
             SELECT n, (SELECT name FROM {db}.w) AS name FROM {db}.events;",
            false,
        ),
    ] {
        let scene = Scene::new();
        scene.create(BASE);
        scene.create(dictionary);
        scene.create(&format!("{ddl}\n"));
        scene.put_rows("0.parquet", 10, Format::Parquet);
        let (target, grant) =
            (format!("{}.events", scene.db), format!("GRANT dictGet ON {}.d TO", scene.db));
        let printed = scene.longshore(["doctor", "--grants", "--target", &target]).run().ok();
        let printed = printed.says(&[&grant]);
        let join = format!("GRANT SELECT ON {}.jn", scene.db);
        assert_eq!(printed.stdout.contains(&join), has_join, "{printed}");
        scene.longshore(["doctor", "--target", &target]).run().exits_with(PROBLEM).says(&[&grant]);
        let plan = scene.plan_program("events", "*", &[]).run().ok().says(&[&grant]);
        let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
        let dry = scene.longshore(["submit", &id, "--dry-run"]).run().exits_with(PROBLEM);
        dry.says(&[&grant]);
        scene.longshore(["doctor", &id]).run().says(&[&grant]);
        scene.longshore(["doctor", &id, "--grants"]).run().ok().says(&[&grant]);
    }
}

#[test]
fn a_dictionary_in_an_expression_of_a_copy_is_missed_by_a_dry_run() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE TABLE {db}.target (n UInt64, name String) ENGINE = MergeTree ORDER BY n;
         CREATE DICTIONARY {db}.d (n UInt64, name String DEFAULT '?') PRIMARY KEY n \
         SOURCE(CLICKHOUSE(QUERY 'SELECT 1 AS n, ''one'' AS name')) LIFETIME(0) LAYOUT(HASHED());\n",
    );
    scene.put_into("events", "first", 10);
    let select = format!("n, dictGet('{}.d', 'name', n) AS name", scene.db);
    let plan = scene.copy_program("events", "target", &["--select", &select]).run().ok();
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    let dry = scene.longshore(["submit", &id, "--dry-run"]).run().exits_with(PROBLEM);
    dry.says(&[&format!("GRANT dictGet ON {}.d TO", scene.db)]);
}

#[test]
fn plain_loads_into_an_ordinary_table_are_told_nothing_of_this() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.put_rows("0.parquet", 10, Format::Parquet);
    let plan = scene.plan_program("events", "*", &[]).run().ok();
    let said = notes(&plan);
    for words in ["TTL", "dictionary", "does not store", "MATERIALIZED"] {
        assert!(!said.contains(words), "`{words}` in {said}");
    }
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    scene.make_twin("events", COLUMNS);
    assert_eq!(scene.assert_like_twin(), ["events"]);
}
