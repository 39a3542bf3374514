//! What is said when something is wrong: readable, where a person looks, with the way out.

use std::path::Path;

use longshore_tests::{Format, Program, Scene, wait_for};

/// Wrong input.
const EXIT_USAGE: i32 = 2;
/// Exit code of a job that ended with failed tasks, or is paused.
const EXIT_JOB_FAILED: i32 = 3;

/// A table whose view takes its texts for numbers.
const TEXTS: &str = "
CREATE TABLE {db}.texts (id UInt32, text String) ENGINE = MergeTree ORDER BY id;
CREATE TABLE {db}.numbers (number UInt8) ENGINE = MergeTree ORDER BY number;
CREATE MATERIALIZED VIEW {db}.numbers_mv TO {db}.numbers AS
SELECT toUInt8(text) AS number FROM {db}.texts;
";

#[test]
fn an_error_that_quotes_bytes_is_readable_everywhere_and_names_the_view() {
    let scene = Scene::new();
    scene.create(TEXTS);
    scene.put_bytes("1.csv", b"id,text\n1,7\n");
    scene.put_bytes("2.csv", b"id,text\n2,\xff\xfe\x1b[2Jz\n");
    let id = scene.plan_into("texts", "*.csv", &["--chunk-files-max", "1"]);
    let run = scene.longshore(["run", &id, "--workers", "1"]).run();
    let view = format!("view {}.numbers_mv", scene.db);
    run.exits_with(EXIT_JOB_FAILED).says(&["2.csv", "Cannot parse string '???[2Jz'", &view]);

    let tasks = scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (1, 1), "{tasks:?}");
    let failed = tasks.0.iter().find(|task| task.state == "failed").expect("a failed task");
    assert!(!failed.error.contains(&scene.staging), "{}", failed.error);
    // The log of the server holds the bytes, and so does what it knows of the statement.
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let task = scene.longshore(["task", &failed.id, "--json"]).run().ok();
    let statements = task.json()["statements"].to_string();
    assert!(statements.contains("Cannot parse string"), "{statements}");
    scene.longshore(["tasks", &id]).run().ok().says(&["2.csv"]);
    scene.longshore(["doctor", &id]).run().says(&["2.csv"]);
}

#[test]
fn an_error_of_a_plan_that_quotes_bytes_is_readable() {
    let scene = Scene::with_events(0, 0);
    scene.put_bytes("x.csv", b"PK\x03\x04\xff\xfe\xfa,\xc0\xc1\n\xff,\xfe\n");
    let plan = scene.plan_program("events", "x.csv", &["--format", "CSVWithNames"]).run();
    assert_ne!(plan.code(), Some(0), "{plan}");
    assert!(!plan.stderr.contains("HTTP port"), "the server is well: {plan}");
    plan.says(&["--format"]);
}

#[test]
fn what_keeps_a_task_from_being_published_is_told_while_it_lasts() {
    let scene = Scene::new();
    scene.create(
        "CREATE TABLE {db}.many (id UInt32) ENGINE = MergeTree PARTITION BY id ORDER BY id \
         SETTINGS max_parts_in_total = 5;\n",
    );
    let rows = (0..12).fold(String::new(), |rows, row| format!("{rows}{row}\n"));
    scene.put_bytes("many.csv", format!("id\n{rows}").as_bytes());
    let id = scene.plan_into("many", "many.csv", &[]);
    let run = scene.longshore(["run", &id, "--workers", "1"]).spawn();
    let (task, words) = (format!("{id}-0000000"), "cannot be published yet");

    let status = wait_for("the status says why", || {
        let status = scene.status(&id);
        let line = status["hindered"][0].clone();
        line["error"].as_str().is_some_and(|error| error.contains(words)).then_some(line)
    });
    assert_eq!(status["task_id"], task.as_str());
    let error = status["error"].as_str().expect("a text");
    assert!(error.contains("Too many parts") && error.contains("max_parts_in_total"), "{error}");
    scene.longshore(["status", &id]).run().ok().says(&[&task, words, "Too many parts"]);
    scene.longshore(["task", &task]).run().ok().says(&[words, "Too many parts", "by itself"]);
    scene.longshore(["tasks", &id, "--json"]).run().ok().says(&["Too many parts"]);
    let doctor = format!("longshore doctor --target {}.many", scene.db);
    scene.longshore(["doctor", &id]).run().exits_with(8).says(&[
        "Too many parts",
        "let merges catch up",
        &doctor,
    ]);
    wait_for("the run says why", || run.words().contains("Too many parts").then_some(()));

    scene
        .admin
        .run(&format!("ALTER TABLE {}.many MODIFY SETTING max_parts_in_total = 1000", scene.db));
    run.wait().ok().says(&["goes on"]);
    let tasks = scene.tasks();
    assert!(tasks.all("done") && tasks.0[0].error.is_empty(), "{tasks:?}");
    let rows =
        scene.admin.number(&format!("SELECT uniqExact(id) + count() FROM {}.many", scene.db));
    assert_eq!(rows, 24);
}

/// The folders of workers' logs among the temporary files of a scene.
fn logs(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("longshore-run-")).collect()
}

