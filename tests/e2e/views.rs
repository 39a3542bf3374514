//! Every shape of view graph: what Longshore loads is what the server itself would have made of a
//! plain INSERT of the same files into an identical twin.

use longshore_tests::{Format, Scene};

const COLUMNS: &str = "file, n, day, kind, value, checksum";

/// A plain base table; the cases hang their views on it.
const BASE: &str = "
CREATE TABLE {db}.events
(file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
";

/// Loads four files into `events` with these tables and views, and compares every table with the
/// twin. `filled` names the tables that must hold rows, so that no case shows nothing.
fn same_as_direct(base: &str, views: &str, filled: &[&str]) {
    let scene = Scene::new();
    scene.create(base);
    scene.create(views);
    for file in 0..4 {
        scene.put_rows(&format!("{file}.parquet"), 400, Format::Parquet);
    }
    let id = scene.plan(&["--chunk-files-max", "2"]);
    scene.longshore(["run", &id, "--workers", "2"]).run().ok();
    scene.make_twin("events", COLUMNS);
    let mut tables = scene.assert_like_twin();
    tables.retain(|table| scene.whole(&scene.db, table)[0][0] != "0");
    assert_eq!(tables, filled, "tables that hold rows");
    scene.assert_clean(&id);
}

#[test]
fn no_views() {
    same_as_direct(BASE, "", &["events"]);
}

#[test]
fn a_view_with_to() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.copy (n UInt64, file String, extra String DEFAULT 'x') ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.copy AS
         SELECT file, n FROM {db}.events WHERE value % 2 = 0;\n",
        &["copy", "events"],
    );
}

#[test]
fn a_view_with_an_inner_table() {
    same_as_direct(
        BASE,
        "CREATE MATERIALIZED VIEW {db}.mv ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY day AS
         SELECT day, sum(value) AS total, count() AS rows FROM {db}.events GROUP BY day;\n",
        &["events", "mv"],
    );
}

#[test]
fn an_aggregating_view() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.states (kind String, people AggregateFunction(uniqExact, UInt64),
             best SimpleAggregateFunction(max, UInt64)) ENGINE = AggregatingMergeTree ORDER BY kind;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.states AS
         SELECT kind, uniqExactState(value) AS people, max(value) AS best FROM {db}.events GROUP BY kind;\n",
        &["events", "states"],
    );
}

#[test]
fn a_chain_of_two_views() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.first (file String, n UInt64, day Date, twice UInt64)
         ENGINE = MergeTree PARTITION BY toMonday(day) ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv1 TO {db}.first AS
         SELECT file, n, day, value * 2 AS twice FROM {db}.events WHERE kind != 'view';
         CREATE TABLE {db}.second (day Date, total UInt64) ENGINE = SummingMergeTree ORDER BY day;
         CREATE MATERIALIZED VIEW {db}.mv2 TO {db}.second AS
         SELECT day, sum(twice) AS total FROM {db}.first GROUP BY day;\n",
        &["events", "first", "second"],
    );
}

/// The server does not fire it on a load: it hangs on the view, not on the view's inner table.
#[test]
fn a_view_on_a_view_with_an_inner_table() {
    same_as_direct(
        BASE,
        "CREATE MATERIALIZED VIEW {db}.mv1 (file String, n UInt64, day Date) ENGINE = MergeTree ORDER BY n AS
         SELECT file, n, day FROM {db}.events WHERE kind = 'buy';
         CREATE TABLE {db}.second (day Date, rows UInt64) ENGINE = SummingMergeTree ORDER BY day;
         CREATE MATERIALIZED VIEW {db}.mv2 TO {db}.second AS
         SELECT day, count() AS rows FROM {db}.mv1 GROUP BY day;\n",
        &["events", "mv1"],
    );
}

#[test]
fn two_views_into_one_target() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.both (file String, n UInt64, why String) ENGINE = MergeTree PARTITION BY why ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv1 TO {db}.both AS
         SELECT file, n, 'even' AS why FROM {db}.events WHERE n % 2 = 0;
         CREATE MATERIALIZED VIEW {db}.mv2 TO {db}.both AS
         SELECT file, n, 'third' AS why FROM {db}.events WHERE n % 3 = 0;\n",
        &["both", "events"],
    );
}

#[test]
fn a_view_that_joins_its_source_with_itself() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.pairs (file String, n UInt64, other UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.pairs AS
         SELECT a.file AS file, a.n AS n, b.value AS other FROM {db}.events AS a
         INNER JOIN {db}.events AS b ON a.file = b.file AND a.n = b.n;\n",
        &["events", "pairs"],
    );
}

