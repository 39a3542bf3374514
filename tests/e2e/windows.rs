//! Time windows of `plan copy` and `plan replay`.

use longshore_tests::Scene;

const ROWS: &str = "SELECT count(), sum(cityHash64(*)) FROM {t}";

/// A source with a row every 10 minutes for 40 days, in a zone whose clock is set back on 27 October
/// 2024, and an empty table of the same columns.
fn scene(time: &str) -> Scene {
    let scene = Scene::new();
    scene.create(&format!(
        "CREATE TABLE {{db}}.source (k String, id UInt64, at {time}, value UInt64) ENGINE = MergeTree \
         PARTITION BY toYYYYMM(at) ORDER BY (k, at) SETTINGS index_granularity = 64;
         INSERT INTO {{db}}.source SELECT toString(number % 7), number, \
         fromUnixTimestamp64Milli(toInt64(1727733600000 + number * 600000), 'UTC') AS at, number % 100 FROM numbers(5760);
         CREATE TABLE {{db}}.copy AS {{db}}.source;"
    ));
    scene
}

fn run(scene: &Scene, plan: &serde_json::Value) {
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_clean(id);
}

fn copy(scene: &Scene, more: &[&str]) -> serde_json::Value {
    let plan = scene.copy_program("source", "copy", more).run().ok().json();
    run(scene, &plan);
    plan
}

/// Rows of a table, and of the source within a condition.
fn assert_within(scene: &Scene, condition: &str) {
    let sum = |table: &str, condition: &str| {
        scene.admin.rows(&format!(
            "SELECT count(), sum(cityHash64(*)) FROM {}.{table} WHERE {condition}",
            scene.db
        ))
    };
    assert_eq!(sum("copy", "1"), sum("source", condition), "{condition}");
}

#[test]
fn a_window_is_copied_in_chunks_of_hours_and_its_ends_are_half_open() {
    for time in
        ["DateTime('Europe/Berlin')", "DateTime64(3, 'Europe/Berlin')", "Nullable(DateTime64(6))"]
    {
        let scene = scene_of(time);
        let plan = copy(
            &scene,
            &[
                "--since",
                "2024-10-26T22:00:00Z",
                "--until",
                "2024-10-28T00:00:00Z",
                "--chunk-hours",
                "6",
            ],
        );
        assert_eq!((&plan["rows"], &plan["chunks"]), (&156.into(), &5.into()), "{time}: {plan}");
        assert_within(
            &scene,
            "at >= toDateTime('2024-10-26 22:00:00', 'UTC') AND at < toDateTime('2024-10-28 00:00:00', 'UTC')",
        );
    }
}

fn scene_of(time: &str) -> Scene {
    if !time.starts_with("Nullable") {
        return scene(time);
    }
    let scene = scene("DateTime('UTC')");
    scene.create(&format!(
        "DROP TABLE {{db}}.copy SYNC;
         RENAME TABLE {{db}}.source TO {{db}}.plain;
         CREATE TABLE {{db}}.source (k String, id UInt64, at {time}, value UInt64) ENGINE = MergeTree ORDER BY (k, id);
         INSERT INTO {{db}}.source SELECT * FROM {{db}}.plain;
         INSERT INTO {{db}}.source SELECT 'none', number, NULL, 0 FROM numbers(50);
         CREATE TABLE {{db}}.copy AS {{db}}.source;"
    ));
    scene
}

#[test]
fn a_time_without_a_zone_is_in_that_of_the_column_over_the_hour_that_comes_twice() {
    let scene = scene("DateTime('Europe/Berlin')");
    let plan =
        copy(&scene, &["--since", "2024-10-27", "--until", "2024-10-28", "--chunk-hours", "1"]);
    // The day has 25 hours.
    assert_eq!((&plan["rows"], &plan["chunks"]), (&150.into(), &25.into()), "{plan}");
    assert_within(&scene, "toDate(at) = '2024-10-27'");
}

