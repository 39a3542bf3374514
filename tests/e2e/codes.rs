//! Errors of the server in every position of a task: each is treated as the policy table says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_shared::clickhouse::{Code, Failure, Policy, policy};
use longshore_tests::{LONG_LEASE, Proxy, Scene, Verdict};

const CODES: [Code; 8] = [
    Code::TIMEOUT_EXCEEDED,
    Code::TOO_MANY_SIMULTANEOUS_QUERIES,
    Code::MEMORY_LIMIT_EXCEEDED,
    Code::TABLE_IS_READ_ONLY,
    Code::TOO_MANY_PARTS,
    Code::UNKNOWN_STATUS_OF_INSERT,
    Code::QUERY_WAS_CANCELLED,
    Code::KEEPER_EXCEPTION,
];

const FILES: usize = 3;

/// Each code once, at the first requests with these words; the history says what came of each.
fn at(words: &'static str, is_before_publishing: bool) {
    let scene = Scene::with_events(FILES, 100);
    let job = scene.submit(&["--chunk-files-max", "1", "--attempts-max", "20"]);
    let met = Arc::new(AtomicUsize::new(0));
    let seen = met.clone();
    let proxy = Proxy::start(&scene.bed.clickhouse_url, move |request| {
        if !request.contains(words) {
            return Verdict::Pass;
        }
        let code = CODES.get(seen.fetch_add(1, Ordering::Relaxed));
        code.map_or(Verdict::Pass, |code| Verdict::Answer(500, said(*code)))
    });
    let worker = scene.worker(&job).env("CLICKHOUSE_URL", proxy.url());
    let ended = worker.env("LONGSHORE_LEASE", LONG_LEASE).run();
    assert!(met.load(Ordering::Relaxed) >= CODES.len(), "too few requests of {words}\n{ended}");

    let tasks = scene.tasks();
    if is_before_publishing {
        for code in CODES {
            let expected = match policy(&Failure::server("test", code, &said(code))) {
                Policy::Outage => "interrupted",
                Policy::Retry | Policy::RetrySmaller => "retried",
                Policy::FailTask => "failed",
                Policy::InDoubt | Policy::StopJob => "handed back",
            };
            let events = scene.admin.column(&format!(
                "SELECT event FROM {}.attempts WHERE job_id = '{job}' AND message LIKE '%Code: {}.%'",
                scene.control,
                i32::from(code)
            ));
            assert_eq!(events, [expected], "{code:?} at {words}");
        }
    }
    for task in tasks.0.iter().filter(|task| task.state != "done") {
        assert_eq!(task.state, "failed", "{words}: {task:?}");
        // Nothing of a failed task is anywhere.
        let files = (0..FILES).map(|file| format!("events-{file:03}.parquet"));
        let file = files.into_iter().find(|file| task.error.contains(file));
        scene.forget(&file.unwrap_or_else(|| panic!("no file is named: {task:?}")));
    }
    assert_eq!(tasks.count("failed"), usize::from(is_before_publishing), "{words}: {tasks:?}");
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let loads = scene.admin.number(&format!(
        "SELECT count() FROM system.query_log WHERE startsWith(query_id, '{job}-') \
         AND type = 'QueryStart' AND query_kind = 'Insert'"
    ));
    let done = u64::try_from(tasks.count("done")).expect("a few");
    assert_eq!(loads, done, "{words}: each is loaded once");
    scene.assert_exact();
    scene.assert_receipts(&job);
    scene.assert_clean(&job);
}

/// The server's words for a code.
fn said(code: Code) -> String {
    let (number, name) = (i32::from(code), code.name());
    format!("Code: {number}. DB::Exception: planted. ({name}) (version 26.7.2.1)")
}

#[test]
fn a_load() {
    at("INSERT INTO `longshore_s", true);
}

#[test]
fn a_staging_table() {
    at("CREATE TABLE", true);
}

#[test]
fn a_move() {
    at("MOVE PARTITION", false);
}

#[test]
fn a_change_of_a_task() {
    at(".tasks\nUPDATE", false);
}

#[test]
fn a_receipt() {
    // With the quotes of an insert: a look for earlier receipts comes before the load.
    at("`receipts`", false);
}
