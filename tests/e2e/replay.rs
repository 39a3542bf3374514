//! `plan replay`: the target of a view again, through the view's own query.

use longshore_tests::{Program, Scene};

/// A scene whose `events` hold rows, and whose view targets were emptied.
fn scene(rows: u64) -> Scene {
    let scene = Scene::with_events(0, 0);
    scene.put_into("events", "first", rows);
    scene.put_into("events", "second", rows);
    scene.admin.run(&format!("TRUNCATE TABLE {}.daily", scene.db));
    scene.admin.run(&format!("TRUNCATE TABLE {}.buys", scene.db));
    scene
}

/// `plan replay` of views of the scene's database.
fn replay(scene: &Scene, views: &[&str], more: &[&str]) -> Program {
    let mut args: Vec<String> = ["plan", "replay", "--json"].map(str::to_owned).to_vec();
    for view in views {
        args.extend(["--view".to_owned(), format!("{}.{view}", scene.db)]);
    }
    scene.longshore(&args).args(more)
}

/// Plans a replay and runs it with two workers; the plan.
fn replayed(scene: &Scene, views: &[&str], more: &[&str]) -> serde_json::Value {
    let plan = replay(scene, views, more).run().ok().json();
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_clean(id);
    plan
}

#[test]
fn a_view_fills_its_target_again_and_nothing_else() {
    let scene = scene(2_000);
    let plan = replayed(&scene, &["daily_mv"], &[]);
    assert_eq!(plan["rows"], 4_000, "{plan}");
    assert_eq!(plan["chunks"], 4, "a chunk a month: {plan}");
    scene.assert_view("daily_mv");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.buys", scene.db)), 0);
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), 4_000);
}

#[test]
fn a_view_with_a_table_of_its_own_is_filled_again() {
    let scene = scene(1_000);
    replayed(&scene, &["buys"], &[]);
    scene.assert_view("buys");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.daily", scene.db)), 0);
}
