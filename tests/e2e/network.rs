//! The network between worker and server, byte by byte: slow, cut, silent, and answers that lie.
//!
//! What a load does in the server is asked of the server (`system.query_log`), never of a worker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{End, Flow, LONG_LEASE, Scene, Toxics, Wire, drawn_few};

use crate::crashes::settle;

/// The bytes that only the request of a load holds.
const LOAD: &str = "INSERT INTO `longshore_s";
const MOVE: &str = "MOVE PARTITION";
/// The bytes that only a change of a task's row holds.
const CHANGE: &str = ".tasks\nUPDATE";

/// Rows of a file, and a condition that makes its load take longer than [`CUT`].
const SLOW_ROWS: u64 = 280;
const SLOW: &str = "sleepEachRow(0.01) = 0";
const CUT: Duration = Duration::from_secs(2);

/// A worker that reaches the server through the wire, with a lease that outlives every fault.
fn worker(scene: &Scene, job: &str, wire: &Wire) -> longshore_tests::Program {
    scene.worker(job).env("CLICKHOUSE_URL", wire.url()).env("LONGSHORE_LEASE", LONG_LEASE)
}

/// Loads of a job that the server began, and how many milliseconds the shortest of them took.
fn loads(scene: &Scene, job: &str) -> (u64, u64) {
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let rows = scene.admin.rows(&format!(
        "SELECT countIf(type = 'QueryStart'), \
         minIf(query_duration_ms, type != 'QueryStart') FROM system.query_log \
         WHERE startsWith(query_id, '{job}-') AND query_kind = 'Insert'"
    ));
    let number = |text: &str| text.parse().expect("a number");
    (number(&rows[0][0]), number(&rows[0][1]))
}

fn ending(end: End, only: &str, times: u32) -> Toxics {
    Toxics { end: Some(end), only: only.to_owned(), times, ..Toxics::default() }
}

/// Every load takes longer than what stands between worker and server lets it.
fn slow_loads(end: End) {
    let scene = Scene::with_events(2, SLOW_ROWS);
    let job = scene.submit(&["--chunk-files-max", "1", "--where", SLOW]);
    let wire = Wire::start(&scene.bed.clickhouse_url);
    wire.set(ending(end.clone(), LOAD, 0));
    worker(&scene, &job, &wire).run().ok();
    assert_eq!(wire.ends(), 2, "{end:?}: every load met it");
    let (begun, shortest) = loads(&scene, &job);
    assert!(u128::from(shortest) > CUT.as_millis(), "{end:?}: a load took {shortest} ms only");
    assert_eq!(begun, 2, "{end:?}: a load that goes on is not sent again");
    for task in scene.tasks().0 {
        assert_eq!((task.state.as_str(), task.epoch, task.attempts), ("done", 1, 1), "{task:?}");
    }
    settle(&scene, &job, &format!("{end:?}"));
}

#[test]
fn a_load_that_is_cut_at_two_seconds_goes_on_and_is_not_sent_again() {
    slow_loads(End::Cut(CUT));
}

#[test]
fn a_gateway_that_gives_up_does_not_make_a_load_start_again() {
    slow_loads(End::Gateway(CUT));
}

#[test]
fn answers_that_are_cut_anywhere_are_found_out() {
    // Within the status line, the headers, and the last byte before the body's end.
    thread::scope(|scope| {
        for bytes in [0, 9, 200, 600] {
            scope.spawn(move || {
                let scene = Scene::with_events(2, 200);
                let job = scene.submit(&["--chunk-files-max", "1"]);
                let wire = Wire::start(&scene.bed.clickhouse_url);
                for only in [LOAD, MOVE, CHANGE] {
                    wire.set(ending(End::CutReply(bytes), only, 2));
                    worker(&scene, &job, &wire).run();
                }
                let (begun, _) = loads(&scene, &job);
                assert_eq!(begun, 2, "cut after {bytes} bytes: a load was sent again");
                settle(&scene, &job, &format!("answers cut after {bytes} bytes"));
            });
        }
    });
}

#[test]
fn a_slow_network_loads_everything_once() {
    let jitter = Duration::from_millis(40);
    let flows = [
        Flow { slice: 5, ..Flow::default() },
        Flow { delay: jitter, jitter, ..Flow::default() },
        Flow { bytes_per_second: 16 * 1024, slice: 100, ..Flow::default() },
    ];
    thread::scope(|scope| {
        for flow in flows {
            scope.spawn(move || {
                let scene = Scene::with_events(2, 200);
                let job = scene.submit(&["--chunk-files-max", "1"]);
                let wire = Wire::seeded(&scene.bed.clickhouse_url, 3);
                wire.set(Toxics { up: flow.clone(), down: flow.clone(), ..Toxics::default() });
                worker(&scene, &job, &wire).run().ok();
                assert_eq!(loads(&scene, &job).0, 2, "{flow:?}");
                assert!(scene.tasks().0.iter().all(|task| task.epoch == 1), "{flow:?}");
                settle(&scene, &job, &format!("{flow:?}"));
            });
        }
    });
}

