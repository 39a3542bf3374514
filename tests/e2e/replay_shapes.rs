//! `plan replay` of views whose queries look at more than one row, and of those that must be refused.

use longshore_tests::{Scene, drawn_few};

const ROWS: &str = "SELECT count(), sum(cityHash64(*)) FROM {t}";
/// Small enough that every source here is cut into several chunks.
const SMALL: [&str; 2] = ["--chunk-bytes", "48K"];

/// A source sorted by (kind, day, n), in months, with three views' worth of rows.
fn source(ddl: &str) -> Scene {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.source (file String, n UInt64, day Date, kind LowCardinality(String), \
         value UInt64, checksum UInt64) ENGINE = MergeTree PARTITION BY toYYYYMM(day) \
         ORDER BY (kind, day, n) SETTINGS index_granularity = 64;
         CREATE TABLE {db}.dim (kind String, name String) ENGINE = MergeTree ORDER BY kind;
         INSERT INTO {db}.dim VALUES ('buy', 'bought'), ('view', 'viewed'), ('none', 'never');",
    );
    scene.put_into("source", "first", 1_500);
    scene.put_into("source", "second", 1_500);
    scene.create(ddl);
    scene
}

/// A source with one view `v` into a table `t` of these columns and engine.
fn with_view(columns: &str, engine: &str, select: &str) -> Scene {
    let scene = source("");
    put_view(&scene, columns, engine, select);
    scene
}

/// The view `v` and its target `t`, in the place of those that were there before.
fn put_view(scene: &Scene, columns: &str, engine: &str, select: &str) {
    scene.create(&format!(
        "DROP TABLE IF EXISTS {{db}}.v SYNC;
         DROP TABLE IF EXISTS {{db}}.t SYNC;
         CREATE TABLE {{db}}.t ({columns}) ENGINE = {engine};
         CREATE MATERIALIZED VIEW {{db}}.v TO {{db}}.t AS {select};\n"
    ));
}

/// It is replayed in several chunks, and the target is what one INSERT makes.
fn replayed_in_pieces(scene: &Scene) -> serde_json::Value {
    let plan = scene.replay(&["v"], &SMALL);
    assert!(plan["chunks"].as_u64() > Some(1), "{plan}");
    scene.assert_replayed(&["v"], "t", ROWS);
    plan
}

#[test]
fn groups_stay_in_one_chunk_when_the_source_is_sorted_by_them() {
    let scene = with_view(
        "kind String, mean Float64, users UInt64",
        "MergeTree ORDER BY kind",
        "SELECT kind, avg(value) AS mean, uniqExact(n) AS users FROM {db}.source GROUP BY kind",
    );
    let plan = replayed_in_pieces(&scene);
    assert_eq!(plan["chunks"], 3, "a chunk a kind: {plan}");
}

#[test]
fn groups_within_a_partition_let_partitions_be_borders() {
    let scene = with_view(
        "day Date, mean Float64",
        "ReplacingMergeTree ORDER BY day",
        "SELECT day, avg(value) AS mean FROM {db}.source GROUP BY day HAVING count() > 3",
    );
    let plan = replayed_in_pieces(&scene);
    assert_eq!(plan["chunks"], 4, "a chunk a month: {plan}");
}

#[test]
fn distinct_windows_and_limit_by_are_groups_too() {
    let views = [
        ("kind String, day Date", "SELECT DISTINCT kind, day FROM {db}.source"),
        (
            "kind String, day Date, n UInt64",
            "SELECT kind, day, n FROM {db}.source ORDER BY n, file LIMIT 2 BY kind, day",
        ),
        (
            "kind String, day Date, r UInt64, n UInt64",
            "SELECT kind, day, n, row_number() OVER (PARTITION BY kind, day ORDER BY n, file) AS r FROM {db}.source",
        ),
        (
            "kind String, day Date, c UInt64",
            "SELECT kind, day, max(c) AS c FROM (SELECT kind, day, value, count() AS c FROM {db}.source GROUP BY kind, day, value) GROUP BY kind, day",
        ),
    ];
    let scene = source("");
    for (columns, select) in drawn_few(&views, 2) {
        put_view(&scene, columns, "MergeTree ORDER BY kind", select);
        replayed_in_pieces(&scene);
    }
}

