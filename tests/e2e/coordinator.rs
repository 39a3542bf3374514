//! The coordinator may die anywhere: doing it again gives the same plan, nothing more and nothing
//! less, and workers never needed it.

use longshore_shared::faults::{self, Point};
use longshore_tests::{LONG_LEASE, Scene, drawn_few, wait_for};

use crate::crashes::settle;

/// One task a file, written two at a time: a plan of three batches.
const FILES: usize = 6;
const MORE: [&str; 2] = ["--chunk-files-max", "1"];

fn scene() -> Scene {
    Scene::with_events(FILES, 200)
}

/// Keys of all rows of the control tables that make a job.
fn rows(scene: &Scene) -> Vec<Vec<String>> {
    ["tasks", "cursors", "jobs"]
        .iter()
        .map(|table| {
            let key = if *table == "tasks" { "task_id" } else { "job_id" };
            scene.admin.column(&format!("SELECT {key} FROM {}.{table} ORDER BY 1", scene.control))
        })
        .collect()
}

#[test]
fn a_plan_that_dies_is_finished_by_planning_again() {
    let points: Vec<&Point> =
        faults::COORDINATOR.iter().filter(|point| point.0.starts_with("plan.")).collect();
    assert_eq!(points.len(), 5);
    let scene = scene();
    // What an undisturbed plan of the same files writes.
    let again = |text: &str| [MORE[0], MORE[1], "--again", text].map(str::to_owned);
    for (number, point) in points.iter().enumerate() {
        let more = again(&format!("{number}"));
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let passes = if **point == faults::PLAN_BATCH { "1*off->exit" } else { "exit" };
        let faults = format!("batch=2;{}={passes}", point.0);
        let dead = scene.plan_program("events", "*", &more).faults(faults).run();
        assert!(dead.was_killed(), "the plan never passed {}\n{dead}", point.0);
        let before = rows(&scene);
        let states = scene.admin.column(&format!(
            "SELECT state FROM {}.jobs WHERE state != 'planned' AND state != 'completed'",
            scene.control
        ));
        let is_whole = **point == faults::PLAN_AFTER || **point == faults::PLAN_BEFORE;
        let expected: &[&str] = if is_whole { &[] } else { &["planning"] };
        assert_eq!(states, expected, "{}: {before:?}", point.0);

        let id = scene.plan(&more);
        assert_eq!(scene.plan(&more), id, "{}: the same plan has the same id", point.0);
        let after = rows(&scene);
        let own: Vec<_> = after[0].iter().filter(|task| task.starts_with(&id)).cloned().collect();
        let expected: Vec<_> = (0..FILES).map(|task| format!("{id}-{task:07}")).collect();
        assert_eq!(own, expected, "{}", point.0);
        assert_eq!(after[0].len(), (number + 1) * FILES, "{}: tasks of no plan", point.0);
        assert_eq!((after[1].len(), after[2].len()), (number + 1, number + 1), "{}", point.0);
        for row in before.iter().flatten() {
            assert!(after.iter().flatten().any(|there| there == row), "{}: {row}", point.0);
        }
        if **point == faults::PLAN_CURSOR {
            scene.longshore(["submit", &id]).run().ok();
            scene.finish(&id);
            assert_eq!(scene.status(&id)["tasks"]["done"], FILES);
            scene.assert_exact();
        }
    }
    assert_eq!(scene.orphans(), Vec::<String>::new());
}

#[test]
fn a_plan_killed_between_its_batches_is_not_a_plan() {
    let scene = scene();
    let faults = "batch=2;plan.batch=1*off->exit";
    let dead = scene.plan_program("events", "*", &MORE).faults(faults).run();
    assert!(dead.was_killed(), "{dead}");
    let written = rows(&scene);
    assert_eq!((written[0].len(), written[1].len(), written[2].len()), (4, 0, 1), "{written:?}");
    let worker = scene.endless_worker().args(["--exit-when-idle"]).run().ok();
    assert!(!worker.stderr.contains("epoch="), "nothing of it can be claimed\n{worker}");
    let id = scene.submit(&MORE);
    assert!(written[0].iter().all(|task| task.starts_with(&id)), "{id}: {written:?}");
    scene.finish(&id);
    settle(&scene, &id, "after a plan in two goes");
    assert_eq!(scene.orphans(), Vec::<String>::new());
}

#[test]
fn a_submit_that_dies_is_repeated() {
    for point in drawn_few(&[faults::SUBMIT_BEFORE, faults::SUBMIT_AFTER], 1) {
        let scene = scene();
        let id = scene.plan(&MORE);
        let dead = scene.longshore(["submit", &id]).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{}\n{dead}", point.0);
        let state = scene.status(&id)["state"].clone();
        let expected = if point == faults::SUBMIT_AFTER { "running" } else { "planned" };
        assert_eq!(state, expected, "{}", point.0);
        scene.longshore(["submit", &id]).run().ok();
        settle(&scene, &id, point.0);
        assert_eq!(rows(&scene)[0].len(), FILES);
    }
}

#[test]
fn a_run_that_dies_leaves_workers_that_finish_and_can_be_run_again() {
    let points = [faults::SUBMIT_AFTER, faults::RUN_STARTED, faults::RUN_SETTLED];
    for point in drawn_few(&points, 1) {
        let scene = scene();
        let id = scene.plan(&MORE);
        let run = ["run", id.as_str(), "--workers", "2"];
        let dead = scene.longshore(run).faults(format!("{}=exit", point.0)).run();
        assert!(dead.was_killed(), "{}\n{dead}", point.0);
        if point != faults::SUBMIT_AFTER {
            wait_for("the workers that are left finish the job", || {
                (scene.status(&id)["state"] == "completed").then_some(())
            });
        }
        scene.longshore(run).env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
        settle(&scene, &id, point.0);
    }
}

#[test]
fn the_lost_answer_of_a_submit_is_no_second_submit() {
    let scene = scene();
    let id = scene.plan(&MORE);
    let faults = "answer.swap_job=1*do-then-error";
    let submitted = scene.longshore(["submit", &id, "--json"]).faults(faults).run().ok();
    assert_eq!(submitted.json()["submitted"], "now", "its own write is recognised\n{submitted}");
    settle(&scene, &id, "a lost answer");
}

#[test]
fn two_commands_at_the_same_time_make_one_plan_and_one_job() {
    let scene = scene();
    let plans = [(), ()].map(|()| scene.plan_program("events", "*", &MORE).spawn());
    let ids = plans.map(|plan| plan.wait().ok().json()["plan_id"].clone());
    assert_eq!(ids[0], ids[1]);
    let id = ids[0].as_str().expect("an id");
    let runs = [(), ()].map(|()| {
        scene.longshore(["run", id, "--workers", "1"]).env("LONGSHORE_LEASE", LONG_LEASE).spawn()
    });
    for run in runs {
        run.wait().ok();
    }
    settle(&scene, id, "two runs at once");
    assert!(scene.tasks().0.iter().all(|task| task.epoch == 1), "{:?}", scene.tasks());
}