#[test]
fn a_coordinator_behind_a_slow_network_plans_and_submits() {
    let scene = Scene::with_events(1, 200);
    let wire = Wire::start(&scene.bed.clickhouse_url);
    let drip = Flow { bytes_per_second: 16 * 1024, slice: 3, ..Flow::default() };
    wire.set(Toxics { up: drip.clone(), down: drip, ..Toxics::default() });
    let planned = scene.plan_program("events", "*", &[]).env("CLICKHOUSE_URL", wire.url()).run();
    let job = planned.ok().json()["plan_id"].as_str().expect("a plan").to_owned();
    let run = scene.longshore(["run", &job, "--workers", "1"]).env("CLICKHOUSE_URL", wire.url());
    run.env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    settle(&scene, &job, "a slow coordinator");
}

#[test]
fn a_connection_that_falls_silent_is_given_up_and_the_query_id_tells() {
    // Half open before the request arrives, and after it. The bound of a load is the watch on the
    // server's own list of queries, that of every other statement is a minute.
    let faults = [
        (End::Mute, LOAD, 55),
        (End::Silent, LOAD, 80),
        (End::Mute, MOVE, 120),
        (End::Silent, CHANGE, 120),
    ];
    thread::scope(|scope| {
        for (end, only, seconds) in drawn_few(&faults, 2) {
            scope.spawn(move || {
                let what = format!("{end:?} at {only}");
                let scene = Scene::with_events(1, 200);
                let job = scene.submit(&[]);
                let wire = Wire::start(&scene.bed.clickhouse_url);
                wire.set(ending(end, only, 1));
                let begin = Instant::now();
                worker(&scene, &job, &wire).run().ok();
                let took = begin.elapsed().as_secs();
                assert_eq!(wire.ends(), 1, "{what}");
                assert!(took < seconds, "{what}: took {took} s");
                assert_eq!(loads(&scene, &job).0, 1, "{what}");
                settle(&scene, &job, &what);
            });
        }
    });
}

#[test]
fn connections_that_are_reset_again_and_again_delay_the_job_only() {
    let scene = Scene::with_events(6, 300);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let wire = Wire::start(&scene.bed.clickhouse_url);
    let mut running = worker(&scene, &job, &wire).spawn();
    let mut resets = 0;
    while !running.has_ended() && resets < 25 {
        thread::sleep(Duration::from_millis(150));
        wire.sever();
        wire.set(Toxics { refuse: resets % 5 == 4, ..Toxics::default() });
        resets += 1;
    }
    wire.set(Toxics::default());
    running.wait();
    settle(&scene, &job, &format!("{resets} resets"));
}

/// What this server really says when a statement fails after the status was sent, as raw bytes.
fn late_error(scene: &Scene) -> String {
    let address = scene.bed.clickhouse_url.trim_start_matches("http://").to_owned();
    let query =
        "SELECT sleepEachRow(0.05), throwIf(number = 4, 'too late') FROM numbers(6) FORMAT Null";
    let mut stream = TcpStream::connect(&address).expect("the server");
    write!(
        stream,
        "POST /?send_progress_in_http_headers=1&http_headers_progress_interval_ms=1&max_block_size=1 \
         HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{query}",
        query.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("too late"), "{answer}");
    answer
}

#[test]
fn an_error_under_status_200_is_never_a_success() {
    let late = late_error(&Scene::new());
    // As the server sends it, and as a gateway hands it on that knows none of its headers.
    let stripped: Vec<&str> =
        late.split("\r\n").filter(|line| !line.starts_with("X-ClickHouse-Exception")).collect();
    let page = longshore_tests::http_answer("200 OK", "text/html", "<h1>Please log in</h1>");
    let answers = [(late.clone(), true), (stripped.join("\r\n"), true), (page, false)];
    thread::scope(|scope| {
        for (answer, is_word_of_server) in answers {
            scope.spawn(move || {
                let scene = Scene::with_events(2, 200);
                let job = scene.submit(&["--chunk-files-max", "1", "--attempts-max", "9"]);
                let wire = Wire::start(&scene.bed.clickhouse_url);
                // Piece by piece: no chunk that arrives looks like an error by itself.
                let down = Flow { slice: 40, ..Flow::default() };
                wire.set(Toxics { down, ..ending(End::Answer(answer.clone()), LOAD, 1) });
                worker(&scene, &job, &wire).run();
                assert_eq!(wire.ends(), 1);
                let tasks = scene.tasks();
                if is_word_of_server {
                    // Code 395 is the word of the data: this task fails, with the server's words.
                    let failed = tasks.0.iter().find(|task| task.state == "failed");
                    let failed = failed.unwrap_or_else(|| panic!("{answer}\n{tasks:?}"));
                    assert!(failed.error.contains("too late"), "{failed:?}");
                    assert_eq!(tasks.count("done"), 1, "{tasks:?}");
                } else {
                    assert!(tasks.all("done"), "{tasks:?}");
                    settle(&scene, &job, "a page instead of an answer");
                }
                scene.assert_clean(&job);
            });
        }
    });
}