#[test]
fn what_cannot_be_cut_is_refused_or_taken_whole() {
    let views = [
        (
            "SELECT value % 7 AS k, avg(n) AS a FROM {db}.source GROUP BY k",
            "groups by modulo(value, 7)",
        ),
        (
            "SELECT value AS k, toFloat64(n) AS a FROM {db}.source ORDER BY n, file LIMIT 10",
            "LIMIT is taken over all rows",
        ),
        (
            "SELECT a.value AS k, toFloat64(b.n) AS a FROM {db}.source AS a INNER JOIN {db}.source AS b ON a.n = b.value AND a.file = b.file",
            "a second time",
        ),
        (
            "SELECT value AS k, toFloat64(n) AS a FROM {db}.source WHERE n IN (SELECT value FROM {db}.source)",
            "a second time",
        ),
        (
            "WITH c AS (SELECT value, n FROM {db}.source) SELECT value AS k, toFloat64(n) AS a FROM c WHERE n < (SELECT avg(value) FROM c)",
            "a second time",
        ),
        (
            "SELECT s.value AS k, toFloat64(s.n) AS a FROM {db}.source AS s RIGHT JOIN {db}.dim AS d ON s.kind = d.kind",
            "RIGHT JOIN",
        ),
        ("SELECT 1 AS k, avg(value) AS a FROM {db}.source", "GROUP BY"),
    ];
    let scene = source("");
    for (select, words) in drawn_few(&views, 3) {
        put_view(&scene, "k UInt64, a Float64", "MergeTree ORDER BY k", select);
        let refused = scene.replay_program(&["v"], &SMALL).run().exits_with(2);
        let refused = refused.says(&["cannot be replayed in pieces", "--as-blocks"]);
        if words != "GROUP BY" {
            refused.says(&[words]);
        }
        let plan = scene.replay(&["v"], &[]);
        assert_eq!(plan["chunks"], 1, "{plan}");
        scene.assert_replayed(&["v"], "t", ROWS);
    }
}

#[test]
fn as_blocks_takes_each_chunk_as_an_inserted_block() {
    let scene = with_view(
        "k UInt64, n UInt64",
        "MergeTree ORDER BY k",
        "SELECT value % 7 AS k, count() AS n FROM {db}.source GROUP BY k",
    );
    let plan = scene.replay(&["v"], &["--as-blocks", "--chunk-bytes", "16K"]);
    let chunks = plan["chunks"].as_u64().expect("chunks");
    let rows = scene.admin.number(&format!("SELECT count() FROM {}.t", scene.db));
    assert!(chunks > 1 && rows > 7 && rows <= 7 * chunks, "{rows} rows of {chunks} chunks");
    let sum = scene.admin.number(&format!("SELECT sum(n) FROM {}.t", scene.db));
    assert_eq!(sum, 3_000);
}

#[test]
fn a_sum_that_is_none_is_not_cut_into_a_summing_table() {
    let scene = with_view(
        "k UInt64, m UInt64",
        "SummingMergeTree ORDER BY k",
        "SELECT value % 7 AS k, max(n) AS m FROM {db}.source GROUP BY k",
    );
    let refused = scene.replay_program(&["v"], &SMALL).run().exits_with(2);
    refused.says(&["column m is added up, and max of a group is no sum", "modulo(value, 7)"]);
}

#[test]
fn a_join_with_another_table_reads_it_as_it_is() {
    let scene = with_view(
        "n UInt64, file String, name String",
        "MergeTree ORDER BY n",
        "SELECT s.n, s.file, d.name FROM {db}.source AS s LEFT JOIN {db}.dim AS d ON s.kind = d.kind",
    );
    let plan = replayed_in_pieces(&scene);
    assert!(plan["notes"].to_string().contains("also reads"), "{plan}");
}

