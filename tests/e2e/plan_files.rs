//! Plans as files: exported, deleted, imported, compared.

use std::fs;

use longshore_tests::{LONG_LEASE, Scene};

/// One task a file.
const MORE: [&str; 2] = ["--chunk-files-max", "1"];

/// Exports a plan; the path of the file and its text.
fn export(scene: &Scene, plan: &str, name: &str) -> (String, String) {
    let path = scene.folder().join(name).display().to_string();
    scene.longshore(["plan", "export", plan, &path]).run().ok();
    let text = fs::read_to_string(&path).expect("the file was written");
    (path, text)
}

fn delete(scene: &Scene, plan: &str) {
    scene.longshore(["plan", "delete", plan, "--yes"]).run().ok();
}

#[test]
fn a_plan_travels_as_a_file_and_stays_what_it_is() {
    let scene = Scene::with_events(4, 200);
    let id = scene.plan(&["--chunk-files-max", "1", "--again", "twice"]);
    let (path, text) = export(&scene, &id, "plan.json");
    let shown = scene.longshore(["plan", "export", &id, "-"]).run().ok();
    assert_eq!(shown.stdout, text, "standard output gets the same file");
    let again = scene.longshore(["plan", "import", &path, "--json"]).run().ok().json();
    assert_eq!((&again["plan_id"], &again["created"]), (&id.clone().into(), &false.into()));

    delete(&scene, &id);
    scene.longshore(["plan", "show", &id]).run().exits_with(2);
    assert!(scene.tasks().0.is_empty(), "{:?}", scene.tasks());
    assert_eq!(scene.orphans(), Vec::<String>::new());

    let made = scene.longshore(["plan", "import", "-", "--json"]).input(&text).run().ok().json();
    assert_eq!((&made["plan_id"], &made["created"]), (&id.clone().into(), &true.into()));
    let again = scene.longshore(["plan", "import", &path, "--json"]).run().ok().json();
    assert_eq!(again["created"], false, "importing twice changes nothing");
    assert_eq!(export(&scene, &id, "again.json").1, text, "the same plan gives the same file");
    assert_eq!(scene.plan(&["--chunk-files-max", "1", "--again", "twice"]), id, "and the same id");
    scene.longshore(["submit", &id]).run().ok();
    scene.settle(&id, "after an import");
}

#[test]
fn a_plan_runs_elsewhere_only_when_it_is_forced() {
    let (scene, other) = (Scene::with_events(3, 200), Scene::new());
    let id = scene.plan(&MORE);
    let (path, _) = export(&scene, &id, "plan.json");
    let refused = other.longshore(["plan", "import", &path]).run().exits_with(6);
    refused.says(&["another environment", "--force-environment"]);
    assert!(other.tasks().0.is_empty(), "nothing is written");
    let import = ["plan", "import", &path, "--force-environment", "--json"];
    let made = other.longshore(import).run().ok().json();
    assert_eq!((&made["plan_id"], &made["created"]), (&id.clone().into(), &true.into()));
    other.longshore(["run", &id, "--workers", "1"]).env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    scene.assert_exact();
    let differ = ["plan", "diff", &id, &path, "--exit-code", "--json"];
    let differ = other.longshore(differ).run().exits_with(8).json();
    let fields = differ["spec"].as_array().expect("a list").iter();
    let fields: Vec<&str> = fields.filter_map(|line| line["field"].as_str()).collect();
    assert_eq!(fields, ["environment", "servers[0].uuid"], "{differ}");
}

#[test]
fn a_torn_or_edited_file_is_no_plan() {
    let scene = Scene::with_events(2, 50);
    let id = scene.plan(&MORE);
    let (path, text) = export(&scene, &id, "plan.json");
    delete(&scene, &id);
    let import = |text: &str| {
        fs::write(&path, text).expect("a writable folder");
        scene.longshore(["plan", "import", &path]).run().exits_with(2)
    };
    import(&text[..text.len() / 2]).says(&["ends in the middle"]);
    import(&text.replace("events-001", "events-000")).says(&["edited after the export", "chunks"]);
    import("hello").says(&["no JSON"]);
    scene.longshore(["plan", "import", "nowhere.json"]).run().exits_with(2).says(&["cannot read"]);
    assert!(scene.tasks().0.is_empty(), "nothing is written");
}