#[test]
fn a_view_that_names_its_source_in_a_subquery() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.chosen (file String, n UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.chosen AS
         WITH buys AS (SELECT checksum FROM {db}.events WHERE kind = 'buy')
         SELECT file, n FROM (SELECT file, n, checksum FROM {db}.events)
         WHERE checksum IN (SELECT checksum FROM buys);\n",
        &["chosen", "events"],
    );
}

#[test]
fn a_view_that_joins_another_table() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.kinds (kind String, label String) ENGINE = MergeTree ORDER BY kind;
         INSERT INTO {db}.kinds SELECT arrayJoin(['buy', 'view']), 'label';
         CREATE TABLE {db}.labelled (file String, n UInt64, label String) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.labelled AS
         SELECT e.file AS file, e.n AS n, k.label AS label FROM {db}.events AS e
         INNER JOIN {db}.kinds AS k USING (kind);\n",
        &["events", "kinds", "labelled"],
    );
}

#[test]
fn a_view_with_a_union_inside() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.parts (file String, n UInt64, part UInt8) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.parts AS SELECT * FROM (
             SELECT file, n, 1 AS part FROM {db}.events WHERE n < 100
             UNION ALL SELECT file, n, 2 AS part FROM {db}.events WHERE n >= 200);\n",
        &["events", "parts"],
    );
}

#[test]
fn a_null_table_that_only_feeds_views() {
    same_as_direct(
        BASE,
        "CREATE TABLE {db}.nothing (file String, n UInt64, value UInt64) ENGINE = Null;
         CREATE MATERIALIZED VIEW {db}.mv1 TO {db}.nothing AS SELECT file, n, value FROM {db}.events;
         CREATE MATERIALIZED VIEW {db}.mv2 ENGINE = MergeTree ORDER BY n AS
         SELECT file, n, value + 1 AS more FROM {db}.nothing;\n",
        &["events", "mv2"],
    );
}

#[test]
fn names_with_back_quotes_and_other_letters() {
    let base = "
CREATE TABLE {db}.`t\u{e4}gliche \u{65e5}\u{672c} \\`events\\` it's.here`
(file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64, `gr\u{f6}\u{df}e {n} \\`x\\`?` UInt64 DEFAULT n)
ENGINE = MergeTree PARTITION BY (toYYYYMM(day), kind) ORDER BY (file, `gr\u{f6}\u{df}e {n} \\`x\\`?`);
";
    let views = "
CREATE TABLE {db}.`ziel ?` (`fi le` String, `\u{3a3}` UInt64) ENGINE = MergeTree ORDER BY `\u{3a3}`;
CREATE MATERIALIZED VIEW {db}.`m v` TO {db}.`ziel ?` AS
SELECT file AS `fi le`, `gr\u{f6}\u{df}e {n} \\`x\\`?` AS `\u{3a3}`
FROM {db}.`t\u{e4}gliche \u{65e5}\u{672c} \\`events\\` it's.here` AS `events` WHERE `events`.kind = 'buy';
CREATE MATERIALIZED VIEW {db}.`inn\u{e9}r` ENGINE = MergeTree ORDER BY n AS
SELECT n, file FROM {db}.`t\u{e4}gliche \u{65e5}\u{672c} \\`events\\` it's.here`;
";
    let scene = Scene::new();
    scene.create(base);
    scene.create(views);
    scene.put_rows("0.parquet", 400, Format::Parquet);
    let table = "t\u{e4}gliche \u{65e5}\u{672c} `events` it's.here";
    let quoted = longshore_tests::name(table);
    let id = scene.plan_into(&quoted, "*", &[]);
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    scene.make_twin(table, COLUMNS);
    assert_eq!(scene.assert_like_twin().len(), 3);
    scene.assert_rows(table);
    scene.assert_clean(&id);
}

#[test]
fn a_date_partition_key() {
    same_as_direct(
        &BASE.replace("PARTITION BY toYYYYMM(day)", "PARTITION BY toMonday(day)"),
        "",
        &["events"],
    );
}

#[test]
fn a_string_partition_key() {
    let odd = "PARTITION BY concat(kind, ' it\\'s \u{e4} `')";
    same_as_direct(&BASE.replace("PARTITION BY toYYYYMM(day)", odd), "", &["events"]);
}

#[test]
fn a_partition_key_of_several_columns() {
    same_as_direct(
        &BASE.replace("PARTITION BY toYYYYMM(day)", "PARTITION BY (kind, toYear(day), n % 3)"),
        "",
        &["events"],
    );
}

#[test]
fn no_partition_key() {
    same_as_direct(&BASE.replace("PARTITION BY toYYYYMM(day)", ""), "", &["events"]);
}

#[test]
fn no_sorting_key() {
    same_as_direct(&BASE.replace("ORDER BY (file, n)", "ORDER BY tuple()"), "", &["events"]);
}

