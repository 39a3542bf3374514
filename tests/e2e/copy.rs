//! `plan copy`: every row of a table once in another, and in the targets of its views.

use longshore_tests::Scene;

#[test]
fn a_copy_is_exact_in_the_target_and_in_both_views() {
    let scene = Scene::with_source(3, 2_000);
    let planned = scene.copy_program("source", "events", &["--chunk-bytes", "64K"]).run().ok();
    let plan = planned.json();
    assert_eq!(plan["rows"], 6_000, "{plan}");
    assert!(plan["chunks"].as_u64().expect("chunks") >= 4, "a chunk a month at least: {plan}");
    let id = plan["plan_id"].as_str().expect("a plan id");

    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_exact();
    scene.assert_clean(id);
    scene.assert_receipts(id);
    let status = scene.status(id);
    assert_eq!(status["state"], "completed");
    assert_eq!(status["rows"], 6_000);
    assert_eq!(status["bytes"], plan["bytes"]);
}

#[test]
fn a_table_is_not_copied_into_itself() {
    let scene = Scene::with_source(1, 10);
    let said = scene.copy_program("source", "source", &[]).run().exits_with(2);
    said.says(&["cannot be copied into itself"]);
}
