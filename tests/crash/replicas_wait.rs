//! `--replicas-wait`: a job is completed when other replicas have every row too.

use longshore_tests::{LONG_LEASE, OwnBed, Replica, Running, SECOND, Scene, drawn_few, wait_for};
use serde_json::Value;

/// Rows of `events` on the second replica.
fn rows_there(scene: &Scene, replica: &Replica) -> u64 {
    replica.admin.number(&format!("SELECT count() FROM {}.events", scene.db))
}

/// The status, once the job says that it waits for replicas.
fn waiting(scene: &Scene, job: &str, worker: &Running) -> Value {
    wait_for("the job waits for replicas", || {
        let status = scene.status(job);
        assert_eq!(status["state"], "running", "{status}\n{}", worker.words());
        let reason = status["reason"].as_str().unwrap_or_default();
        reason.contains("waits for replicas since 20").then(|| status.clone())
    })
}

fn assert_unharmed(scene: &Scene) {
    let tasks = scene.tasks();
    assert!(tasks.all("done"), "{tasks:?}");
    assert!(tasks.0.iter().all(|task| (task.epoch, task.attempts) == (1, 1)), "{tasks:?}");
}

#[test]
fn a_job_is_completed_when_as_many_replicas_have_its_rows_as_were_asked_for() {
    let bed = OwnBed::of_replicas(&[]);
    // Of two replicas more than half are both.
    for wait in drawn_few(&["all", "quorum"], 1) {
        let (scene, replica) = Replica::with_events(&bed.bed, 2, 300);
        replica.admin.run("SYSTEM STOP FETCHES");
        let job = scene.submit(&["--chunk-files-max", "1", "--replicas-wait", wait]);
        let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).spawn();
        let status = waiting(&scene, &job, &worker);
        let reason = status["reason"].as_str().expect("a reason");
        assert!(reason.contains("is on 1 of the 2 replicas asked for"), "{reason}");
        assert!(reason.contains("clickhouse-2 lacks"), "{reason}");
        assert_unharmed(&scene);
        assert_eq!(rows_there(&scene, &replica), 0, "fetches are stopped");
        scene.longshore(["status", &job]).run().ok().says(&["waits for replicas since"]);
        replica.admin.run("SYSTEM START FETCHES");
        worker.wait().ok();
        assert_eq!(rows_there(&scene, &replica), 600, "{wait}: completed means on both");
        let status = scene.status(&job);
        assert_eq!((&status["state"], &status["reason"]), (&"completed".into(), &"".into()));
        assert_unharmed(&scene);
        scene.settle(&job, wait);
        replica.assert_same(&scene, wait);
    }
}

#[test]
fn without_it_a_job_is_completed_when_the_replica_that_loads_has_its_rows() {
    let bed = OwnBed::of_replicas(&[]);
    let (scene, replica) = Replica::with_events(&bed.bed, 2, 300);
    replica.admin.run("SYSTEM STOP FETCHES");
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.worker(&job).run().ok();
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_eq!(rows_there(&scene, &replica), 0);
    replica.admin.run("SYSTEM START FETCHES");
    scene.settle(&job, "one");
    replica.assert_same(&scene, "one");
    // A table without replicas has none to wait for.
    scene.create("CREATE TABLE {db}.plain AS {db}.events ENGINE = MergeTree ORDER BY n;\n");
    let refused = scene.plan_program("plain", "*", &["--replicas-wait", "all"]).run();
    refused.exits_with(2).says(&["--replicas-wait all", "has no replicas"]);
}

#[test]
fn a_replica_that_is_away_is_waited_for_over_the_death_of_the_worker() {
    let bed = OwnBed::of_replicas(&[]);
    let (scene, replica) = Replica::with_events(&bed.bed, 2, 300);
    let job = scene.submit(&["--chunk-files-max", "1", "--replicas-wait", "all"]);
    bed.signal(SECOND, "KILL");
    let worker = || scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).spawn();
    let mut first = worker();
    let status = waiting(&scene, &job, &first);
    let since = |status: &Value| {
        let reason = status["reason"].as_str().expect("a reason");
        reason.split(": ").next().expect("a beginning").to_owned()
    };
    let before = since(&status);
    first.kill();
    let second = worker();
    wait_for("Keeper has ended the session of the replica", || {
        let status = scene.status(&job);
        assert_eq!(since(&status), before, "whoever waits, it is since then");
        let reason = status["reason"].as_str().expect("a reason");
        reason.contains("and is away").then_some(())
    });
    assert_unharmed(&scene);
    // An operator may pause a job that waits, and resume it.
    scene.longshore(["pause", &job]).run().ok();
    scene.longshore(["resume", &job]).run().ok();
    bed.restart(SECOND);
    second.wait().ok();
    let third = worker();
    third.wait().ok();
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_eq!(rows_there(&scene, &replica), 600);
    assert_unharmed(&scene);
    scene.settle(&job, "away");
    replica.assert_same(&scene, "away");
}
