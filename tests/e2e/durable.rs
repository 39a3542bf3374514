//! `--durable`: where it is said, shown and asked for. What it does is shown by `crash/power.rs`.

use std::collections::BTreeMap;

use longshore_tests::{
    CLICKHOUSE, Format, LONG_LEASE, OwnBed, PartFolders, Scene, send_signal, wait_for,
};

/// The user asked for something that cannot be.
const USAGE: i32 = 2;
const SYNC: &str = "SYSTEM SYNC FILE CACHE";

#[test]
fn a_durable_plan_is_another_one_and_is_shown_everywhere() {
    let scene = Scene::with_events(2, 100);
    let usual = scene.plan(&[]);
    std::fs::write(scene.folder().join("longshore.toml"), "[server]\ndurable = true\n")
        .expect("a writable folder");
    let durable = scene.plan(&[]);
    assert_ne!(usual, durable, "what a plan promises belongs to its identity");
    assert_eq!(scene.plan(&["--durable=false"]), usual, "the flag wins over the file");
    assert_eq!(scene.plan(&["--durable"]), durable);
    scene.longshore(["plan", "show", &durable]).run().ok().says(&["durable   yes"]);
    let shown = scene.longshore(["plan", "show", &usual]).run().ok();
    assert!(!shown.stdout.contains("durable"), "{shown}");
    scene.longshore(["plan", "diff", &usual, &durable]).run().says(&["durable"]);
    scene.longshore(["submit", &durable, "--dry-run"]).run().ok().says(&["--durable"]);
    let control = &scene.control;
    let formats = scene.admin.column(&format!("SELECT format FROM {control}.jobs ORDER BY format"));
    assert_eq!(formats, ["5", "5"], "workers of an older version leave both alone");
    scene.longshore(["run", &durable, "--workers", "2"]).run().ok();
    scene.longshore(["status", &durable]).run().ok().says(&["events, durable"]);
    let doctor = scene.longshore(["doctor", &durable]).run().ok();
    doctor.says(&["its tables hold every part that its receipts name"]);
    scene.assert_exact();
    scene.assert_receipts(&durable);
    scene.assert_clean(&durable);
}

#[test]
fn who_may_not_sync_is_told_the_grant_by_the_plan_and_by_the_paused_job() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(2, 100);
    let job = scene.plan(&["--durable"]);
    let of_role = |role: &str| -> Vec<String> {
        let printed =
            scene.longshore(["doctor", &job, "--grants", "--role", role, "--to", "U", "--json"]);
        let printed = printed.run().ok().json();
        let grants = printed["roles"][0]["grants"].as_array().expect("grants").clone();
        let statement = |grant: &serde_json::Value| {
            let text = grant["statement"].as_str().expect("a statement");
            text.strip_suffix(" TO U;").expect("TO").to_owned()
        };
        grants.iter().map(statement).collect()
    };
    let mut users = BTreeMap::new();
    for role in ["planner", "worker"] {
        let all = of_role(role);
        let without: Vec<String> =
            all.iter().filter(|text| !text.contains(SYNC)).cloned().collect();
        assert_eq!(without.len() + 1, all.len(), "{role} needs {SYNC}: {all:?}");
        users.insert(format!("u_{role}_all"), all);
        users.insert(format!("u_{role}"), without);
    }
    bed.set_users(&users);
    let grant = format!("GRANT {SYNC} ON *.* TO");
    let plan = |user: &str| {
        let program = scene.plan_program("events", "*", &["--durable", "--again", user]);
        program.env("CLICKHOUSE_USER", user).run()
    };
    plan("u_planner").exits_with(USAGE).says(&[&format!("{grant} u_planner;"), "--durable=false"]);
    plan("u_planner_all").ok();
    // The plan was made by somebody else: the worker says what its own user lacks.
    scene.longshore(["submit", &job]).run().ok();
    let work = |user: &str| {
        scene.worker(&job).env("CLICKHOUSE_USER", user).env("LONGSHORE_LEASE", LONG_LEASE).run()
    };
    work("u_worker");
    let status = scene.status(&job);
    assert_eq!(status["state"], "paused");
    assert!(status["reason"].as_str().unwrap_or_default().contains(SYNC), "{status}");
    let receipts = format!("SELECT count() FROM {}.receipts", scene.control);
    assert_eq!(scene.admin.number(&receipts), 0, "no receipt without a sync");
    scene.longshore(["resume", &job]).run().ok();
    work("u_worker_all").ok();
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.assert_exact();
}

