//! H11, and the same with a job of one server: the address of a job's second server leads to the first one after it was looked at. What
//! comes back from there is not of this task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_tests::{Bed, LONG_LEASE, Proxy, TwoServers, wait_for, within};
use std::time::Duration;

#[test]
fn another_server_that_answers_gets_nothing() {
    let two = TwoServers::with_events(&Bed::from_env(), 6, 100);
    // As ON CLUSTER makes it: the tables of both servers have one UUID, which tells nothing apart.
    let uuid = two.scene.admin.run("SELECT generateUUIDv4()");
    for admin in two.admins() {
        admin.run(&format!(
            "CREATE TABLE {}.plain UUID '{uuid}' (file String, n UInt64, day Date, kind LowCardinality(String), \
             value UInt64, checksum UInt64) ENGINE = MergeTree ORDER BY n",
            two.scene.db
        ));
    }
    let is_elsewhere = Arc::new(AtomicBool::new(false));
    let switch = is_elsewhere.clone();
    let [first, second] = two.urls.clone();
    let proxy = Proxy::between(&second, &first, move || switch.load(Ordering::Relaxed));
    let more = ["--chunk-files-max", "1", "--endpoint", &first, "--endpoint", &proxy.url()];
    let plan = two.scene.plan_program("plain", "*", &more).run().ok().json();
    let job = plan["plan_id"].as_str().expect("a plan id").to_owned();
    two.scene.longshore(["submit", &job]).run().ok();
    let worker =
        two.scene.endless_worker().args(["--slots", "1"]).env("LONGSHORE_LEASE", LONG_LEASE);
    let running = worker.faults("stage.after=off").spawn();
    wait_for("the second server was looked at", || {
        running.words().contains("this server answers").then_some(())
    });
    is_elsewhere.store(true, Ordering::Relaxed);
    // The tasks of the first server end, those of the second wait.
    wait_for("the first server's tasks are done", || {
        (two.scene.tasks().count("done") >= 3).then_some(())
    });
    let completed = within(Duration::from_secs(5), || {
        (two.scene.status(&job)["state"] == "completed").then_some(())
    });
    assert!(completed.is_none(), "completed, with rows of the second server on the first");
    let [on_first, _] = two.counts("plain");
    assert_eq!(on_first, 300, "the first server has its own rows only");
    is_elsewhere.store(false, Ordering::Relaxed);
    wait_for("the job is over", || {
        let state = two.scene.status(&job)["state"].clone();
        if state == "paused" {
            two.scene.longshore(["resume", &job]).run().ok();
        }
        (state == "completed").then_some(())
    });
    drop(running);
    assert_eq!(two.counts("plain"), [300, 300], "each server has its own rows");
}

#[test]
fn another_server_at_the_address_pauses_no_job_and_fails_no_task() {
    let two = TwoServers::with_events(&Bed::from_env(), 3, 100);
    let scene = &two.scene;
    let is_elsewhere = Arc::new(AtomicBool::new(false));
    let switch = is_elsewhere.clone();
    let [first, second] = two.urls.clone();
    let proxy = Proxy::between(&first, &second, move || switch.load(Ordering::Relaxed));
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let gate = scene.folder().join("gate");
    let wait = format!("stage.after=1*until({})->off", gate.display());
    let worker = scene.endless_worker().args(["--slots", "1"]).env("CLICKHOUSE_URL", proxy.url());
    let running = worker.env("LONGSHORE_LEASE", LONG_LEASE).faults(wait).spawn();
    wait_for("a task is staged", || running.words().contains("until(").then_some(()));
    is_elsewhere.store(true, Ordering::Relaxed);
    std::fs::write(&gate, "").expect("a writable folder");
    wait_for("the worker met the other server", || {
        running.words().contains("another server answers").then_some(())
    });
    is_elsewhere.store(false, Ordering::Relaxed);
    let status = scene.status(&job);
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(scene.tasks().count("failed"), 0, "{:?}", scene.tasks());
    drop(running);
    scene.sign_all_off();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.assert_exact();
    assert_eq!(two.counts("events"), [300, 0], "nothing is loaded into a server of no plan");
}