#[test]
fn empty_hours_give_no_chunk_and_a_budget_fills_chunks() {
    let scene = scene("DateTime('UTC')");
    scene.admin.run(&format!(
        "DELETE FROM {}.source WHERE at >= '2024-10-03' AND at < '2024-10-05'",
        scene.db
    ));
    let window = ["--since", "2024-10-02", "--until", "2024-10-06", "--chunk-hours", "12"];
    let plan = copy(&scene, &window);
    assert_eq!((&plan["rows"], &plan["chunks"]), (&288.into(), &4.into()), "{plan}");
    assert_within(&scene, "at >= '2024-10-02' AND at < '2024-10-06'");

    let small =
        ["--since", "2024-10-02", "--until", "2024-10-06", "--chunk-bytes", "2K", "--again", "x"];
    let plan = scene.copy_program("source", "copy", &small).run().ok().json();
    let chunks = plan["chunks"].as_u64().expect("chunks");
    assert!((3..12).contains(&chunks), "{plan}");
    let same = scene.copy_program("source", "copy", &small).run().ok().json();
    assert_eq!((&same["plan_id"], &same["created"]), (&plan["plan_id"], &false.into()));
}

#[test]
fn a_window_of_a_snapshot_is_as_of_the_plan_and_one_without_rows_is_told() {
    let scene = scene("DateTime('UTC')");
    let window = ["--since", "2024-10-02", "--until", "2024-10-04", "--chunk-hours", "6"];
    let plan = [&window[..], &["--snapshot"]].concat();
    let plan = scene.copy_program("source", "copy", &plan).run().ok().json();
    assert_eq!((&plan["rows"], &plan["chunks"]), (&288.into(), &8.into()), "{plan}");
    scene.admin.run(&format!(
        "INSERT INTO {}.source SELECT 'late', number, '2024-10-02 12:00:00', 1 FROM numbers(9)",
        scene.db
    ));
    run(&scene, &plan);
    let late = "at >= '2024-10-02' AND at < '2024-10-04' AND k != 'late'";
    assert_within(&scene, late);

    let nothing = ["--since", "2023-01-01", "--until", "2023-01-03"];
    let told = scene.copy_program("source", "copy", &nothing).run().exits_with(2);
    told.says(&["no rows in this time window"]);
}

#[test]
fn days_have_windows_too() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.source (day Date, n UInt64) ENGINE = MergeTree ORDER BY n;
         INSERT INTO {db}.source SELECT toDate('2024-02-20') + number % 20, number FROM numbers(2000);
         CREATE TABLE {db}.copy AS {db}.source;",
    );
    let ends = ["--since", "2024-02-28", "--until", "2024-03-02"];
    let more = [&ends[..], &["--chunk-hours", "24"]].concat();
    let plan = copy(&scene, &more);
    assert_eq!((&plan["rows"], &plan["chunks"]), (&300.into(), &3.into()), "{plan}");
    assert_within(&scene, "day >= '2024-02-28' AND day < '2024-03-02'");

    let refused = |more: &[&str], words: &str| {
        scene.copy_program("source", "copy", more).run().exits_with(2).says(&[words]);
    };
    refused(&[&ends[..], &["--chunk-hours", "6"]].concat(), "multiple of 24");
    refused(&["--since", "2024-02-28 06:00:00", "--until", "2024-03-02"], "whole days");
    refused(&["--since", "soon"], "is no time");
    refused(&["--since", "2024-03-02", "--until", "2024-02-28"], "the window is empty");
}

#[test]
fn an_expression_named_like_the_key_does_not_change_which_rows_a_chunk_has() {
    let scene = scene("DateTime('UTC')");
    let select = "k, id, toStartOfDay(at) AS at, value";
    for more in [
        &["--since", "2024-10-02 06:30:00", "--until", "2024-10-05 07:10:00", "--chunk-hours", "5"]
            [..],
        &[
            "--chunk-bytes",
            "16K",
            "--where",
            "at >= '2024-10-02 06:30:00' AND at < '2024-10-05 07:10:00'",
        ],
    ] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.copy", scene.db));
        copy(&scene, &[more, &["--select", select]].concat());
        let [found, expected] = ["copy", "source"].map(|table| {
            let within = "at >= '2024-10-02 06:30:00' AND at < '2024-10-05 07:10:00'";
            let within = if table == "copy" { "1" } else { within };
            scene.admin.rows(&format!(
                "SELECT count(), uniqExact(id), sum(cityHash64(k, id, toStartOfDay(at), value)) \
                 FROM {}.{table} WHERE {within}",
                scene.db
            ))
        });
        assert_eq!(found, expected, "{more:?}");
    }
}

