//! H2: two planners of the same table that cut it at different places. Rows of one must never be
//! taken for rows of the other.

use longshore_tests::{Scene, wait_for};

/// Small chunks of a table in many parts: a merge moves the borders.
const MORE: [&str; 3] = ["--no-snapshot", "--chunk-bytes", "100K"];
const ROWS: u64 = 10_000;

/// Five parts whose keys lie between each other's: each has borders of its own.
fn scene() -> Scene {
    let scene = Scene::with_events(0, 0);
    for table in ["source", "target"] {
        scene.create(&format!(
            "CREATE TABLE {{db}}.{table} (k UInt64, v String) ENGINE = MergeTree ORDER BY k SETTINGS index_granularity = 100;"
        ));
    }
    for part in 0..5 {
        scene.admin.run(&format!(
            "INSERT INTO {}.source SELECT number * 5 + {part}, repeat('x', {part} * 40) FROM numbers({})",
            scene.db,
            ROWS / 5
        ));
    }
    scene
}

/// For others who need a table that a merge cuts elsewhere.
pub(super) fn scene_and_flags() -> (Scene, [&'static str; 3]) {
    (scene(), MORE)
}

fn plan(scene: &Scene) -> longshore_tests::Program {
    scene.copy_program("source", "target", &MORE)
}

/// The job ends as completed, and every row is in the target once.
fn ends_well(scene: &Scene, job: &str) {
    scene.finish(job);
    let status = scene.status(job);
    assert_eq!(status["state"], "completed", "{status}");
    let found =
        scene.admin.rows(&format!("SELECT count(), uniqExact(k), sum(k) FROM {}.target", scene.db));
    let sum = ROWS * (ROWS - 1) / 2;
    assert_eq!(found, [[ROWS.to_string(), ROWS.to_string(), sum.to_string()]]);
}

/// What the first four tasks load.
fn chunks(scene: &Scene) -> Vec<String> {
    let tasks = format!("{}.tasks", scene.control);
    scene.admin.column(&format!("SELECT hex(chunk) FROM {tasks} ORDER BY task_id LIMIT 4"))
}

/// The borders of the chunks move, the content stays.
fn merge(scene: &Scene) {
    scene.admin.run(&format!("OPTIMIZE TABLE {}.source FINAL", scene.db));
}

#[test]
fn a_planner_was_killed_and_the_table_was_merged_before_the_next() {
    let scene = scene();
    let killed = plan(&scene).faults("batch=2;plan.batch=1*off->exit").run();
    assert!(killed.was_killed(), "{killed}");
    let control = &scene.control;
    let left = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(left, 4, "tasks of the first planner");
    let before = chunks(&scene);
    merge(&scene);
    let made = plan(&scene).run().ok().json();
    let id = made["plan_id"].as_str().expect("a plan id");
    let number = made["chunks"].as_u64().expect("a number of chunks");
    let tasks = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(tasks, number, "no task is left of the other cut");
    assert_ne!(
        chunks(&scene),
        before,
        "the merge has moved the borders, or this test shows nothing"
    );
    scene.longshore(["submit", id]).run().ok();
    ends_well(&scene, id);
}

#[test]
fn two_planners_at_the_same_time_cut_differently() {
    let scene = scene();
    let gate = scene.folder().join("gate");
    let wait = format!("batch=2;plan.batch=1*off->1*until({})->off", gate.display());
    let first = plan(&scene).faults(wait).spawn();
    wait_for("the first planner has written tasks", || {
        first.words().contains("until(").then_some(())
    });
    merge(&scene);
    let second = plan(&scene).run().ok().json();
    std::fs::write(&gate, "").expect("a writable folder");
    let first = first.wait().ok().json();
    assert_eq!(first["plan_id"], second["plan_id"], "the same rows are the same plan");
    assert_eq!((&first["created"], &second["created"]), (&false.into(), &true.into()));
    let id = second["plan_id"].as_str().expect("a plan id");
    scene.longshore(["submit", id]).run().ok();
    ends_well(&scene, id);
}

#[test]
fn a_plan_that_is_not_whole_cannot_be_submitted_and_can_be_deleted() {
    let scene = scene();
    let killed = plan(&scene).faults("plan.tasks=exit").run();
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
    let made = plan(&scene).run().ok().json();
    let id = made["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["submit", &id]).run().ok();
    scene.longshore(["pause", &id]).run().ok();
    let control = &scene.control;
    scene.admin.run(&format!("DELETE FROM {control}.tasks WHERE task_id = '{id}-0000001'"));
    merge(&scene);
    let again = plan(&scene).run();
    again.exits_with(6).says(&["cannot be made again", "--again"]);
    let left = scene.admin.number(&format!("SELECT count() FROM {control}.tasks"));
    assert_eq!(left + 1, scene.status(&id)["tasks"]["total"].as_u64().expect("a number"));
}
