//! Answers and requests that get lost between a worker and the server: the outcome is unknown, and
//! it is found out, never guessed.

use std::sync::atomic::{AtomicU32, Ordering};

use longshore_tests::{LONG_LEASE, Proxy, Scene, Verdict, drawn_few, long_or};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Mutex;

use crate::crashes::settle;

/// Loads through a proxy that treats the first requests with these words in a special way.
fn with_lost(words: &'static str, times: u32, verdict: Verdict) -> (Scene, String) {
    let (files, chunk) = long_or((2, "1"), (4, "2"));
    let scene = Scene::with_events(files, 300);
    let job = scene.submit(&["--chunk-files-max", chunk]);
    let seen = std::sync::Arc::new(AtomicU32::new(0));
    let counted = seen.clone();
    let what = format!("{verdict:?} of {words}");
    let proxy = Proxy::start(&scene.bed.clickhouse_url, move |request| {
        let is_one = request.contains(words) && counted.fetch_add(1, Ordering::Relaxed) < times;
        if is_one { verdict.clone() } else { Verdict::Pass }
    });
    // Nobody may take over because the machine is busy: then a load would rightly be sent again.
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
    worker.env("CLICKHOUSE_URL", proxy.url()).run();
    assert!(seen.load(Ordering::Relaxed) >= times, "{what}: no such request");
    settle(&scene, &job, &what);
    (scene, job)
}

#[test]
fn the_answer_of_a_load_is_lost() {
    let (scene, job) = with_lost("INSERT INTO `longshore_s", 1, Verdict::LoseAnswer);
    assert_eq!(scene.loads(&job), 2, "what was loaded is not loaded again");
}

#[test]
fn the_request_of_a_load_is_lost() {
    with_lost("INSERT INTO `longshore_s", 1, Verdict::LoseRequest);
}

#[test]
fn the_answer_of_a_move_is_lost() {
    let (scene, job) = with_lost("MOVE PARTITION", 3, Verdict::LoseAnswer);
    assert_eq!(scene.loads(&job), 2, "a task that publishes is not loaded again");
}

#[test]
fn the_request_of_a_move_is_lost() {
    with_lost("MOVE PARTITION", 3, Verdict::LoseRequest);
}

#[test]
fn the_answer_of_a_change_of_a_task_is_lost() {
    with_lost(".tasks", 4, Verdict::LoseAnswer);
}

#[test]
fn the_request_of_a_change_of_a_task_is_lost() {
    with_lost(".tasks", 4, Verdict::LoseRequest);
}

#[test]
fn a_change_of_a_task_that_was_applied_answers_bad_version() {
    // What Keeper's own retry can make of a success (FAULTS F6): here the request is lost instead,
    // so the answer is the truth, and the worker must not take it for one.
    let text = "Code: 999. DB::Exception: Transaction failed (Bad version). (KEEPER_EXCEPTION)";
    with_lost(".cursors\nUPDATE", 3, Verdict::Answer(500, text.to_owned()));
    with_lost(".tasks\nUPDATE", 1, Verdict::LoseAnswer);
}

#[test]
fn answers_about_staging_tables_are_lost() {
    for words in drawn_few(&["CREATE TABLE", "CREATE MATERIALIZED VIEW", "DROP"], 1) {
        with_lost(words, 2, Verdict::LoseAnswer);
    }
}

#[test]
fn answers_about_receipts_and_cursors_are_lost() {
    for words in drawn_few(&["receipts", ".cursors", "workers"], 1) {
        with_lost(words, 2, Verdict::LoseAnswer);
    }
}

#[test]
fn one_answer_in_ten_is_lost() {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    let rng = Mutex::new(StdRng::seed_from_u64(seed));
    let scene = Scene::with_events(6, 200);
    // One run in forty needs more than the usual five attempts for one of its tasks.
    let job = scene.submit(&["--chunk-files-max", "1", "--attempts-max", "100"]);
    let proxy = Proxy::start(&scene.bed.clickhouse_url, move |_| {
        match rng.lock().expect("no panic").random_range(0..20) {
            0 => Verdict::LoseAnswer,
            1 => Verdict::LoseRequest,
            _ => Verdict::Pass,
        }
    });
    let worker = || scene.worker(&job).env("CLICKHOUSE_URL", proxy.url());
    for running in [worker().spawn(), worker().spawn()] {
        running.wait();
    }
    settle(&scene, &job, &format!("seed {seed}"));
}
