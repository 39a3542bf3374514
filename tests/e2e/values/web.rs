//! Files on the web: a server there can leave a file out without a word, so their rows are counted.

use longshore_tests::{Scene, Web, WebFile};

const DDL: &str = "CREATE TABLE {db}.t (id UInt64) ENGINE = MergeTree ORDER BY id;\n";

fn list(web: &Web, names: &[&str]) -> String {
    names.iter().map(|name| web.url(name) + "\n").collect()
}

fn plan(scene: &Scene, list: &str, format: &str, more: &[&str]) -> String {
    let target = format!("{}.t", scene.db);
    let args = ["plan", "files", "--json", "--target", &target, "--files", "-", "--format", format];
    let planned = scene.longshore(args).args(more).input(list).run().ok();
    planned.json()["plan_id"].as_str().expect("a plan id").to_owned()
}

#[test]
fn a_file_that_answers_not_found_fails_its_task() {
    let csv = "id\n1\n2\n3\n";
    let json = "{\"id\":1}\n{\"id\":2}\n";
    let cases: [(&str, &str, &[&str]); 4] = [
        ("CSVWithNames", csv, &[]),
        ("CSVWithNames", csv, &["--where", "id > 1"]),
        ("CSVWithNames", csv, &["--select", "id + 1 AS id"]),
        ("JSONEachRow", json, &[]),
    ];
    for (format, text, more) in cases {
        let scene = Scene::new();
        scene.create(DDL);
        let file = |name: &str| WebFile::new(name, text);
        let web = Web::start(vec![file("/1"), WebFile::gone("/2-gone"), file("/3")]);
        let id = plan(&scene, &list(&web, &["/1", "/2-gone", "/3"]), format, more);
        let ended = scene.longshore(["run", &id, "--workers", "1"]).run();
        assert_ne!(ended.code(), Some(0), "{format} {more:?}: {ended}");
        let error = scene.tasks().0[0].error.clone();
        assert!(error.contains("2-gone"), "{format} {more:?}: {error}");
        assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.t", scene.db)), 0);
    }
}

#[test]
fn settings_reach_the_count_of_files_on_the_web() {
    let scene = Scene::new();
    scene.create(DDL);
    let web = Web::start(vec![WebFile::new("/1.csv", "Report of 2024\nid\n1\n2\n")]);
    let more = ["--settings", "input_format_csv_skip_first_lines=1"];
    let id = plan(&scene, &list(&web, &["/1.csv"]), "CSVWithNames", &more);
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.t", scene.db)), 2);
}
