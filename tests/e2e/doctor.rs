//! `doctor`: what it finds, in words that say what to do.

use longshore_shared::faults;
use longshore_tests::{Finished, Format, Proxy, Scene, wait_for};
use serde_json::Value;

/// A problem was found.
const PROBLEM: i32 = 8;

fn doctor<'a>(scene: &Scene, args: impl IntoIterator<Item = &'a str>) -> Finished {
    scene.longshore(["doctor", "--json"]).args(args).run()
}

/// The findings of a check.
fn findings(said: &Finished, check: &str) -> Vec<Value> {
    let all = said.json()["checks"].as_array().expect("checks").clone();
    all.into_iter().filter(|finding| finding["check"] == check).collect()
}

/// The one finding of a check.
fn finding(said: &Finished, check: &str) -> Value {
    let found = findings(said, check);
    let [one] = found.as_slice() else { panic!("{check}: {found:?}\n{said}") };
    one.clone()
}

fn has(finding: &Value, level: &str, message: &str, remedy: &str) {
    assert_eq!(finding["level"], level, "{finding}");
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    assert!(text("message").contains(message), "`{message}` in {finding}");
    assert!(text("remedy").contains(remedy), "`{remedy}` in {finding}");
}

#[test]
fn a_healthy_installation() {
    let scene = Scene::with_events(1, 10);
    let target = format!("{}.events", scene.db);
    let collection = scene.bed.collection.clone();
    let args = ["--target", &target, "--named-collection", &collection];
    let said = doctor(&scene, args).exits_with(0);
    let checks: Vec<String> = said.json()["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|finding| finding["check"].as_str().expect("a name").to_owned())
        .collect();
    for check in [
        "server",
        "version",
        "clock",
        "keeper",
        "control tables",
        "views",
        "parts",
        "grants",
        "named collection",
        "disk",
        "merges",
        "staging",
        "worker rows",
        "task rows",
        "queries",
    ] {
        assert!(checks.iter().any(|name| name == check), "{check} in {checks:?}");
    }
    // The machine's disk may be nearly full, and the version may be told of; the rest is well.
    for finding in said.json()["checks"].as_array().expect("checks") {
        let may_warn = ["version", "disk", "merges"];
        let check = finding["check"].as_str().expect("a name");
        assert!(finding["level"] == "ok" || may_warn.contains(&check), "{finding}\n{said}");
    }
    // The bed's own list of grants (scripts/lib/testbed/grants.py) holds both roles.
    assert_eq!(findings(&said, "grants").len(), 2, "{said}");
    has(&finding(&said, "views"), "ok", "3 tables, 2 views", "");
    assert_eq!(said.json()["graph"]["views"][1]["fills"]["engine"], "SummingMergeTree", "{said}");
    let text = scene.longshore(["doctor"]).args(args).run().ok();
    let target_line = format!("{target}  MergeTree");
    text.says(&["ok       keeper", &target_line, "└─ ", "daily_mv → ", "SummingMergeTree"]);
}

#[test]
fn a_server_without_keeper_map_and_one_that_is_away() {
    let scene = Scene::new();
    let proxy = Proxy::without_keeper_map(&scene.bed.clickhouse_url);
    let never = format!("{}_never", scene.control);
    let at = |url: &str| {
        let program = scene.longshore(["doctor", "--json"]).env("LONGSHORE_DATABASE", &never);
        let program = program.env("CLICKHOUSE_USER", "default").env("CLICKHOUSE_PASSWORD", "");
        program.env("CLICKHOUSE_URL", url).run()
    };
    let said = at(&proxy.url()).exits_with(PROBLEM);
    has(&finding(&said, "keeper"), "problem", "KeeperMap is not configured", "<clickhouse>");
    has(&finding(&said, "control tables"), "problem", &never, "longshore init");

    let said = at(&scene.bed.clickhouse_url).exits_with(PROBLEM);
    has(&finding(&said, "keeper"), "ok", "can be made, written and read", "");
    let left = "SELECT count() FROM system.databases WHERE startsWith(name, 'longshore_doctor_')";
    wait_for("the probe leaves nothing", || (scene.admin.number(left) == 0).then_some(()));

    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", free.local_addr().expect("its address"));
    drop(free);
    let said = at(&nobody).exits_with(PROBLEM);
    has(&finding(&said, "server"), "problem", &nobody, "CLICKHOUSE_URL");
}

#[test]
fn what_cannot_be_staged_is_named_all_at_once() {
    let scene = Scene::with_events(1, 10);
    for name in ["hourly", "weekly"] {
        scene.create(&format!(
            "CREATE MATERIALIZED VIEW {{db}}.{name} REFRESH EVERY 1 YEAR ENGINE = MergeTree ORDER BY tuple() EMPTY AS
             SELECT count() AS rows FROM {{db}}.events;\n"
        ));
    }
    let said = doctor(&scene, ["--target", &format!("{}.events", scene.db)]).exits_with(PROBLEM);
    let found = findings(&said, "views");
    assert_eq!(found.len(), 2, "{said}");
    let texts = format!("{found:?}");
    assert!(texts.contains("hourly") && texts.contains("weekly"), "{said}");
    has(&found[0], "problem", "refreshable", "--ignore-view");
}

#[test]
fn a_task_whose_worker_died_and_nobody_is_there() {
    let scene = Scene::with_events(2, 100);
    let job = scene.submit(&[]);
    let said = doctor(&scene, [job.as_str()]).exits_with(PROBLEM);
    let remedy = format!("longshore-worker --job {job}");
    has(&finding(&said, "workers"), "problem", "no worker is running", &remedy);

    let dead = scene.worker(&job).faults(format!("{}=exit", faults::LOAD_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    let said = wait_for("its lease has lapsed", || {
        let said = doctor(&scene, [job.as_str()]);
        (said.json()["tasks"][0]["lapsed"] == true).then_some(said)
    });
    let task = finding(&said, "task");
    has(&task, "problem", "is being loaded by worker", &remedy);
    has(&task, "problem", "whose heartbeat stopped", "no worker is running");
    assert_eq!(task["subject"], format!("{job}-0000000"));

    let worker = scene.worker(&job).faults("load.after=sleep(600000)");
    let worker = worker.env("LONGSHORE_LEASE", "300s").spawn();
    let said = wait_for("another has it", || {
        let said = doctor(&scene, [job.as_str()]);
        (said.code() == Some(0) && said.json()["tasks"][0]["lapsed"] == false).then_some(said)
    });
    has(&finding(&said, "workers"), "ok", "1 worker alive, 1 task in hand", "");
    has(&finding(&said, "task"), "ok", "heartbeat", "");
    drop(worker);
}

#[test]
fn a_failed_task_names_its_file_and_a_quarantined_one_its_evidence() {
    let scene = Scene::with_events(0, 0);
    scene.put_rows("good.csv", 5, Format::Csv);
    scene.put_bytes(
        "broken.csv",
        b"file,n,day,kind,value,checksum\n\"x\",no number,2024-01-01,a,1,1\n",
    );
    let args = ["--format", "CSVWithNames", "--chunk-files-max", "1"];
    let structure = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
    let job = scene.submit(&[&args[..], &["--structure", structure]].concat());
    scene.worker(&job).run();
    let said = doctor(&scene, [job.as_str()]).exits_with(PROBLEM);
    has(&finding(&said, "job"), "problem", "1 failed, 0 quarantined", "longshore tasks");
    let task = finding(&said, "task");
    has(&task, "problem", "broken.csv", "longshore retry");
    let id = task["subject"].as_str().expect("a task").to_owned();
    has(&task, "problem", "nothing of it is in the target", &format!("longshore task {id}"));

    let scene = Scene::with_events(2, 100);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults(format!("{}=exit", faults::MOVE_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    scene.admin.run(&format!("RENAME TABLE {db}.daily TO {db}.daily_old", db = scene.db));
    scene.admin.run(&format!("CREATE TABLE {db}.daily AS {db}.daily_old", db = scene.db));
    scene.worker(&job).run();
    let said = doctor(&scene, [job.as_str()]).exits_with(PROBLEM);
    let task = finding(&said, "task");
    has(&task, "problem", "could not be proved", "Load nothing of it again");
    has(&task, "problem", "was replaced by another table", "longshore task");
}

#[test]
fn a_paused_job_says_what_it_waits_for() {
    let scene = Scene::with_events(2, 10);
    let job = scene.submit(&[]);
    scene.admin.run(&format!("ALTER TABLE {}.events ADD COLUMN extra UInt8", scene.db));
    scene.worker(&job).run();
    let said = doctor(&scene, [job.as_str()]).exits_with(PROBLEM);
    has(&finding(&said, "job"), "problem", "altered", &format!("longshore resume {job}"));
    has(&finding(&said, "views"), "problem", "altered", "undo the change");
}
