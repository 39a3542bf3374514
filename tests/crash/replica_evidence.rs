//! What a replica lists is evidence for a while only, and replicas lose parts while all of them run.

use std::fs;
use std::path::Path;

use longshore_tests::{CLICKHOUSE, LONG_LEASE, OwnBed, Replica, Scene, cut_part, wait_for};

/// Parts of the scene's largest table, by a column.
fn parts(scene: &Scene, column: &str, which: &str) -> Vec<String> {
    let Scene { db, admin, .. } = scene;
    admin.column(&format!(
        "SELECT {column} FROM system.parts WHERE database = '{db}' AND table = 'events' AND {which} ORDER BY name"
    ))
}

#[test]
fn a_part_that_broke_before_another_replica_had_it_fails_the_job() {
    let bed = OwnBed::of_replicas(&[]);
    let (scene, replica) = Replica::with_events(&bed.bed, 1, 300);
    replica.admin.run("SYSTEM STOP FETCHES");
    let job = scene.submit(&["--replicas-wait", "all"]);
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).spawn();
    wait_for("the job waits for replicas", || {
        let reason = scene.status(&job)["reason"].to_string();
        reason.contains("waits for replicas since").then_some(())
    });
    let folder = parts(&scene, "path", "active").swap_remove(0);
    cut_part(Path::new(&folder));
    // The fetch shows that the file is broken. Nobody else has the part, so all give it up: each gets a part of the
    // same name without rows.
    replica.admin.run("SYSTEM START FETCHES");
    let status = wait_for("the job has ended", || {
        let status = scene.status(&job);
        (status["state"] != "running").then_some(status)
    });
    worker.wait();
    assert!(scene.audit_rows("events").lost > 0, "rows are gone");
    assert_eq!(status["state"], "failed", "{status}");
    let reason = status["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("its replicas have given parts up"), "{reason}");
}

/// Replicated tables have a section of their own in the configuration.
const FORGETFUL: &str = "<clickhouse><replicated_merge_tree><old_parts_lifetime>5</old_parts_lifetime>\
    <cleanup_delay_period>1</cleanup_delay_period><cleanup_delay_period_random_add>0</cleanup_delay_period_random_add>\
    <max_cleanup_delay_period>1</max_cleanup_delay_period></replicated_merge_tree></clickhouse>";

#[test]
fn evidence_of_a_replicated_table_lasts_as_long_as_its_own_default_says() {
    let bed = OwnBed::of_replicas(&[]);
    let folder = bed.folder().join(format!("{CLICKHOUSE}.d"));
    fs::create_dir_all(&folder).expect("a writable folder");
    fs::write(folder.join("forgetful.xml"), FORGETFUL).expect("a writable folder");
    bed.restart(CLICKHOUSE);
    let (scene, _replica) = Replica::with_events(&bed.bed, 1, 300);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults("move.after=exit").run();
    assert!(dead.was_killed(), "{dead}");
    let moved = parts(&scene, "toString(uuid)", "active");
    assert!(!moved.is_empty(), "a part was moved");
    scene.admin.run(&format!("OPTIMIZE TABLE {}.events FINAL", scene.db));
    wait_for("the server has forgotten the part", || {
        let now = parts(&scene, "toString(uuid)", "1");
        now.iter().all(|uuid| !moved.contains(uuid)).then_some(())
    });
    scene.sign_all_off();
    scene.worker(&job).run();
    let task = &scene.tasks().0[0];
    assert_eq!(task.state, "quarantined", "{task:?}");
    assert!(task.error.contains("lists merged parts for 5 s only"), "{task:?}");
}
