//! Jobs that load into two servers of one Keeper.

use longshore_tests::{Two, wait_for};

fn plan(two: &Two, more: &[&str]) -> String {
    let flags = [two.both().as_slice(), &["--chunk-files-max", "1"], more].concat();
    two.scene.plan(&flags)
}

fn submit(two: &Two, more: &[&str]) -> String {
    let job = plan(two, more);
    two.scene.longshore(["submit", &job]).run().ok();
    job
}

fn assert_completed(two: &Two, job: &str) {
    assert_eq!(two.scene.status(job)["state"], "completed", "{:?}", two.scene.tasks());
    two.assert_exact(job);
}

#[test]
fn chunks_are_dealt_out_and_a_worker_of_either_server_loads_into_both() {
    let two = Two::with_events(6, 300);
    let job = plan(&two, &[]);
    two.scene.longshore(["run", &job, "--workers", "2"]).run().ok();
    assert_completed(&two, &job);
    assert_eq!(two.counts("events"), [900, 900], "six chunks of 300 rows");

    // The same rows once more, by a worker at home on the second server.
    let again = submit(&two, &["--again", "second"]);
    two.at_second(two.scene.worker(&again)).run().ok();
    assert_eq!(two.scene.status(&again)["state"], "completed");
    assert_eq!(two.counts("events"), [1800, 1800]);
}

#[test]
fn a_job_of_one_server_is_left_alone_by_a_worker_of_the_other() {
    let two = Two::with_events(2, 100);
    let job = two.scene.submit(&[]);
    let said = two.at_second(two.scene.worker(&job)).run().ok();
    said.says(&["left alone", &two.urls[0]]);
    assert!(two.scene.tasks().all("pending"), "{:?}", two.scene.tasks());
    assert_eq!(two.scene.status(&job)["state"], "running");
    assert_eq!(two.second.number(&format!("SELECT count() FROM {}.events", two.scene.db)), 0);
    two.scene.settle(&job, "a worker of the other server was there");
}

#[test]
fn a_dead_worker_s_tasks_are_finished_on_their_server_by_one_of_the_other() {
    let two = Two::with_events(4, 300);
    for (round, point) in [
        "stage.after",
        "load.after",
        "manifest.after",
        "move.after",
        "receipt.before",
        "done.after",
    ]
    .into_iter()
    .enumerate()
    {
        for home in 0..2 {
            let job = submit(&two, &["--again", &format!("{round}-{home}")]);
            let at = |other: bool| {
                let worker = two.scene.worker(&job);
                if other == (home == 0) { two.at_second(worker) } else { worker }
            };
            let dead = at(false).faults(format!("{point}=exit")).run();
            assert!(dead.was_killed(), "the worker never passed {point}\n{dead}");
            two.scene.sign_all_off();
            at(true).run().ok();
            assert_eq!(two.scene.status(&job)["state"], "completed", "{point}");
            let rows = 600 * (round as u64 * 2 + home as u64 + 1);
            assert_eq!(two.counts("events"), [rows, rows], "after {point}");
        }
    }
    let _ = wait_for::<()>;
}
