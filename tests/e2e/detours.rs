//! Views that reach a table of the job other than by naming it see another table than in a plain
//! INSERT: they are refused with the way they take. What only looks alike is loaded.

use longshore_tests::{Admin, Format, OwnBed, Scene, drawn_few, literal};

const COLUMNS: &str = "file, n, day, kind, value, checksum";

const BASE: &str = "
CREATE TABLE {db}.events
(file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
CREATE TABLE {db}.other (kind String, c UInt64) ENGINE = MergeTree ORDER BY kind;
INSERT INTO {db}.other VALUES ('buy', 3), ('view', 4);
CREATE TABLE {db}.t (n UInt64, c UInt64) ENGINE = MergeTree ORDER BY n;
";

/// What stands between the view and the table, the view's expression for `c`, and the words of the way.
const DETOURS: [(&str, &str, &str); 19] = [
    (
        "CREATE VIEW {db}.w AS SELECT count() AS c FROM {db}.events;",
        "(SELECT c FROM {db}.w)",
        "{db}.mv → {db}.w (View) → {db}.events",
    ),
    (
        "CREATE VIEW {db}.u AS SELECT n FROM {db}.events; CREATE VIEW {db}.w AS SELECT count() AS c FROM {db}.u;",
        "(SELECT c FROM {db}.w)",
        "{db}.mv → {db}.w (View) → {db}.u (View) → {db}.events",
    ),
    (
        "CREATE VIEW {db}.w AS SELECT n FROM {db}.t;",
        "n IN (SELECT n FROM {db}.w)",
        "{db}.mv → {db}.w (View) → {db}.t",
    ),
    (
        "CREATE TABLE {db}.m AS {db}.events ENGINE = Merge('{db}', '^eve');",
        "(SELECT count() FROM {db}.m)",
        "{db}.mv → {db}.m (Merge) → {db}.events",
    ),
    (
        "CREATE VIEW {db}.wx AS SELECT n FROM {db}.events; CREATE TABLE {db}.m (n UInt64) ENGINE = Merge(REGEXP('^{db}$'), '^w');",
        "(SELECT count() FROM {db}.m)",
        "{db}.mv → {db}.m (Merge) → {db}.wx (View) → {db}.events",
    ),
    ("", "(SELECT count() FROM merge('{db}', '^events$'))", "{db}.mv → merge() → {db}.events"),
    ("", "(SELECT count() FROM view(SELECT n FROM {db}.events))", "{db}.mv → view() → {db}.events"),
    (
        "",
        "(SELECT count() FROM remote('{native}', {db}.events))",
        "{db}.mv → remote() → {db}.events",
    ),
    (
        "",
        "(SELECT count() FROM remote('{native}', '{db}', 'events'))",
        "{db}.mv → remote() → {db}.events",
    ),
    (
        "CREATE VIEW {db}.w AS SELECT n FROM {db}.events;",
        "(SELECT count() FROM remote('{native}', {db}.w))",
        "{db}.mv → remote() → {db}.w (View) → {db}.events",
    ),
    (
        "CREATE TABLE {db}.b AS {db}.events ENGINE = Buffer('{db}', 'events', 1, 1, 1, 1, 1, 1, 1);",
        "(SELECT count() FROM {db}.b)",
        "{db}.mv → {db}.b (Buffer) → {db}.events",
    ),
    (
        "CREATE TABLE {db}.second (n UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.second_mv TO {db}.second AS SELECT n FROM {db}.events;",
        "(SELECT count() FROM {db}.second_mv)",
        "{db}.mv → {db}.second_mv (MaterializedView) → {db}.second",
    ),
    (
        "CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 'events')) LIFETIME(0) LAYOUT(HASHED());",
        "dictGet('{db}.d', 'value', n)",
        "{db}.mv → {db}.d (Dictionary) → {db}.events",
    ),
    (
        "CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 'events')) LAYOUT(DIRECT());",
        "dictGetOrDefault({db}.d, 'value', n, 0)",
        "{db}.mv → {db}.d (Dictionary) → {db}.events",
    ),
    (
        "CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(QUERY 'SELECT n, value FROM {db}.events')) LIFETIME(0) LAYOUT(HASHED());",
        "toUInt64(dictHas('{db}.d', n))",
        "{db}.mv → {db}.d (Dictionary) → {db}.events",
    ),
    (
        "CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(HOST '127.0.0.1' PORT {port} DB '{db}' TABLE 'events')) LIFETIME(0) LAYOUT(HASHED());",
        "(SELECT count() FROM dictionary('{db}.d'))",
        "{db}.mv → {db}.d (Dictionary) → {db}.events",
    ),
    (
        "CREATE VIEW {db}.w AS SELECT n, value FROM {db}.events;
         CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 'w')) LIFETIME(0) LAYOUT(HASHED());
         CREATE TABLE {db}.dt (n UInt64, value UInt64) ENGINE = Dictionary('{db}.d');",
        "(SELECT count() FROM {db}.dt)",
        "{db}.dt (Dictionary) → {db}.d (Dictionary) → {db}.w (View) → {db}.events",
    ),
    (
        "CREATE DICTIONARY {db}.d (n UInt64, value UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 'events')) LIFETIME(0) LAYOUT(HASHED());
         CREATE VIEW {db}.w AS SELECT dictGet('{db}.d', 'value', 1::UInt64) AS c;",
        "(SELECT c FROM {db}.w)",
        "{db}.w (View) → {db}.d (Dictionary) → {db}.events",
    ),
    (
        "CREATE VIEW {db}.w AS SELECT n, value FROM {db}.events WHERE n > {p:UInt64};",
        "(SELECT count() FROM {db}.w(p = 1))",
        "{db}.mv → {db}.w (View) → {db}.events",
    ),
];