#[test]
fn projections_and_skip_indexes_arrive_with_the_rows() {
    let base = "
CREATE TABLE {db}.events
(
    file String, n UInt64, day Date, kind String CODEC(ZSTD(3)), value UInt64 COMMENT 'it''s', checksum UInt64,
    INDEX by_value value TYPE minmax GRANULARITY 1,
    INDEX by_file file TYPE bloom_filter(0.01) GRANULARITY 2,
    CONSTRAINT small CHECK value < 1000000,
    PROJECTION by_kind (SELECT kind, sum(value) GROUP BY kind),
    PROJECTION by_day (SELECT * ORDER BY day)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) PRIMARY KEY file ORDER BY (file, n)
TTL day + INTERVAL 100 YEAR SETTINGS index_granularity = 256;
";
    let scene = Scene::new();
    scene.create(base);
    scene.put_rows("0.parquet", 2_000, Format::Parquet);
    scene.load_into("events", "*", &[]).ok();
    scene.assert_rows("events");
    let parts = scene.admin.number(&format!(
        "SELECT count() FROM system.parts WHERE database = '{}' AND table = 'events' AND active",
        scene.db
    ));
    let projected = scene.admin.number(&format!(
        "SELECT countIf(name = 'by_kind') + countIf(name = 'by_day') FROM system.projection_parts \
         WHERE database = '{}' AND table = 'events' AND active",
        scene.db
    ));
    assert_eq!(projected, 2 * parts, "every part has both projections");
    let indexed = scene.admin.number(&format!(
        "SELECT min(secondary_indices_compressed_bytes) FROM system.parts \
         WHERE database = '{}' AND table = 'events' AND active",
        scene.db
    ));
    assert!(indexed > 0, "every part has its skip indexes");
}

#[test]
fn default_materialized_alias_and_ephemeral_columns() {
    let base = "
CREATE TABLE {db}.events
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64,
    raw UInt64 EPHEMERAL 7,
    from_raw UInt64 DEFAULT raw * 3,
    more UInt64 DEFAULT value + n,
    fixed UInt64 MATERIALIZED value * 2,
    label String ALIAS concat(kind, '-', file),
    maybe Nullable(String)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
";
    let views = "
CREATE MATERIALIZED VIEW {db}.mv ENGINE = MergeTree ORDER BY n AS
SELECT file, n, more, fixed, from_raw FROM {db}.events;
";
    same_as_direct(base, views, &["events", "mv"]);
}

#[test]
fn engines_that_merge_rows() {
    for engine in ["ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree"] {
        let base = BASE.replace("ENGINE = MergeTree", &format!("ENGINE = {engine}"));
        same_as_direct(&base, "", &["events"]);
    }
}

#[test]
fn rows_that_a_merging_engine_would_fold_within_one_insert_are_not_lost() {
    let base = "
CREATE TABLE {db}.events (kind String, value UInt64, rows UInt64 DEFAULT 1)
ENGINE = SummingMergeTree ORDER BY kind;
";
    let scene = Scene::new();
    scene.create(base);
    scene.put_rows("0.parquet", 5_000, Format::Parquet);
    scene.put_rows("1.parquet", 5_000, Format::Parquet);
    let more = ["--chunk-files-max", "1", "--columns", "kind,value"];
    scene.load_into("events", "*", &more).ok();
    let found = scene.admin.number(&format!("SELECT sum(rows) FROM {}.events", scene.db));
    assert_eq!(found, 10_000);
}

#[test]
fn the_target_is_itself_the_target_of_a_view_and_only_that_job_fires_it() {
    let scene = Scene::new();
    scene.create(BASE);
    scene.create(
        "CREATE TABLE {db}.source (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64)
         ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.into_events TO {db}.events AS SELECT * FROM {db}.source;\n",
    );
    scene.put_rows("0.parquet", 100, Format::Parquet);
    scene.load_into("events", "*", &[]).ok();
    scene.assert_rows("events");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.source", scene.db)), 0);
}

#[test]
fn the_staging_of_one_job_never_fires_the_views_of_the_real_tables() {
    let scene = Scene::with_events(2, 200);
    scene.create(
        "CREATE TABLE {db}.audit (rows UInt64) ENGINE = MergeTree ORDER BY tuple();
         CREATE MATERIALIZED VIEW {db}.audit_mv TO {db}.audit AS SELECT count() AS rows FROM {db}.daily;\n",
    );
    let id = scene.submit(&["--chunk-files-max", "1"]);
    scene.finish(&id);
    scene.assert_exact();
    let audited =
        scene.admin.run(&format!("SELECT count(), sum(rows) > 0 FROM {}.audit", scene.db));
    assert_eq!(
        audited, "2\t1",
        "one block a load went through the clone, none through the original"
    );
}