#[test]
fn logs_are_kept_unless_the_job_ended_well_and_their_folder_is_named_last() {
    let scene = Scene::with_events(1, 10);
    let temporary = scene.folder().to_string_lossy().into_owned();
    let run = |id: &str| {
        let run = scene.longshore(["run", id, "--workers", "1"]);
        run.env("TMPDIR", &temporary).run()
    };
    run(&scene.plan(&[])).ok();
    assert_eq!(logs(scene.folder()), Vec::<String>::new());

    scene.put_bytes("broken.parquet", b"PAR1 no file of this format PAR1");
    let structure = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
    let id = scene.plan_into("events", "broken.parquet", &["--structure", structure]);
    let failed = run(&id).exits_with(EXIT_JOB_FAILED);
    let kept = logs(scene.folder());
    assert_eq!(kept.len(), 1, "{failed}");
    assert!(scene.folder().join(&kept[0]).join("worker-1.log").is_file());
    let said = failed.stdout.rsplit_once("The workers' logs are in ");
    let said = said.unwrap_or_else(|| panic!("the last words name no folder: {failed}")).1;
    assert!(said.contains(&kept[0]), "{failed}");
}

/// A plan of files by their whole address, with the keys of the bed's store.
fn by_address(scene: &Scene, address: &str, more: &[&str]) -> Program {
    let target = format!("{}.events", scene.db);
    let program = scene.longshore(["plan", "files", "--json", "--target", &target]);
    let program = program.args(["--url", address]).args(more);
    program
        .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key)
}

#[test]
fn an_address_that_is_wrong_is_wrong_input_with_the_way_out() {
    let scene = Scene::with_events(1, 10);
    let s3 = ["--source-function", "s3", "--format", "CSVWithNames"];
    let store = scene.url("");
    let cases = [
        (format!("{store}my folder/*.csv"), "%20"),
        (format!("{store}100%/*.csv"), "%25"),
        (format!("{store}a#b.csv"), "%23"),
        (format!("{store}sch\u{f6}n.csv"), "%C3%B6"),
        ("http://127.0.0.1:99999/b/*.csv".to_owned(), "port"),
        ("http:///b/*.csv".to_owned(), "host"),
    ];
    for (address, word) in cases {
        for function in ["s3", "url"] {
            let more = ["--source-function", function, "--format", "CSVWithNames"];
            // The web has no patterns.
            let name = if function == "url" { "x.csv" } else { "*.csv" };
            let address = address.replace("*.csv", name);
            let plan = by_address(&scene, &address, &more).run().exits_with(EXIT_USAGE);
            assert!(!plan.stderr.contains("HTTP port"), "{address}: {plan}");
            plan.says(&["address", word]);
        }
    }
    // The way out is one.
    scene.put_rows("my folder/a.csv", 30, Format::Csv);
    let plan = by_address(&scene, &format!("{store}my%20folder/*.csv"), &s3).run().ok();
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["submit", &id]).run().ok();
    let worker = scene.worker(&id).env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id);
    worker.env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key).run().ok();
    scene.forget("events-000.parquet");
    scene.assert_exact();
}

#[test]
fn a_pattern_that_the_web_cannot_list_is_told_the_function_that_can() {
    let scene = Scene::with_events(2, 10);
    let address = scene.url("*.parquet");
    let plan = by_address(&scene, &address, &[]).run().exits_with(EXIT_USAGE);
    plan.says(&["--source-function s3", "--files"]);
    by_address(&scene, &address, &["--source-function", "s3"]).run().ok();
}

#[test]
fn an_s3_address_follows_the_variables_of_s3_tools_and_the_plan_keeps_where_it_led() {
    let scene = Scene::with_events(2, 10);
    let address = format!("s3://{}/{}", scene.bed.bucket, scene.key("*.parquet"));
    let plan = || by_address(&scene, &address, &[]);
    let planned = plan().env("AWS_ENDPOINT_URL", &scene.bed.s3_endpoint).run().ok();
    let planned = planned.says(&["AWS_ENDPOINT_URL", &scene.bed.s3_endpoint]);
    let id = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    // The variable for S3 alone comes first.
    let same = plan().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let same = same.env("AWS_ENDPOINT_URL_S3", &scene.bed.s3_endpoint).run().ok();
    assert_eq!(same.json()["plan_id"], id.as_str());
    plan()
        .env("AWS_ENDPOINT_URL", "store:9000")
        .run()
        .exits_with(EXIT_USAGE)
        .says(&["AWS_ENDPOINT_URL"]);

    // Workers need no such variable.
    scene.longshore(["submit", &id]).run().ok();
    let worker = scene.worker(&id).env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id);
    worker.env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key).run().ok();
    scene.assert_exact();
}

#[test]
fn a_file_address_is_a_path_on_the_server() {
    let scene = Scene::with_events(0, 0);
    scene.put_rows("a.csv", 25, Format::Csv);
    // The server writes it into its own folder and says where that is.
    let own = format!("{}.csv", scene.db);
    let source = format!("s3({}, filename = '{}')", scene.bed.collection, scene.key("a.csv"));
    scene
        .admin
        .run(&format!("INSERT INTO FUNCTION file('{own}', 'CSVWithNames') SELECT * FROM {source}"));
    let path = scene.admin.run(&format!("SELECT DISTINCT _path FROM file('{own}', 'One')"));
    let plan = by_address(&scene, &format!("file://{path}"), &[]).run().ok();
    let id = plan.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &id, "--workers", "1"]).run().ok();
    std::fs::remove_file(&path).expect("the file of the server");
    scene.assert_exact();

    let elsewhere = by_address(&scene, "file://host/data/x.csv", &[]).run();
    elsewhere.exits_with(EXIT_USAGE).says(&["--url", "file:///"]);
}
