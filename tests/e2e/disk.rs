//! A disk that gives errors in the middle of a MOVE: the server rolls it back, and nothing is lost.

use longshore_shared::faults;
use longshore_tests::{CLICKHOUSE, EVENTS, Format, OwnBed, Scene, Tracer, wait_for};

use crate::crashes::settle;

#[test]
fn a_move_that_fails_on_a_disk_error_loses_and_doubles_nothing() {
    let own = OwnBed::start();
    let scene = Scene::on(&own.bed);
    scene.create(&with_quick_cleanup(EVENTS));
    for file in 0..2 {
        scene.put_rows(&format!("events-{file:03}.parquet"), 500, Format::Parquet);
    }
    let job = scene.submit(&[]);
    let point = faults::MOVE_BEFORE.0;
    let worker = scene
        .worker(&job)
        .env("LONGSHORE_LEASE", longshore_tests::LONG_LEASE)
        .faults(format!("{point}=1*sleep(3000)"))
        .spawn();
    wait_for("the worker is about to move", || worker.words().contains(point).then_some(()));
    // However long the tracer needs.
    worker.signal("STOP");
    let tracer = Tracer::on_renames(own.pid(CLICKHOUSE), "error=EIO:when=1+2");
    worker.signal("CONT");
    wait_for("a move failed", || worker.words().contains("a move gave an error").then_some(()));
    drop(tracer);
    // Or the test would have looked at nothing.
    worker.wait().ok().says(&["a move was rolled back"]);
    settle(&scene, &job, "a disk error in a move");
}

/// What a failed MOVE leaves is cleared after seconds, not minutes, but not before it is looked at.
fn with_quick_cleanup(ddl: &str) -> String {
    let settings = "SETTINGS cleanup_delay_period = 6, max_cleanup_delay_period = 7";
    let end = |line: &str| line.contains("ORDER BY (").then(|| line.find(&[';'][..]));
    ddl.lines()
        .map(|line| match end(line) {
            Some(Some(at)) => format!("{} {settings};\n", &line[..at]),
            Some(None) => format!("{}\n", line.replace(" AS", &format!(" {settings} AS"))),
            None => format!("{line}\n"),
        })
        .collect()
}