#[test]
fn a_union_inside_is_run_whole_and_at_the_top_only_its_first_select() {
    let scene = with_view(
        "n UInt64, what String",
        "MergeTree ORDER BY n",
        "SELECT n, what FROM (SELECT n, 'a' AS what FROM {db}.source UNION ALL SELECT value AS n, 'b' AS what FROM {db}.source)",
    );
    replayed_in_pieces(&scene);
    let scene = with_view(
        "n UInt64, what String",
        "MergeTree ORDER BY n",
        "SELECT n, 'a' AS what FROM {db}.source UNION ALL SELECT value AS n, 'b' AS what FROM {db}.source",
    );
    let plan = scene.replay(&["v"], &SMALL);
    assert!(plan["notes"].to_string().contains("only the first SELECT"), "{plan}");
    // What an insert of the same rows makes is the truth here.
    let (admin, db) = (&scene.admin, &scene.db);
    let found = admin.rows(&format!("SELECT what, count(), sum(n) FROM {db}.t GROUP BY what"));
    admin.run(&format!("TRUNCATE TABLE {db}.t"));
    admin.run(&format!("INSERT INTO {db}.source SELECT * FROM {db}.source"));
    let live = admin.rows(&format!("SELECT what, count(), sum(n) FROM {db}.t GROUP BY what"));
    assert_eq!(found, live);
}

#[test]
fn odd_names_are_names() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.`so.ur'ce \\`x\\` ü` (`a b` UInt64, `k'` String) ENGINE = MergeTree ORDER BY `a b` SETTINGS index_granularity = 64;
         INSERT INTO {db}.`so.ur'ce \\`x\\` ü` SELECT number, 'x' FROM numbers(3000);
         CREATE TABLE {db}.`ta.rget '` (`a b` UInt64, `k'` String, c UInt64) ENGINE = SummingMergeTree(c) ORDER BY (`a b`, `k'`);
         CREATE MATERIALIZED VIEW {db}.`vi.ew '` TO {db}.`ta.rget '` AS
         SELECT intDiv(z.`a b`, 100) AS `a b`, `k'`, count() AS c FROM {db}.`so.ur'ce \\`x\\` ü` AS z GROUP BY `a b`, `k'`;",
    );
    let plan = scene.replay(&["vi.ew '"], &["--chunk-bytes", "8K"]);
    assert!(plan["chunks"].as_u64() > Some(1), "{plan}");
    let query = "SELECT `a b`, `k'`, sum(c) FROM {t} GROUP BY ALL ORDER BY ALL";
    scene.assert_replayed(&["vi.ew '"], "ta.rget '", query);
}

#[test]
fn detours_to_the_source_are_refused() {
    for (ddl, select, words) in [
        (
            "CREATE VIEW {db}.plain AS SELECT * FROM {db}.source;",
            "SELECT n FROM {db}.source WHERE n IN (SELECT value FROM {db}.plain)",
            "the view",
        ),
        (
            "CREATE VIEW {db}.plain AS SELECT * FROM {db}.dim;",
            "SELECT n FROM {db}.source WHERE kind IN (SELECT kind FROM merge('{db}', '^dim$'))",
            "the table function merge",
        ),
        (
            "CREATE TABLE {db}.every AS {db}.source ENGINE = Merge('{db}', '^source$');",
            "SELECT n FROM {db}.source WHERE n IN (SELECT value FROM {db}.every)",
            "(Merge)",
        ),
    ] {
        let scene = source(&format!(
            "{ddl}
             CREATE TABLE {{db}}.t (n UInt64) ENGINE = MergeTree ORDER BY n;
             CREATE MATERIALIZED VIEW {{db}}.v TO {{db}}.t AS {select};"
        ));
        let refused = scene.replay_program(&["v"], &[]).run().exits_with(2);
        refused.says(&[words, "a second time"]);
    }
}

#[test]
fn what_is_no_view_and_what_does_not_fit_is_told() {
    let scene = with_view("n UInt64", "MergeTree ORDER BY n", "SELECT n FROM {db}.source");
    let target = format!("{}.dim", scene.db);
    scene.replay_program(&["dim"], &[]).run().exits_with(2).says(&["not a materialized view"]);
    scene.replay_program(&["v"], &["--target", &target]).run().exits_with(2).says(&["writes to"]);
    scene
        .replay_program(&[], &["--target", &target])
        .run()
        .exits_with(2)
        .says(&["no materialized view writes to"]);
    scene.replay_program(&["v"], &["--where", "n > 1"]).run().exits_with(2);
    // `n` is in the key, so the target is made again with another column.
    scene.admin.run(&format!("DROP TABLE {}.t SYNC", scene.db));
    scene
        .admin
        .run(&format!("CREATE TABLE {}.t (m UInt64) ENGINE = MergeTree ORDER BY m", scene.db));
    let lost = scene.replay_program(&["v"], &[]).run().exits_with(2);
    lost.says(&["the target has no column `n`", "make the columns of"]);
}
