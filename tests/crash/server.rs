//! The server dies or stops while nothing is published yet, or with staging sets lying about.

use std::thread;
use std::time::Duration;

use longshore_tests::{
    CLICKHOUSE, LONG_LEASE, OwnBed, Scene, drawn_few, long_or, send_signal, wait_for, within,
};

use crate::campaign::RENAME;

/// Files of one chunk: enough for an INSERT that takes a while on a slow server.
const FILES: usize = 2;

#[test]
fn a_server_killed_with_staging_sets_lying_about_loses_and_doubles_nothing() {
    let bed = OwnBed::start();
    // Half a set, a whole set, a loaded set, all with clones of the views; and an ended task's set.
    let points = ["stage.between", "stage.after", "load.after", "manifest.before", "done.after"];
    for (round, point) in drawn_few(&points, 2).into_iter().enumerate() {
        let survives = round % 2 == 0;
        let scene = Scene::on(&bed.bed).and_events(FILES, 300);
        let job = scene.submit(&[]);
        let lease = if survives { LONG_LEASE } else { "2s" };
        let faults = format!("{point}=1*sleep(1500)");
        let worker = scene.worker(&job).env("LONGSHORE_LEASE", lease).faults(faults);
        let mut worker = worker.spawn();
        wait_for(point, || worker.words().contains(point).then_some(()));
        let staged = scene.staged();
        assert!(!staged.is_empty(), "{point}: tables are staged");
        worker.signal("STOP");
        send_signal(bed.pid(CLICKHOUSE), "KILL");
        bed.restart(CLICKHOUSE);
        assert_eq!(scene.staged(), staged, "{point}: the sets outlive the server");
        if survives {
            worker.signal("CONT");
            worker.wait().ok();
        } else {
            worker.kill();
        }
        scene.settle(&job, point);
    }
}

#[test]
fn a_server_killed_inside_an_insert_loses_and_doubles_nothing() {
    let bed = OwnBed::with_slow_renames(RENAME);
    let mut hits = 0;
    // Their number tells how late the kill comes, and whether the worker outlives it. The first kill of
    // a long run often comes before the claim.
    let rounds: Vec<u64> = long_or(vec![2, 3], (0..6).collect());
    for round in &rounds {
        let survives = round % 2 == 0;
        let scene = Scene::on(&bed.bed).and_events(FILES, 5_000);
        // Small blocks: each is a part in every partition, and every part waits for its rename.
        let many =
            "min_insert_block_size_rows=3000,min_insert_block_size_bytes=1,max_block_size=3000";
        let job = scene.submit(&["--settings", many]);
        let lease = if survives { LONG_LEASE } else { "2s" };
        let mut worker = scene.worker(&job).env("LONGSHORE_LEASE", lease).spawn();
        let pid = bed.pid(CLICKHOUSE);
        let begun = within(Duration::from_secs(60), || {
            let running = scene.admin.number(&format!(
                "SELECT count() FROM system.processes WHERE startsWith(query_id, '{job}') AND query_kind = 'Insert'"
            ));
            (running > 0).then_some(())
        });
        assert!(begun.is_some(), "no INSERT was seen: {}", worker.words());
        thread::sleep(Duration::from_millis(100 * round));
        send_signal(pid, "KILL");
        if !survives {
            worker.kill();
        }
        bed.restart(CLICKHOUSE);
        let tasks = scene.tasks();
        hits += tasks.count("claimed");
        println!("killed {} ms into the INSERT: {:?}", 100 * round, tasks.states());
        if survives {
            worker.wait().ok();
        }
        scene.settle(&job, "a server killed inside an INSERT");
    }
    assert!(hits * 2 >= rounds.len(), "only {hits} kills came before the manifest");
}

#[test]
fn a_server_that_stops_for_seconds_loses_and_doubles_nothing() {
    let bed = OwnBed::start();
    for secs in drawn_few(&[5, 10], 1) {
        let scene = Scene::on(&bed.bed).and_events(6, 500);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        // One keeps its lease through the pause, the others lose theirs and begin new lives.
        let steady = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).spawn();
        let others = [(); 2].map(|()| scene.worker(&job).args(["--slots", "2"]).spawn());
        wait_for("tasks are in work", || {
            let tasks = scene.tasks();
            (tasks.count("claimed") + tasks.count("publishing") >= 3).then_some(())
        });
        bed.signal(CLICKHOUSE, "STOP");
        thread::sleep(Duration::from_secs(secs));
        bed.signal(CLICKHOUSE, "CONT");
        for worker in others {
            worker.wait();
        }
        steady.wait().ok();
        scene.settle(&job, "a server that stopped");
    }
}
