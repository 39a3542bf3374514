//! The Keeper is wiped in the middle of a job: everything stops and says why, and what was loaded is
//! not loaded again.

use std::fs;

use longshore_tests::{CLICKHOUSE, KEEPER, OwnBed, Scene, wait_for};

const EXIT_CONFLICT: i32 = 6;

#[test]
fn a_keeper_that_is_wiped_stops_the_job_and_nothing_is_loaded_twice() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(4, 200);
    let more = ["--chunk-files-max", "1"];
    let job = scene.submit(&more);
    let dead = scene.worker(&job).faults("done.after=1*off->exit").run();
    assert!(dead.was_killed(), "{dead}");
    assert_eq!(scene.tasks().count("done"), 2);

    bed.signal(KEEPER, "KILL");
    let data = bed.folder().join("zookeeper");
    for entry in fs::read_dir(&data).expect("the Keeper's folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("a folder of ours");
    }
    bed.restart(KEEPER);
    bed.restart(CLICKHOUSE);

    // Everybody says what it is, and what to do; a worker does not go on asking.
    let worker = scene.worker(&job).run();
    assert_ne!(worker.code(), Some(0), "{worker}");
    for command in [&["status", &job][..], &["resume", &job], &["plan", "list"], &["init"]] {
        let said = scene.longshore(command.iter().copied()).run().exits_with(EXIT_CONFLICT);
        said.says(&["Keeper does not know the control tables", "longshore init --keeper-is-lost"]);
    }
    scene.longshore(["init", "--keeper-is-lost"]).run().ok();
    scene.longshore(["init", "--keeper-is-lost", "--json"]).run().ok();

    // The same plan has the same id, and knows by its receipts what it has loaded.
    assert_eq!(scene.submit(&more), job);
    wait_for("the job pauses", || {
        scene.worker(&job).run();
        (scene.status(&job)["state"] == "paused").then_some(())
    });
    let reason = scene.status(&job)["reason"].to_string();
    assert!(reason.contains("longshore restore"), "{reason}");
    let restored = scene.longshore(["restore", &job, "--json"]).run().ok().json();
    assert_eq!(restored["restored"], 2, "{restored}");
    scene.longshore(["resume", &job]).run().ok();
    scene.settle(&job, "after the Keeper was wiped");
}