/// The scene with a view `mv` that reads the source itself and has this expression besides.
fn with_view(scene: &Scene, ddl: &str, expression: &str) {
    let port = scene.admin.run("SELECT tcpPort()");
    let native = format!("127.0.0.1:{port}");
    let place = |text: &str| text.replace("{native}", &native).replace("{port}", &port);
    scene.create(BASE);
    if !ddl.is_empty() {
        scene.create(&format!("{}\n", place(ddl).replace("; CREATE", ";\nCREATE")));
    }
    scene.create(&format!(
        "CREATE MATERIALIZED VIEW {{db}}.mv TO {{db}}.t AS \
         SELECT n, {} AS c FROM {{db}}.events;\n",
        place(expression)
    ));
    scene.put_rows("0.parquet", 50, Format::Parquet);
}

#[test]
fn every_detour_to_a_table_of_the_job_is_refused_with_its_way() {
    for (ddl, expression, way) in drawn_few(&DETOURS, 5) {
        let scene = Scene::new();
        with_view(&scene, ddl, expression);
        let refused = scene.plan_program("events", "*", &[]).run();
        let way = way.replace("{db}", &scene.db);
        assert_eq!(refused.code(), Some(2), "{way}: {refused}");
        refused.says(&["by a detour", &way, "--mode direct"]);
        assert_eq!(scene.staged(), Vec::<String>::new(), "{way}");
    }
}

#[test]
fn what_leads_to_other_tables_is_loaded() {
    let others = [
        ("CREATE VIEW {db}.w AS SELECT sum(c) AS c FROM {db}.other;", "(SELECT c FROM {db}.w)"),
        ("", "(SELECT sum(c) FROM merge('{db}', '^other$'))"),
        ("", "(SELECT sum(c) FROM remote('{native}', {db}.other))"),
        (
            "CREATE TABLE {db}.m AS {db}.other ENGINE = Merge('{db}', '^oth');",
            "(SELECT sum(c) FROM {db}.m)",
        ),
        // Of a UNION ALL at the top only the first SELECT runs.
        (
            "CREATE VIEW {db}.w AS SELECT n FROM {db}.t;",
            "1 AS c FROM {db}.events UNION ALL SELECT n, (SELECT count() FROM {db}.w)",
        ),
    ];
    for (ddl, expression) in drawn_few(&others, 2) {
        let scene = Scene::new();
        with_view(&scene, ddl, expression);
        let id = scene.plan_into("events", "*", &[]);
        scene.longshore(["run", &id, "--workers", "1"]).run().ok();
        scene.make_twin("events", COLUMNS);
        scene.assert_like_twin();
        assert_eq!(scene.whole(&scene.db, "t")[0][0], "50", "{expression}");
    }
}

