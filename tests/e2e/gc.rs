//! `gc`: removes what nobody needs, beside workers that go on and workers that die.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_shared::faults;
use longshore_tests::{Bed, Finished, Program, Running, Scene, wait_for};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::crashes::settle;

fn gc(scene: &Scene, more: &[&str]) -> Finished {
    scene.longshore(["gc", "--json"]).args(more).run().ok()
}

/// Names of the staging tables that a call listed or removed.
fn listed(said: &Finished) -> Vec<String> {
    let lines = said.json()["staging"].as_array().expect("a list").clone();
    let mut names: Vec<String> =
        lines.iter().map(|line| line["table"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

/// Copies a staging table under another name.
fn copy(scene: &Scene, name: &str) {
    scene.admin.run(&format!(
        "CREATE TABLE {}.`{name}` (x UInt8) ENGINE = MergeTree ORDER BY x",
        scene.staging
    ));
}

#[test]
fn nothing_of_a_task_in_publishing_or_quarantine_is_touched() {
    let scene = Scene::with_events(2, 300);
    let job = scene.submit(&[]);
    let dead = scene.worker(&job).faults(format!("{}=exit", faults::MOVE_AFTER.0)).run();
    assert!(dead.was_killed(), "{dead}");
    let before = scene.staged();
    assert!(!before.is_empty());
    let all = ["--yes", "--older-than", "0s", "--unknown-jobs"];
    assert_eq!(listed(&gc(&scene, &all)), Vec::<String>::new());
    assert_eq!(scene.staged(), before, "the task is publishing");

    // The target is another table now: nothing can be proved any more.
    scene.admin.run(&format!("RENAME TABLE {db}.daily TO {db}.daily_old", db = scene.db));
    scene.admin.run(&format!("CREATE TABLE {db}.daily AS {db}.daily_old", db = scene.db));
    scene.worker(&job).run();
    assert!(scene.tasks().all("quarantined"), "{:?}", scene.tasks());
    let evidence = scene.staged();
    assert!(!evidence.is_empty(), "a quarantined task keeps its staging tables");
    assert_eq!(listed(&gc(&scene, &all)), Vec::<String>::new());
    assert_eq!(scene.staged(), evidence);
}

#[test]
fn only_what_is_over_goes_and_only_when_told_so() {
    let scene = Scene::with_events(2, 50);
    let job = scene.submit(&[]);
    scene.finish(&job);
    let ended = format!("{job}_0000000_e1_0_events");
    let unknown = "0123456789abcdef_0000000_e1_0_events";
    let keeps = ["band_rehearsal", "rehearsal_of_my_band", &format!("{job}_0000000_e9_0_events")];
    for name in [&ended, unknown, "rehearsal_0123456789ab_0_events"] {
        copy(&scene, name);
    }
    for name in keeps {
        copy(&scene, name);
    }
    let all = scene.staged();

    let dry = gc(&scene, &[]);
    assert_eq!(dry.json()["removed"], false);
    assert_eq!(listed(&dry), [ended.as_str()], "what is young may be somebody's");
    assert_eq!(scene.staged(), all, "a dry run removes nothing");

    let young = ["--older-than", "0s"];
    let said = gc(&scene, &[&young[..], &["--yes"]].concat());
    assert_eq!(listed(&said), [&ended, "rehearsal_0123456789ab_0_events"]);
    assert_eq!(said.json()["unknown_jobs"][0], unknown, "it may be another installation's");
    let said = gc(&scene, &[&young[..], &["--yes", "--unknown-jobs"]].concat());
    assert_eq!(listed(&said), [unknown]);
    let mut keeps: Vec<String> = keeps.iter().map(|name| (*name).to_owned()).collect();
    keeps.sort();
    assert_eq!(scene.staged(), keeps);
    scene.longshore(["gc"]).run().ok().says(&["There is nothing to remove."]);
    scene.assert_exact();
}

/// Hole H17e: the Keeper is lost between EXCHANGE and the renaming. The user's old rows stand under a
/// shadow's name then, and `gc --unknown-jobs` dropped them.
#[test]
fn the_old_table_of_an_exchange_whose_job_is_forgotten_is_never_dropped() {
    let scene = Scene::for_swaps(&Bed::from_env()).with_old_events(2, 100);
    let job = scene.submit(&["--publish", "exchange"]);
    let dead = scene.worker(&job).faults(format!("{}=exit", faults::KEEP_BEFORE.0)).run();
    assert!(dead.was_killed(), "{dead}");
    for (table, key) in [("jobs", "job_id"), ("tasks", "task_id"), ("cursors", "job_id")] {
        let control = &scene.control;
        scene.admin.run(&format!("DELETE FROM {control}.{table} WHERE startsWith({key}, '{job}')"));
    }
    // Another job of the same databases: without one they may be another installation's.
    scene.plan(&["--again", "another"]);
    let old = scene.shadows().swap_remove(0);
    let rows = || scene.admin.number(&format!("SELECT count() FROM {old}"));
    assert_eq!(rows(), 450, "the old rows are under a shadow's name");
    let all = ["--yes", "--older-than", "0s", "--unknown-jobs"];
    let said = gc(&scene, &all).json();
    assert_eq!(scene.shadows(), [old.as_str()], "{said}");
    assert_eq!(rows(), 450);
    assert_eq!(said["holding_rows"][0]["table"], old.as_str(), "{said}");
    assert_eq!(said["holding_rows"][0]["rows"], 450, "{said}");
    let said = scene.longshore(["gc", "--older-than", "0s"]).run().ok();
    said.says(&[&old, "450 rows", "the old table of an exchange", "RENAME TABLE"]);
    // Emptied by a person, it goes.
    scene.admin.run(&format!("TRUNCATE TABLE {old} SYNC"));
    gc(&scene, &all);
    assert_eq!(scene.shadows(), Vec::<String>::new());
}

#[test]
fn a_snapshot_goes_with_its_job_and_not_before() {
    let scene = Scene::with_source(2, 100);
    let young = ["--older-than", "0s", "--yes", "--unknown-jobs"];
    let job = scene.plan_copy(&["--snapshot"]);
    let snapshot = format!("{job}_snapshot_0");
    assert_eq!(listed(&gc(&scene, &young)), Vec::<String>::new(), "a plan may be submitted yet");
    scene.longshore(["submit", &job]).run().ok();
    assert_eq!(listed(&gc(&scene, &young)), Vec::<String>::new(), "a job reads it");
    scene.finish(&job);
    scene.assert_exact();
    assert_eq!(scene.staged(), Vec::<String>::new(), "the last worker has dropped it");
    for name in [&snapshot, "0123456789abcdef_snapshot_0", "rehearsal_0123456789ab_snapshot"] {
        copy(&scene, name);
    }
    assert_eq!(gc(&scene, &young).json()["staging"].as_array().expect("a list").len(), 3);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[test]
fn the_row_of_a_worker_that_died_long_ago_goes_and_that_of_a_live_one_stays() {
    let scene = Scene::with_events(1, 10);
    let mut dead = scene.endless_worker().spawn();
    let rows = || scene.admin.number(&format!("SELECT count() FROM {}.workers", scene.control));
    wait_for("a worker is there", || (rows() == 1).then_some(()));
    dead.kill();
    wait_for("its lease has lapsed", || {
        let said = gc(&scene, &["--older-than", "0s"]);
        (said.json()["workers"].as_array().expect("a list").len() == 1).then_some(())
    });
    let live = scene.endless_worker().env("LONGSHORE_LEASE", "300s").spawn();
    wait_for("another is there", || (rows() == 2).then_some(()));
    assert_eq!(
        gc(&scene, &["--yes"]).json()["workers"],
        serde_json::json!([]),
        "an hour is not over"
    );
    let said = gc(&scene, &["--yes", "--older-than", "0s"]).json();
    assert_eq!(said["workers"].as_array().expect("a list").len(), 1, "{said}");
    assert_eq!(rows(), 1, "the live worker stays");
    drop(live);
}

#[test]
fn gc_in_a_loop_beside_workers_that_die_loses_and_doubles_nothing() {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let scene = Scene::with_events(16, 800);
    let job = scene.submit(&["--chunk-files-max", "2"]);
    let (rounds, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // The scene stays in this thread: it makes the programs ready, the other one runs them.
    let (programs, ready) = mpsc::sync_channel::<Program>(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            for program in ready {
                let said = program.run().ok();
                removed.fetch_add(listed(&said).len(), Ordering::Relaxed);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let points =
            [faults::LOAD_AFTER, faults::MANIFEST_AFTER, faults::MOVE_AFTER, faults::DONE_AFTER];
        let start = Instant::now();
        let mut workers: Vec<Running> = Vec::new();
        let mut deaths = 0;
        while scene.status(&job)["state"] != "completed" {
            assert!(
                start.elapsed() < Duration::from_secs(150),
                "seed {seed}: the job does not end"
            );
            let next = scene.longshore(["gc", "--yes", "--json", "--older-than", "0s"]);
            programs.try_send(next.args(["--unknown-jobs"])).ok();
            workers.retain_mut(|worker| {
                let alive = !worker.has_ended();
                deaths += usize::from(!alive);
                alive
            });
            if workers.len() < 3 {
                let mut worker = scene.worker(&job).args(["--slots", "1"]);
                if deaths < 10 {
                    let point = points[rng.random_range(0..points.len())].0;
                    worker = worker.faults(format!("{point}=exit"));
                }
                workers.push(worker.spawn());
            }
            thread::sleep(Duration::from_millis(20));
        }
        drop(programs);
    });
    let (rounds, removed) = (rounds.into_inner(), removed.into_inner());
    println!("{rounds} rounds of gc removed {removed} tables");
    assert!(rounds > 3, "seed {seed}: gc hardly ran");
    settle(&scene, &job, &format!("seed {seed}"));
}
