//! Whose fault a failed load is: one odd file fails its task, and what every task meets pauses the job.

use longshore_tests::{Scene, Web, WebFile};

/// Exit code of a job that ended with failed tasks, or is paused.
const EXIT_JOB_FAILED: i32 = 3;

/// A view that shows a time in the zone of each row: a zone that is none is BAD_ARGUMENTS, which a
/// wrong statement gives as well.
const ZONES: &str = "
CREATE TABLE {db}.texts (id UInt32, text String) ENGINE = MergeTree ORDER BY id;
CREATE MATERIALIZED VIEW {db}.times_mv ENGINE = MergeTree ORDER BY shown AS
SELECT toString(toDateTime(id, 'UTC'), text) AS shown FROM {db}.texts;
";

fn rows(id: u32, text: &str) -> Vec<u8> {
    format!("id,text\n{id},{text}\n").into_bytes()
}

const GOOD: &str = "UTC";

#[test]
fn a_code_that_wrong_statements_have_too_fails_one_task_when_its_rows_are_at_fault() {
    let scene = Scene::new();
    scene.create(ZONES);
    for (file, text) in [("1.csv", GOOD), ("2.csv", "Nowhere"), ("3.csv", GOOD)] {
        scene.put_bytes(file, &rows(7, text));
    }
    let id = scene.plan_into("texts", "*.csv", &["--chunk-files-max", "1"]);
    let run = scene.longshore(["run", &id, "--workers", "1"]).run();
    let view = format!("view {}.times_mv", scene.db);
    run.exits_with(EXIT_JOB_FAILED).says(&["2.csv", "BAD_ARGUMENTS", &view]);
    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (2, 1), "{tasks:?}");
    assert_eq!(scene.status(&id)["state"], "failed");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.texts", scene.db)), 2);
}

#[test]
fn the_files_at_fault_are_named_among_many_of_one_task() {
    let scene = Scene::new();
    scene.create(ZONES);
    for file in 0..9 {
        let text = if file == 3 || file == 7 { "Nowhere" } else { GOOD };
        scene.put_bytes(&format!("file-{file}.csv"), &rows(file, text));
    }
    let id = scene.plan_into("texts", "*.csv", &[]);
    scene.longshore(["run", &id, "--workers", "1"]).run().exits_with(EXIT_JOB_FAILED);
    let error = scene.tasks().0[0].error.clone();
    for file in 0..9 {
        let is_named = error.contains(&format!("file-{file}.csv"));
        assert_eq!(is_named, file == 3 || file == 7, "file-{file}.csv: {error}");
    }
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.texts", scene.db)), 0);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[test]
fn a_file_at_fault_is_named_among_hundreds_of_one_task() {
    let scene = Scene::new();
    scene.create(ZONES);
    for file in 0..230 {
        let text = if file == 227 { "Nowhere" } else { GOOD };
        scene.put_bytes(&format!("file-{file:03}.csv"), &rows(file, text));
    }
    let id = scene.plan_into("texts", "*.csv", &[]);
    scene.longshore(["run", &id, "--workers", "1"]).run().exits_with(EXIT_JOB_FAILED);
    let error = scene.tasks().0[0].error.clone();
    assert!(error.starts_with("file ") && error.contains("file-227.csv"), "{error}");
}

#[test]
fn the_view_at_fault_is_named_where_it_reads_what_another_view_wrote() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.texts (id UInt32, text String) ENGINE = MergeTree ORDER BY id;
CREATE TABLE {db}.middle (id UInt32, text String) ENGINE = MergeTree ORDER BY id;
CREATE MATERIALIZED VIEW {db}.middle_mv TO {db}.middle AS SELECT id, text FROM {db}.texts;
CREATE TABLE {db}.numbers (number UInt8) ENGINE = MergeTree ORDER BY number;
CREATE MATERIALIZED VIEW {db}.deep_mv TO {db}.numbers AS SELECT toUInt8(text) AS number FROM {db}.middle;
",
    );
    scene.put_bytes("1.csv", &rows(1, "none"));
    let id = scene.plan_into("texts", "*.csv", &[]);
    let run = scene.longshore(["run", &id, "--workers", "1"]).run();
    run.exits_with(EXIT_JOB_FAILED).says(&["1.csv", &format!("view {}.deep_mv", scene.db)]);
}

#[test]
fn a_statement_that_is_wrong_for_every_file_pauses_the_job() {
    let scene = Scene::new();
    scene.create("CREATE TABLE {db}.ids (id UInt32) ENGINE = MergeTree ORDER BY id;\n");
    for file in ["1.csv", "2.csv"] {
        scene.put_bytes(file, b"id\n7\n");
    }
    let function = format!("twice_{}", scene.db);
    scene.admin.run(&format!("CREATE FUNCTION {function} AS x -> x * 2"));
    let select = format!("toUInt32({function}(id)) AS id");
    let more = ["--chunk-files-max", "1", "--select", select.as_str()];
    let id = scene.plan_into("ids", "*.csv", &more);
    scene.admin.run(&format!("DROP FUNCTION {function}"));
    let run = scene.longshore(["run", &id, "--workers", "1"]).run();
    run.exits_with(EXIT_JOB_FAILED).says(&["is paused", &function]);
    let tasks = scene.tasks();
    assert!(tasks.all("pending"), "{tasks:?}");
    // Once the cause is gone it goes on.
    scene.admin.run(&format!("CREATE FUNCTION {function} AS x -> x * 2"));
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    scene.admin.run(&format!("DROP FUNCTION {function}"));
    assert_eq!(scene.admin.number(&format!("SELECT sum(id) FROM {}.ids", scene.db)), 28);
}

/// A plan of these files as one chunk; its id and its notes.
fn ids_of_the_web(files: Vec<WebFile>, pattern: &str) -> (Scene, Web, String, String) {
    let (scene, web) = (Scene::new(), Web::start(files));
    scene.create("CREATE TABLE {db}.ids (id UInt32) ENGINE = MergeTree ORDER BY id;\n");
    let target = format!("{}.ids", scene.db);
    let plan = scene.longshore(["plan", "files", "--json", "--target", &target, "--url"]);
    let more = ["--format", "CSVWithNames", "--structure", "id UInt32"];
    let plan = plan.args([web.url(pattern).as_str()]).args(more).run().ok();
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    (scene, web, id, plan.json()["notes"].to_string())
}

#[test]
fn a_file_of_the_web_that_is_gone_is_missed_among_others_of_its_chunk() {
    let files = vec![WebFile::new("/a.csv", "id\n1\n"), WebFile::gone("/b.csv")];
    let (scene, _web, id, notes) = ids_of_the_web(files, "/{a,b}.csv");
    assert!(!notes.contains("time of change"), "{notes}");
    let run = scene.longshore(["run", &id, "--workers", "1"]).run();
    run.exits_with(EXIT_JOB_FAILED).says(&["/b.csv", "404"]);
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.ids", scene.db)), 0);
}

#[test]
fn files_of_the_web_that_tell_no_time_are_told() {
    let files =
        vec![WebFile::new("/a.csv", "id\n1\n").timeless(), WebFile::new("/b.csv", "id\n2\n")];
    let (scene, _web, id, notes) = ids_of_the_web(files, "/{a,b}.csv");
    assert!(notes.contains("no time of change for 1 file, as /a.csv"), "{notes}");
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    assert_eq!(scene.admin.number(&format!("SELECT sum(id) FROM {}.ids", scene.db)), 3);
}
