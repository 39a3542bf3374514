//! A server that is started again between the making of the staging tables and the load may take the load
//! before it knows the clones of the views.

use std::fs;

use longshore_tests::{CLICKHOUSE, LONG_LEASE, OwnBed, Scene, send_signal, wait_for};

#[test]
fn a_load_that_a_restarted_server_took_begins_anew() {
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed).and_events(1, 300);
    let job = scene.submit(&[]);
    let gate = scene.folder().join("gate");
    let faults = format!("stage.after=1*until({})->off", gate.display());
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).faults(faults).spawn();
    wait_for("the set is staged", || worker.words().contains("until(").then_some(()));
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
    fs::write(&gate, "").expect("a writable folder");
    worker.wait().ok().says(&["started again since the staging tables were made"]);
    assert!(scene.loads(&job) >= 2, "it was loaded anew");
    scene.settle(&job, "a server that was started between staging and load");
}