#[test]
fn in_direct_mode_the_server_runs_such_a_view_itself() {
    let scene = Scene::new();
    with_view(&scene, DETOURS[0].0, DETOURS[0].1);
    scene.create(
        "ALTER TABLE {db}.events MODIFY SETTING non_replicated_deduplication_window = 100;\n",
    );
    let id = scene.plan_into("events", "*", &["--mode", "direct"]);
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    scene.make_twin("events", COLUMNS);
    scene.assert_like_twin();
    assert_eq!(scene.admin.run(&format!("SELECT DISTINCT c FROM {}.t", scene.db)), "50");
}

#[test]
fn a_replay_names_the_way_to_a_table_that_it_fills_or_reads() {
    let scene = Scene::new();
    with_view(&scene, DETOURS[2].0, DETOURS[2].1);
    scene.put_into("events", "first", 50);
    let db = &scene.db;
    let refused = scene.replay_program(&["mv"], &[]).run().exits_with(2);
    refused.says(&["this replay fills", &format!("{db}.w (View) → {db}.t"), "by hand"]);

    // A dictionary on the source is no way around a chunk, and is told of.
    let scene = Scene::new();
    with_view(&scene, DETOURS[13].0, DETOURS[13].1);
    let quoted = literal(&format!("{}.d", scene.db));
    scene.put_into("events", "first", 50);
    scene.admin.run(&format!("SELECT dictHas({quoted}, 1::UInt64)"));
    let plan = scene.replay_program(&["mv"], &[]).run().ok();
    plan.says(&["a dictionary on its own source", "(Dictionary)"]);
}

#[test]
fn a_column_that_looks_into_a_table_of_the_job_is_told_of_and_loaded() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.mv TO {db}.t AS SELECT n, value AS c FROM {db}.events;
         CREATE DICTIONARY {db}.d (n UInt64, c UInt64) PRIMARY KEY n \
         SOURCE(CLICKHOUSE(DB '{db}' TABLE 't')) LIFETIME(0) LAYOUT(HASHED());
         ALTER TABLE {db}.events ADD COLUMN up UInt64 ALIAS dictGet('{db}.d', 'c', n);\n",
    );
    scene.put_rows("0.parquet", 50, Format::Parquet);
    let plan = scene.plan_program("events", "*", &[]).run().ok();
    let db = &scene.db;
    let plan = plan.says(&[&format!("columns of {db}.events look into {db}.t,"), "(Dictionary)"]);
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    scene.assert_rows("events");
}

#[test]
fn a_table_of_the_same_name_on_another_server_is_another_table() {
    let bed = OwnBed::of_two();
    let second = Admin::new(bed.bed.second_url.as_deref().expect("a second server"));
    let port = second.run("SELECT tcpPort()");
    let scene = Scene::on(&bed.bed);
    second.run(&format!("CREATE DATABASE {} ENGINE = Atomic", scene.db));
    second.run_all(&BASE.replace("{db}", &scene.db));
    second.run(&format!("INSERT INTO {}.events (n) SELECT number FROM numbers(77)", scene.db));
    let there = format!("(SELECT count() FROM remote('127.0.0.1:{port}', {{db}}.events))");
    with_view(&scene, "", &there);
    let id = scene.plan_into("events", "*", &[]);
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    let found = scene.admin.run(&format!("SELECT count(), any(c) FROM {}.t", scene.db));
    assert_eq!(found, "50\t77");
}
