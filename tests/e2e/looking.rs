//! What `explain` and `task` tell is what the server was really asked.

use longshore_tests::Scene;
use serde_json::Value;

const MORE: [&str; 2] = ["--chunk-files-max", "1"];

fn json(scene: &Scene, line: &[&str]) -> Value {
    scene.longshore(line).args(["--json"]).run().ok().json()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

/// The statement that was explained is the one in the server's log, letter by letter.
fn assert_sent(scene: &Scene, explained: &Value) {
    let sql = &explained["sql"];
    assert_eq!(sql["from"], "plan");
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let id = text(sql, "query_id");
    let log = format!("FROM system.query_log WHERE query_id = '{id}' AND type = 'QueryFinish'");
    let sent = scene.admin.column(&format!("SELECT hex(query) {log}"));
    let explained: Vec<String> =
        text(sql, "text").bytes().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(sent, [explained.concat()], "{id}");
    // These depend on how many loads run at the same time; `explain` takes two.
    let by_loads = ["max_threads", "max_insert_threads", "min_insert_block_size_bytes"];
    let settings = sql["settings"].as_object().expect("settings").iter();
    for (name, value) in settings.filter(|(name, _)| !by_loads.contains(&name.as_str())) {
        // The server logs those that differ from its defaults.
        let logged = scene.admin.column(&format!("SELECT Settings['{name}'] {log}"));
        let value = value.as_str().expect("a text");
        assert!(logged == [value] || logged == [""], "{name} = {value}, logged {logged:?}");
    }
}

#[test]
fn a_chunk_is_explained_as_it_is_loaded() {
    let scene = Scene::with_events(2, 200);
    let id = scene.plan(&MORE);
    let files = json(&scene, &["explain", &format!("{id}-0000001")]);
    assert_eq!((&files["number"], &files["chunks"]), (&1.into(), &2.into()));
    assert_eq!(files["budget_files"], 1);
    scene.longshore(["submit", &id]).run().ok();
    scene.finish(&id);
    assert_sent(&scene, &files);

    let scene = Scene::with_source(2, 2_000);
    for more in
        [vec!["--chunk-bytes", "64K"], vec!["--chunk-bytes", "64K", "--snapshot", "--again", "x"]]
    {
        let id = scene.plan_copy(&more);
        let chunk = json(&scene, &["explain", &format!("{id}-0000001")]);
        let bounds = (&chunk["slice"]["rows_min"], &chunk["slice"]["rows_max"]);
        let rows = chunk["index"]["rows"].as_u64().expect("a number");
        assert!(rows >= bounds.0.as_u64().expect("a number"), "{chunk}");
        assert!(chunk["index"]["granules"].as_u64() > Some(0), "{chunk}");
        assert!(chunk["reasons"].as_array().expect("a list").len() >= 3, "{chunk}");
        scene.longshore(["submit", &id]).run().ok();
        scene.finish(&id);
        assert_sent(&scene, &chunk);
        scene.admin.run(&format!("TRUNCATE TABLE {}.events", scene.db));
    }
}

#[test]
fn a_task_tells_its_whole_story() {
    let scene = Scene::with_events(1, 200);
    let id = scene.submit(&MORE);
    let task = format!("{id}-0000000");
    let died = scene.worker(&id).faults("load.after=1*exit").run();
    assert!(died.was_killed(), "{died}");
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let midway = json(&scene, &["task", &task]);
    assert_eq!(
        (&midway["state"], &midway["sql"]["from"]),
        (&"claimed".into(), &"query_log".into())
    );
    scene.finish_all(&id);
    scene.settle(&id, "after a worker that died");
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let told = json(&scene, &["task", &task]);
    let statements = told["statements"].as_array().expect("a list");
    let loads: Vec<(&Value, &Value)> = statements
        .iter()
        .filter(|line| line["step"] == "load")
        .map(|line| (&line["epoch"], &line["standing"]))
        .collect();
    let finished: Value = "finished".into();
    assert_eq!(loads, [(&1.into(), &finished), (&2.into(), &finished)], "{told:#}");
    let moves = statements.iter().filter(|line| text(line, "step").starts_with("move-"));
    assert!(moves.count() > 0, "{told:#}");
    for line in statements {
        assert!(text(line, "query_id").starts_with(&task), "{line}");
    }
    let load = statements.iter().find(|line| line["step"] == "load").expect("a load");
    assert!(load["read_rows"].as_u64() >= Some(200) && load["memory_bytes"].as_u64() > Some(0));
    assert_eq!(text(&told["sql"], "query_id"), format!("{task}-2-load"));
    let shown = scene.longshore(["task", &task]).run().ok();
    shown.says(&["Timeline:", &format!("{task}-1-load"), "taken over", "INSERT INTO `longshore_s"]);
}

#[test]
fn tasks_are_chosen_by_a_condition() {
    let scene = Scene::with_events(3, 100);
    scene.put_bytes("broken.parquet", b"no Parquet at all");
    let id =
        scene.submit(&["--chunk-files-max", "1", "--attempts-max", "1", "--structure", STRUCTURE]);
    scene.worker(&id).run();
    let chosen = |condition: &str| -> usize {
        let list = json(&scene, &["tasks", &id, "--where", condition]);
        list["tasks"].as_array().expect("a list").len()
    };
    assert_eq!(chosen("state=failed"), 1);
    assert_eq!(chosen("error~'broken.parquet' and attempts=1"), 1);
    assert_eq!(chosen("not state=failed"), 3);
    assert_eq!(chosen("rows=100 and number>=0"), 3);
    assert_eq!(chosen("rows>100 or error~'timed out'"), 0);
}

/// Columns of the files, so that the broken one is not asked for them.
const STRUCTURE: &str =
    "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
