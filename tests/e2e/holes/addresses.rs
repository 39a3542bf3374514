//! H11: the address of a job's second server leads to the first one after it was looked at. What
//! comes back from there is not of this task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_tests::{Bed, LONG_LEASE, Proxy, Two, wait_for, within};
use std::time::Duration;

#[test]
fn another_server_that_answers_gets_nothing() {
    let two = Two::with_events(&Bed::from_env(), 6, 100);
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
