//! H3: a command that lets tasks be done again is cut in the middle. Whoever goes on carries out the
//! same, whatever command he gives.

use longshore_tests::{Scene, drawn_few, wait_for};

fn done() -> (Scene, String) {
    let scene = Scene::with_events(2, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.finish(&job);
    for table in ["events", "daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {}.{table} SYNC", scene.db));
    }
    (scene, job)
}

/// Where the command dies: receipts are void, tasks are done; or some tasks are changed.
const DEATHS: [&str; 4] =
    ["reopen.begun=exit", "send.reset_tasks=exit", "reopen.segment=exit", "reopen.done=exit"];

#[test]
fn a_replay_that_was_cut_is_carried_out_by_a_plain_resume() {
    for death in drawn_few(&DEATHS, 2) {
        let (scene, job) = done();
        let cut = scene.longshore(["resume", &job, "--replay-done"]).faults(death).run();
        assert!(cut.was_killed(), "{death}\n{cut}");
        scene.longshore(["status", &job]).run().ok().says(&["reopening", "longshore resume"]);
        let resumed = scene.longshore(["resume", &job, "--json"]).run().ok();
        assert_eq!(resumed.json()["state"], "running", "{death}\n{resumed}");
        scene.settle(&job, death);
    }
}

#[test]
fn a_replay_that_was_cut_and_cancelled_is_carried_out_when_the_job_goes_on() {
    let (scene, job) = done();
    let cut =
        scene.longshore(["resume", &job, "--replay-done"]).faults("send.reset_tasks=exit").run();
    assert!(cut.was_killed(), "{cut}");
    scene.longshore(["cancel", &job]).run().ok();
    scene.longshore(["resume", &job]).run().ok();
    scene.settle(&job, "cut, cancelled and resumed");
}

/// The row of a task was deleted after the command was cut, and the plan wrote it again: the task is pending, and its
/// receipt is of rows that were taken out.
#[test]
fn a_replay_that_was_cut_loads_a_task_too_whose_row_was_deleted_meanwhile() {
    let (scene, job) = done();
    let cut = scene.longshore(["resume", &job, "--replay-done"]).faults("reopen.begun=exit").run();
    assert!(cut.was_killed(), "{cut}");
    let task = format!("{job}-0000001");
    scene.admin.run(&format!("DELETE FROM {}.tasks WHERE task_id = '{task}'", scene.control));
    scene.plan(&["--chunk-files-max", "1"]);
    scene.longshore(["resume", &job]).run().ok();
    scene.worker(&job).run();
    // What a person is told to do where a job is paused because of receipts.
    if scene.status(&job)["state"] == "paused" {
        scene.longshore(["restore", &job]).run().ok();
        scene.longshore(["resume", &job]).run().ok();
    }
    scene.settle(&job, "cut, and a row was deleted");
}

#[test]
fn a_choice_is_made_anew_when_the_job_has_changed_since() {
    let (scene, job) = done();
    // Two at once: the one that loses the row finds the other's wish, and carries out that.
    let commands = [(), ()].map(|()| scene.longshore(["resume", &job, "--replay-done"]).spawn());
    for command in commands {
        let ended = command.wait();
        assert!(matches!(ended.code(), Some(0 | 6)), "{ended}");
    }
    scene.settle(&job, "two replays at once");
}

#[test]
fn a_command_that_lags_changes_nothing_that_was_done_again() {
    let (scene, job) = done();
    let cut = scene.longshore(["resume", &job, "--replay-done"]).faults("reopen.begun=exit").run();
    assert!(cut.was_killed(), "{cut}");
    // It has read that the job is reopening, and sleeps; another command does the same, and all is loaded.
    let gate = scene.folder().join("gate");
    let wait = format!("reopen.begun=1*until({})->off", gate.display());
    let lagging = scene.longshore(["resume", &job]).faults(wait).spawn();
    wait_for("the first command sleeps", || lagging.words().contains("until(").then_some(()));
    scene.longshore(["resume", &job]).run().ok();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    std::fs::write(&gate, "").expect("a writable folder");
    lagging.wait();
    scene.worker(&job).run();
    scene.settle(&job, "a command that lagged");
}
