//! `plan copy --remote`: a table of another server, through a named collection.

use longshore_tests::{Program, Scene};

/// A copy of `source` as the server itself sees it from outside.
fn copy(scene: &Scene, more: &[&str]) -> Program {
    let peer = scene.bed.first.clone();
    let chunks = ["--chunk-bytes", "50K", "--remote", &peer, "--remote-plain"];
    scene.copy_program("source", "events", &chunks).args(more)
}

fn with_address(scene: &Scene, more: &[&str]) -> Program {
    let (url, user) = (scene.bed.clickhouse_url.clone(), scene.bed.user.clone());
    copy(scene, &["--remote-url", &url, "--remote-user", &user])
        .args(more)
        .env("LONGSHORE_REMOTE_PASSWORD", &scene.bed.password)
}

fn load(scene: &Scene, plan: &serde_json::Value) {
    let id = plan["plan_id"].as_str().expect("a plan id");
    scene.longshore(["run", id, "--workers", "2"]).run().ok();
    scene.assert_exact();
    scene.assert_clean(id);
}

#[test]
fn a_table_of_another_server_is_cut_by_its_index() {
    let scene = Scene::with_source(2, 2_000);
    let plan = with_address(&scene, &[]).run().ok().json();
    assert!(plan["chunks"].as_u64().expect("chunks") > 4, "{plan}");
    assert!(!plan["notes"].to_string().contains("partitions alone"), "{plan}");
    load(&scene, &plan);
}

#[test]
fn without_an_address_it_is_cut_by_partitions() {
    let scene = Scene::with_source(2, 2_000);
    let plan = copy(&scene, &[]).run().ok().json();
    assert_eq!((plan["chunks"].as_u64(), plan["rows"].as_u64()), (Some(4), Some(4_000)), "{plan}");
    assert!(plan["notes"].to_string().contains("partitions alone"), "{plan}");
    load(&scene, &plan);
}

#[test]
fn a_password_of_the_other_server_is_told_to_nobody() {
    let scene = Scene::with_source(1, 10);
    let program = with_address(&scene, &[]).env("LONGSHORE_REMOTE_PASSWORD", "not-the-password-9");
    let said = program.run();
    assert!(!said.to_string().contains("not-the-password-9"), "{said}");
    assert!(
        said.to_string().contains("Authentication failed") || said.to_string().contains("password"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let scene = Scene::with_source(1, 10);
    let said = scene
        .copy_program("source", "events", &["--remote", "no_such_collection", "--remote-plain"])
        .run();
    assert!(said.to_string().contains("no_such_collection"), "{said}");
    let said = copy(&scene, &["--snapshot"]).run().exits_with(2);
    said.says(&["--snapshot links parts", "--remote is another"]);
}