#[test]
fn receipts_of_an_earlier_version_get_their_columns_by_init() {
    let scene = Scene::with_events(3, 100);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let receipts = format!("{}.receipts", scene.control);
    // One task was done by a program that did not write names.
    scene.worker(&job).faults("done.after=1*exit").run();
    scene.admin.run(&format!(
        "ALTER TABLE {receipts} DROP COLUMN part_names, DROP COLUMN taken_at, DROP COLUMN part_rows SETTINGS alter_sync = 2"
    ));
    let refused = scene.longshore(["status"]).run().exits_with(USAGE);
    refused.says(&["were made by an earlier version", "longshore init"]);
    let admin = |args: [&str; 1]| {
        scene.longshore(args).env("CLICKHOUSE_USER", "default").env("CLICKHOUSE_PASSWORD", "")
    };
    admin(["init"]).run().ok();
    // Workers of the earlier version write receipts without these columns.
    let optional = format!(
        "SELECT count() FROM system.columns WHERE database = '{}' AND table = 'receipts' \
         AND name IN ('part_names', 'taken_at', 'part_rows') AND default_kind = 'DEFAULT'",
        scene.control
    );
    assert_eq!(scene.admin.number(&optional), 3);
    scene.sign_all_off();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    let named = |condition: &str| {
        scene.admin.number(&format!(
            "SELECT count() FROM {receipts} FINAL WHERE job_id = '{job}' AND {condition}"
        ))
    };
    assert_eq!(named("empty(part_names)"), 3, "those of the first task, a table each");
    assert_eq!(named("length(part_names) = length(part_uuids) AND NOT has(part_names, '')"), 6);
    scene.assert_exact();
    scene.longshore(["init"]).run().ok();
}

#[test]
fn parts_that_a_ttl_emptied_are_no_loss() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed);
    scene.create(
        "CREATE TABLE {db}.events (file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64) \
         ENGINE = MergeTree PARTITION BY file ORDER BY n TTL day + INTERVAL 1 DAY \
         SETTINGS merge_with_ttl_timeout = 0, old_parts_lifetime = 1, cleanup_delay_period = 1, \
         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0;\n",
    );
    scene.put_rows("a.parquet", 100, Format::Parquet);
    scene.put_rows("b.parquet", 100, Format::Parquet);
    let job = scene.submit(&["--chunk-files-max", "1", "--durable"]);
    // One task was done when the server expired its rows and was started again.
    scene.worker(&job).args(["--slots", "1"]).faults("done.after=1*exit").run();
    let parts = format!(
        "SELECT count() FROM system.parts WHERE database = '{}' AND table = 'events'",
        scene.db
    );
    wait_for("the expired part is gone", || (scene.admin.number(&parts) == 0).then_some(()));
    // The receipt is older than the start by more than its margin of two seconds.
    std::thread::sleep(std::time::Duration::from_secs(3));
    bed.restart(CLICKHOUSE);
    scene.admin.run(&format!("SYSTEM STOP TTL MERGES {}.events", scene.db));
    scene.sign_all_off();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed", "{}", scene.status(&job));
    scene.longshore(["doctor", &job]).run().says(&["its TTL or its engine may have emptied"]);
}

#[test]
fn a_part_that_is_lost_after_the_audit_fails_the_job() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(2, 300);
    // The part that is cut is one that a receipt names.
    scene.admin.run("SYSTEM STOP MERGES");
    let job = scene.submit(&[]);
    let gate = scene.folder().join("gate");
    let wait = format!("finish.audited=1*until({})->off", gate.display());
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).faults(wait).spawn();
    wait_for("the job is audited", || worker.words().contains("until(").then_some(()));
    let folders = PartFolders::of(&scene);
    bed.signal(CLICKHOUSE, "KILL");
    assert!(folders.cut_a_part(0), "the tables have parts");
    bed.restart(CLICKHOUSE);
    std::fs::write(&gate, "").expect("a writable folder");
    wait_for("the job is closed", || (scene.status(&job)["state"] != "running").then_some(()));
    let status = scene.status(&job);
    assert_eq!(status["state"], "failed", "{status}");
    assert!(
        status["reason"].as_str().is_some_and(|words| words.contains("has lost 1 part")),
        "{status}"
    );
}

#[test]
fn a_direct_insert_beside_which_the_server_was_started_again_fails_its_task() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed);
    scene.create(
        "CREATE TABLE {db}.events (file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64) \
         ENGINE = MergeTree ORDER BY (file, n) SETTINGS non_replicated_deduplication_window = 1000;\n",
    );
    scene.put_rows("a.parquet", 100, Format::Parquet);
    let job = scene.submit(&["--mode", "direct", "--durable"]);
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
    let point = "send.sync_disks";
    let mut worker = worker.faults(format!("{point}=1*sleep(2000)")).spawn();
    wait_for(point, || (worker.words().contains(point) || worker.has_ended()).then_some(()));
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
    worker.wait();
    assert_eq!(scene.status(&job)["state"], "failed");
    let told = scene.longshore(["tasks", &job, "--state", "failed"]).run().ok();
    told.says(&["server was started again"]);
    let receipts = format!("SELECT count() FROM {}.receipts", scene.control);
    assert_eq!(scene.admin.number(&receipts), 0, "no receipt of rows that may be gone");
}
