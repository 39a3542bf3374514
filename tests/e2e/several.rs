//! Jobs that load into two servers of one Keeper.

use longshore_tests::{Bed, LONG_LEASE, OwnBed, SECOND, TaskRow, Two, wait_for};

/// A busy machine must not make the worker lose its own lease.
const LEASE: &str = "6s";

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
    let two = Two::with_events(&Bed::from_env(), 6, 300);
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
    let two = Two::with_events(&Bed::from_env(), 2, 100);
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
    let two = Two::with_events(&Bed::from_env(), 2, 300);
    let points = ["load.after", "manifest.after", "move.after", "receipt.before"];
    for (round, point) in points.into_iter().enumerate() {
        let job = submit(&two, &["--again", point]);
        let worker = |other: bool| {
            let worker = two.scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
            if other == (round % 2 == 0) { two.at_second(worker) } else { worker }
        };
        let dead = worker(false).faults(format!("{point}=exit")).run();
        assert!(dead.was_killed(), "the worker never passed {point}\n{dead}");
        two.scene.sign_all_off();
        worker(true).run().ok();
        assert_eq!(two.scene.status(&job)["state"], "completed", "{point}");
        let rows = 300 * (round as u64 + 1);
        assert_eq!(two.counts("events"), [rows, rows], "after {point}");
    }
}

/// The tasks that belong to the second server.
fn seconds(two: &Two) -> Vec<TaskRow> {
    two.scene.tasks().0.into_iter().skip(1).step_by(2).collect()
}

fn wait_for_the_first(two: &Two) {
    wait_for("all tasks of the first server are done", || {
        let tasks = two.scene.tasks().0;
        tasks.iter().step_by(2).all(|task| task.state == "done").then_some(())
    });
}

#[test]
fn a_server_that_is_gone_holds_up_its_own_tasks_only() {
    let bed = OwnBed::of_two();
    let two = Two::with_events(&bed.bed, 6, 200);
    let job = submit(&two, &[]);
    bed.signal(SECOND, "KILL");
    let worker = two.scene.worker(&job).env("LONGSHORE_LEASE", LEASE).spawn();
    wait_for_the_first(&two);
    let waiting = seconds(&two);
    assert!(waiting.iter().all(|task| task.attempts == 0), "nobody claims them: {waiting:?}");
    assert_eq!(two.scene.status(&job)["state"], "running");
    bed.restart(SECOND);
    worker.wait().ok().says(&["is away", "Connection refused"]);
    assert_completed(&two, &job);
    assert!(two.scene.tasks().0.iter().all(|task| task.attempts == 1), "{:?}", two.scene.tasks());
}

#[test]
fn a_server_that_hangs_while_it_loads_is_let_go_and_taken_up_again() {
    let bed = OwnBed::of_two();
    let two = Two::with_events(&bed.bed, 6, 200);
    let job = submit(&two, &[]);
    // The second server's tasks stand still when the server does.
    let worker = two.scene.worker(&job).env("LONGSHORE_SLOTS", "3").env("LONGSHORE_LEASE", LEASE);
    let worker = worker.faults("load.after=sleep(1000)").spawn();
    wait_for("a task of the second server is in hand", || {
        seconds(&two).iter().any(|task| task.state == "claimed").then_some(())
    });
    bed.signal(SECOND, "STOP");
    wait_for_the_first(&two);
    wait_for("nobody holds a task of the server that hangs", || {
        seconds(&two).iter().all(|t| t.state != "claimed").then_some(())
    });
    bed.signal(SECOND, "CONT");
    worker.wait().ok();
    assert_completed(&two, &job);
}