#[test]
fn columns_named_like_ours_are_theirs() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.source (rows UInt64, at UInt64, first DateTime, partitions DateTime) ENGINE = MergeTree ORDER BY (rows, at) SETTINGS index_granularity = 64;
         INSERT INTO {db}.source SELECT number, number, toDateTime('2024-01-01', 'UTC') + number * 60, toDateTime('2024-01-01', 'UTC') + number * 60 FROM numbers(3000);
         CREATE TABLE {db}.copy AS {db}.source;",
    );
    for more in [
        &["--chunk-bytes", "16K"][..],
        &["--time-column", "first", "--chunk-hours", "8"],
        &["--time-column", "partitions", "--chunk-hours", "8"],
    ] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.copy", scene.db));
        copy(&scene, more);
        assert_within(&scene, "1");
    }
}

#[test]
fn limits_must_be_forced() {
    let scene = scene("DateTime('UTC')");
    let refused = |more: &[&str], words: &str| {
        scene.copy_program("source", "copy", more).run().exits_with(2).says(&[words]);
    };
    let long = ["--since", "2024-10-01", "--until", "2024-11-02"];
    refused(&long, "longer than 720 hours");
    refused(&["--since", "2024-10-01"], "longer than 720 hours");
    refused(
        &["--since", "2024-10-01", "--until", "2024-10-02", "--max-window", "23"],
        "longer than 23 hours",
    );
    refused(
        &["--since", "2024-10-01", "--until", "2024-10-02", "--chunk-hours", "0.1"],
        "shorter than the shortest",
    );
    for more in [&["--force-large-window"][..], &["--max-window", "800"]] {
        scene.copy_program("source", "copy", &[&long[..], more].concat()).run().ok();
    }
}

#[test]
fn the_time_column_is_that_of_the_flag_the_table_the_file_or_the_key() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.source (id UInt64, updated_at DateTime, created_at DateTime, seen DateTime, born Date, text String) \
         ENGINE = MergeTree ORDER BY (text, seen);
         CREATE TABLE {db}.unsorted AS {db}.source ENGINE = MergeTree ORDER BY id;
         CREATE TABLE {db}.odd (id UInt64, born Date) ENGINE = MergeTree ORDER BY id;
         CREATE TABLE {db}.copy AS {db}.source;",
    );
    for table in ["source", "unsorted"] {
        scene.admin.run(&format!("INSERT INTO {}.{table} SELECT number, '2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04', 'x' FROM numbers(10)", scene.db));
    }
    let file = scene.folder().join("windows.toml");
    let note = |table: &str, text: &str, more: &[&str]| {
        std::fs::write(&file, text.replace("{db}", &scene.db)).expect("a file");
        let ends = ["--since", "2024-01-01", "--until", "2024-01-05"];
        let program = scene.copy_program(table, "copy", &[&ends[..], more].concat());
        let plan = program.env("LONGSHORE_CONFIG", file.to_string_lossy()).run().ok().json();
        plan["notes"].to_string()
    };
    let of_table = "[window]\ntime_column = \"created_at\"\n[tables.\"{db}.source\"]\ntime_column = \"updated_at\"\n";
    assert!(
        note("source", of_table, &["--time-column", "born"]).contains("is born (--time-column)")
    );
    assert!(note("source", of_table, &[]).contains("is updated_at (of the table"));
    assert!(note("unsorted", of_table, &[]).contains("is created_at (window.time_column)"));
    assert!(note("source", "", &[]).contains("is seen (the first in the sorting key)"));
    assert!(note("unsorted", "", &[]).contains("is created_at (by its name)"));

    let asked = scene.copy_program("odd", "copy", &["--since", "2024-01-01"]).run().exits_with(2);
    asked.says(&["which column of", "one of: born"]);
    let wrong = ["--since", "2024-01-01", "--time-column", "text"];
    scene.copy_program("source", "copy", &wrong).run().exits_with(2).says(&["is no Date"]);
    std::fs::write(&file, "[policy]\nrequire_window = true\n").expect("a file");
    let program = scene.copy_program("source", "copy", &[]);
    let asked = program.env("LONGSHORE_CONFIG", file.to_string_lossy()).run().exits_with(2);
    asked.says(&["policy.require_window", "--since"]);
}

