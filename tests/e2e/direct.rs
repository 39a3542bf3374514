//! `--mode direct`: inserts into the target itself, as good as the target's deduplication.

use longshore_shared::faults;
use longshore_tests::Scene;

/// A target that remembers the tokens of its last inserts, with a view.
const REMEMBERS: &str = "
CREATE TABLE {db}.events
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (kind, file, n)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE TABLE {db}.daily (day Date, kind String, events UInt64, value UInt64)
ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW {db}.daily_mv TO {db}.daily AS
SELECT day, kind, count() AS events, sum(value) AS value FROM {db}.events GROUP BY day, kind;
";

const DIRECT: [&str; 2] = ["--mode", "direct"];

/// Rows of two inserts in `source`, and a target that remembers tokens.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.create(REMEMBERS);
    scene.create(longshore_tests::SOURCE);
    for file in ["a.parquet", "b.parquet"] {
        scene.put_source(file, 1_000);
    }
    scene
}

fn assert_exact(scene: &Scene) {
    scene.assert_rows("events");
    scene.assert_view("daily_mv");
}

#[test]
fn a_direct_copy_is_exact_and_says_what_it_promises() {
    let scene = scene();
    let planned = scene.copy_program("source", "events", &DIRECT).run().ok();
    let plan = planned.json();
    let notes = plan["notes"].to_string();
    assert!(notes.contains("weaker than staged"), "{notes}");
    assert!(notes.contains("last 1000 blocks"), "{notes}");
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    assert_exact(&scene);
    scene.assert_clean(id);
    let said = scene.longshore(["doctor", id, "--json"]).run().ok();
    assert!(said.json()["checks"].to_string().contains("weaker than staged"), "{said}");
}

#[test]
fn a_direct_load_of_files_is_exact() {
    let scene = scene();
    let id = scene.plan(&DIRECT);
    scene.longshore(["run", &id, "--workers", "2"]).run().ok();
    assert_exact(&scene);
}

#[test]
fn a_worker_that_dies_after_its_insert_doubles_nothing() {
    for point in [faults::LOAD_AFTER, faults::MANIFEST_AFTER, faults::RECEIPT_AFTER] {
        let scene = scene();
        let job = scene.submit_copy(&DIRECT);
        let dead = scene.worker(&job).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{}: {dead}", point.0);
        scene.finish(&job);
        assert_eq!(scene.status(&job)["state"], "completed", "{}", point.0);
        assert_exact(&scene);
    }
}

#[test]
fn an_insert_whose_answer_is_lost_is_not_sent_again() {
    let scene = scene();
    let job = scene.submit_copy(&DIRECT);
    scene.worker(&job).faults("answer.load=1*error").run();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_exact(&scene);
}

#[test]
fn a_chunk_that_is_inserted_again_after_its_source_was_merged_adds_nothing() {
    let scene = scene();
    for file in ["c.parquet", "d.parquet", "e.parquet"] {
        scene.put_source(file, 60_000);
    }
    let columns = "file, n, day, kind, value, checksum";
    let insert = |settings: &[(&str, &str)], order: &str| {
        let settings: Vec<String> =
            settings.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        let (db, settings) = (&scene.db, settings.join(", "));
        scene.admin.run(&format!(
            "INSERT INTO {db}.events ({columns}) SELECT {columns} FROM {db}.source {order} \
             SETTINGS {settings}, insert_deduplication_token = 'chunk'"
        ));
        scene.admin.number(&format!("SELECT count() FROM {db}.events"))
    };
    let direct = longshore_shared::source::DIRECT_SETTINGS;
    assert_eq!(insert(&direct, "ORDER BY ALL"), 182_000);
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
    assert_eq!(insert(&direct, "ORDER BY ALL"), 182_000);
    assert_exact(&scene);
    // Without the order the server does not even try.
    assert_eq!(insert(&direct, ""), 364_000);
}

#[test]
fn a_target_that_remembers_nothing_is_refused_with_the_way_out() {
    let scene = Scene::with_source(1, 10);
    let said = scene.copy_program("source", "events", &DIRECT).run().exits_with(2);
    said.says(&["does not deduplicate", "--mode staged", "MODIFY SETTING"]);
}

#[test]
fn a_target_that_cannot_be_staged_is_loaded_and_called_at_least_once() {
    let scene = Scene::new();
    scene.create(longshore_tests::SOURCE);
    scene.put_source("a.parquet", 500);
    scene.create(
        "CREATE TABLE {db}.kept (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64) \
         ENGINE = Memory;",
    );
    let staged = scene.copy_program("source", "kept", &[]).run().exits_with(2);
    staged.says(&["cannot be staged"]);
    let planned = scene.copy_program("source", "kept", &DIRECT).run().ok();
    assert!(planned.json()["notes"].to_string().contains("at least once"), "{planned}");
    let id = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id]).run().ok();
    scene.assert_rows("kept");
}

#[test]
fn a_null_table_feeds_its_views() {
    let scene = Scene::new();
    scene.create(longshore_tests::SOURCE);
    scene.put_source("a.parquet", 500);
    scene.create(
        "CREATE TABLE {db}.events (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64) \
         ENGINE = Null;
         CREATE MATERIALIZED VIEW {db}.kept ENGINE = MergeTree ORDER BY n AS SELECT * FROM {db}.events;",
    );
    let planned = scene.copy_program("source", "events", &DIRECT).run().ok();
    let id = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id]).run().ok();
    scene.assert_rows("kept");
}