#[test]
fn what_the_plan_relies_on_must_be_there() {
    let scene = Scene::with_source(2, 200);
    scene.put_rows("file.parquet", 100, longshore_tests::Format::Parquet);
    let snapshot = scene.plan_copy(&["--snapshot", "--chunk-bytes", "8K"]);
    let files = scene.plan(&MORE);
    let plans = [(&snapshot, "snapshot.json"), (&files, "files.json")]
        .map(|(id, name)| (id.clone(), export(&scene, id, name).0));
    let [(_, snapshot_file), (_, files_file)] = &plans;
    // Beside the plan that is there nothing has to be.
    scene.longshore(["plan", "import", snapshot_file]).run().ok();
    for (id, _) in &plans {
        delete(&scene, id);
    }
    assert!(scene.staged().is_empty(), "the snapshot went with its plan: {:?}", scene.staged());
    let import = |file: &str| scene.longshore(["plan", "import", file]).run();
    import(snapshot_file).exits_with(6).says(&["reads the snapshot", "is not here"]);
    scene.admin.run(&format!("ALTER TABLE {}.events ADD COLUMN late UInt8", scene.db));
    import(files_file).exits_with(6).says(&["was altered"]);
    scene.admin.run(&format!("DROP TABLE {}.daily_mv", scene.db));
    scene.admin.run(&format!("ALTER TABLE {}.events DROP COLUMN late", scene.db));
    import(files_file).exits_with(6).says(&["fired on"]);
    assert!(scene.tasks().0.is_empty(), "nothing is written: {:?}", scene.tasks());
}

#[test]
fn a_plan_that_publishes_at_its_end_makes_its_shadows_again() {
    let scene = Scene::for_swaps(&longshore_tests::Bed::from_env()).and_events(3, 200);
    let id = scene.plan(&["--chunk-files-max", "1", "--publish", "exchange"]);
    let (path, text) = export(&scene, &id, "plan.json");
    assert!(!text.contains("_shadow_"), "shadows are made again, so they are not in the file");
    delete(&scene, &id);
    let tables = format!("SELECT count() FROM system.tables WHERE name LIKE '%_shadow_{id}%'");
    assert_eq!(scene.admin.number(&tables), 0);
    scene.longshore(["plan", "import", &path]).run().ok();
    assert_eq!(scene.admin.number(&tables), 1);
    assert_eq!(export(&scene, &id, "again.json").1, text);
    scene.longshore(["run", &id, "--workers", "2"]).run().ok();
    let rows = scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db));
    assert_eq!(rows, 3 * 200);
    // The old table is kept, and is not the plan's to delete.
    delete(&scene, &id);
    let kept = format!("SELECT count() FROM {}.events_before_{id}", scene.db);
    assert_eq!(scene.admin.number(&kept), 0, "it is there, and was empty");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), rows);
}

#[test]
fn no_secret_is_in_a_file() {
    let scene = Scene::with_events(2, 50);
    let (target, url) = (format!("{}.events", scene.db), scene.url("*.parquet"));
    let args = ["plan", "files", "--json", "--target", &target, "--url", &url];
    let planned = scene
        .longshore(args)
        .args(["--source-function", "s3"])
        .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key)
        .run()
        .ok()
        .json();
    let id = planned["plan_id"].as_str().expect("a plan id");
    let (path, text) = export(&scene, id, "plan.json");
    let explained = scene
        .longshore(["explain", &format!("{id}-0000000"), "--json"])
        .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key)
        .run()
        .ok();
    let compared = scene.longshore(["plan", "diff", id, &path]).run().ok();
    for (place, text) in
        [("file", text), ("explain", format!("{explained}")), ("diff", format!("{compared}"))]
    {
        for secret in [&scene.bed.secret_access_key, &scene.bed.password] {
            assert!(!text.contains(secret.as_str()), "a secret in: {place}");
        }
    }
    // A condition of the user that holds the password of the connection.
    let filter = format!("file != '{}'", scene.bed.password);
    let leaky = scene.plan(&["--where", &filter]);
    let refused = scene.longshore(["plan", "export", &leaky, "-"]).run().exits_with(2);
    assert!(!format!("{refused}").contains(&scene.bed.password), "not told either");
}

#[test]
fn plans_are_compared() {
    let scene = Scene::with_events(4, 50);
    let id = scene.plan(&MORE);
    let (path, _) = export(&scene, &id, "plan.json");
    let diff = |a: &str, b: &str, code: i32| {
        let args = ["plan", "diff", a, b, "--exit-code", "--json"];
        scene.longshore(args).run().exits_with(code).json()
    };
    assert_eq!(diff(&id, &path, 0)["same"], true);
    assert_eq!(diff(&path, &path, 0)["same"], true);
    scene.delete("events-001.parquet");
    scene.put_rows("events-002.parquet", 60, longshore_tests::Format::Parquet);
    scene.put_rows("events-009.parquet", 60, longshore_tests::Format::Parquet);
    let other = scene.plan(&["--chunk-files-max", "1", "--where", "n > 5"]);
    let found = diff(&path, &other, 8);
    let names = |list: &str, name: &str| -> Vec<String> {
        let list = found[list].as_array().expect("a list");
        list.iter().map(|line| line[name].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(names("spec", "field"), ["filter"]);
    let files = names("files", "path");
    assert_eq!(files.len(), 3, "{files:?}");
    for (path, name) in files.iter().zip(["events-001", "events-002", "events-009"]) {
        assert!(path.contains(name), "{path}");
    }
    assert_eq!(found["chunks"].as_array().map(Vec::len), Some(3), "{found}");
    scene.longshore(["plan", "diff", &id, &other]).run().ok().says(&["filter", "+ n > 5"]);
}
