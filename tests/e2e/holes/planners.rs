//! H2: two planners of the same table that cut it at different places. Rows of one must never be
//! taken for rows of the other.

use longshore_tests::{Scene, wait_for};

/// Small chunks of a table in many parts: a merge moves the borders.
const MORE: [&str; 3] = ["--no-snapshot", "--chunk-bytes", "20K"];

fn scene() -> Scene {
    Scene::with_source(6, 500)
}

/// The borders of the chunks move, the content stays.
fn merge(scene: &Scene) {
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
}

#[test]
fn a_planner_was_killed_and_the_table_was_merged_before_the_next() {
    let scene = scene();
    let killed = scene
        .copy_program("source", "events", &MORE)
        .faults("batch=2;plan.batch=1*off->exit")
        .run();
    assert!(killed.was_killed(), "{killed}");
    let control = &scene.control;
    let left = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(left, 4, "tasks of the first planner");
    merge(&scene);
    let plan = scene.copy_program("source", "events", &MORE).run().ok().json();
    let id = plan["plan_id"].as_str().expect("a plan id");
    let chunks = plan["chunks"].as_u64().expect("a number of chunks");
    let tasks = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(tasks, chunks, "no task is left of the other cut");
    scene.longshore(["submit", id]).run().ok();
    scene.settle(id, "a plan after another cut");
}

#[test]
fn two_planners_at_the_same_time_cut_differently() {
    let scene = scene();
    let gate = scene.folder().join("gate");
    let wait = format!("batch=2;plan.batch=1*off->1*until({})->off", gate.display());
    let first = scene.copy_program("source", "events", &MORE).faults(wait).spawn();
    wait_for("the first planner has written tasks", || {
        first.words().contains("until(").then_some(())
    });
    merge(&scene);
    let second = scene.copy_program("source", "events", &MORE).run().ok().json();
    std::fs::write(&gate, "").expect("a writable folder");
    let first = first.wait().ok().json();
    assert_eq!(first["plan_id"], second["plan_id"], "the same rows are the same plan");
    assert_eq!((&first["created"], &second["created"]), (&false.into(), &true.into()));
    let id = second["plan_id"].as_str().expect("a plan id");
    scene.longshore(["submit", id]).run().ok();
    scene.settle(id, "two planners");
}

#[test]
fn a_plan_that_is_not_whole_cannot_be_submitted_and_can_be_deleted() {
    let scene = scene();
    let killed = scene.copy_program("source", "events", &MORE).faults("plan.tasks=exit").run();
    assert!(killed.was_killed(), "{killed}");
    let jobs = scene.longshore(["plan", "list", "--json"]).run().ok().json();
    let plan = &jobs["plans"][0];
    assert_eq!(plan["state"], "planning", "{jobs}");
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["submit", id]).run().exits_with(6).says(&["not whole yet"]);
    scene.longshore(["status", id]).run().ok().says(&["planning", "the same longshore plan again"]);
    scene.longshore(["plan", "delete", id, "--yes"]).run().ok();
    let left = scene.admin.number(&format!("SELECT count() FROM {}.tasks", scene.control));
    assert_eq!(left, 0);
}

#[test]
fn lost_rows_of_a_paused_job_are_not_written_from_another_cut() {
    let scene = scene();
    let id = scene.submit_copy(&MORE);
    scene.longshore(["pause", &id]).run().ok();
    let control = &scene.control;
    scene.admin.run(&format!("DELETE FROM {control}.tasks WHERE task_id = '{id}-0000001'"));
    merge(&scene);
    let again = scene.copy_program("source", "events", &MORE).run();
    if again.code() == Some(0) {
        // The borders are where they were: then the row is the old one.
        scene.longshore(["resume", &id]).run().ok();
        return scene.settle(&id, "a row that was written again");
    }
    again.exits_with(6).says(&["cannot be made again", "--again"]);
    let left = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(left + 1, scene.status(&id)["tasks"]["total"].as_u64().expect("a number"));
}