/// A view `v` of the source into a MergeTree table, which puts nothing together.
fn with_view(select: &str) -> Scene {
    let scene = scene("DateTime('Europe/Berlin')");
    scene.create(&format!(
        "CREATE TABLE {{db}}.t (at DateTime, k String, n UInt64, mean Float64) ENGINE = MergeTree ORDER BY at;
         CREATE MATERIALIZED VIEW {{db}}.v TO {{db}}.t AS {select};"
    ));
    scene
}

#[test]
fn groups_by_time_are_not_divided_by_windows() {
    for key in [
        "toStartOfHour(at)",
        "toStartOfInterval(at, INTERVAL 6 HOUR)",
        "toStartOfDay(at)",
        "toDateTime(toMonday(at))",
        "dateTrunc('day', at)",
    ] {
        let scene = with_view(&format!(
            "SELECT {key} AS at, '' AS k, count() AS n, avg(value) AS mean FROM {{db}}.source GROUP BY {}",
            if key.starts_with("toDateTime") { "toMonday(source.at)" } else { "at" }
        ));
        let plan = scene.replay_program(&["v"], &["--chunk-bytes", "16K"]).run();
        assert_eq!(plan.code(), Some(0), "{key}: {plan}");
        let plan = plan.json();
        assert!(plan["chunks"].as_u64() > Some(2), "{key}: {plan}");
        run(&scene, &plan);
        scene.assert_replayed(&["v"], "t", ROWS);
    }
}

#[test]
fn a_window_of_a_view_is_what_the_view_makes_of_these_rows() {
    let scene = with_view(
        "SELECT toStartOfHour(source.at) AS at, k, count() AS n, avg(value) AS mean FROM {db}.source GROUP BY at, k",
    );
    let window = ["--from", "2024-10-26", "--to", "2024-10-29", "--chunk-hours", "5"];
    let plan = scene.replay(&["v"], &window);
    assert!(plan["chunks"].as_u64() >= Some(14), "{plan}");
    let rows = |from: &str| {
        scene.admin.rows(&format!(
            "SELECT count(), sum(n), sum(cityHash64(at, k, n, mean)) FROM (SELECT toDateTime(at) AS at, k, n, mean FROM {from})"
        ))
    };
    let whole = format!(
        "(SELECT toStartOfHour(s.at) AS at, k, count() AS n, avg(value) AS mean FROM {}.source AS s \
         WHERE toDate(s.at) BETWEEN '2024-10-26' AND '2024-10-28' GROUP BY at, k)",
        scene.db
    );
    assert_eq!(rows(&format!("{}.t", scene.db)), rows(&whole));
}

#[test]
fn a_window_that_would_divide_groups_is_one_chunk_or_refused() {
    let scene = with_view(
        "SELECT min(source.at) AS at, k, count() AS n, avg(value) AS mean FROM {db}.source GROUP BY k",
    );
    let ends = ["--since", "2024-10-02", "--until", "2024-10-12"];
    let small = [&ends[..], &["--chunk-bytes", "1K"]].concat();
    let refused = scene.replay_program(&["v"], &small).run().exits_with(2);
    refused.says(&["cannot be replayed in pieces", "groups by k"]);
    let plan = scene.replay(&["v"], &ends);
    assert_eq!((&plan["chunks"], &plan["rows"]), (&1.into(), &1440.into()), "{plan}");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.t", scene.db)), 7);
}
