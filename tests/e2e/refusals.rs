//! What cannot work is refused before anything is written, with one message that says what to do.

use longshore_tests::{Finished, Format, Program, Proxy, Scene};

/// Wrong input or a wrong setting.
const USAGE: i32 = 2;
/// No way to the server.
const UNREACHABLE: i32 = 5;

/// The program refuses with this exit code and these words, told to people and not on the result
/// channel.
fn refused(program: Program, code: i32, words: &[&str]) -> Finished {
    let ended = program.run().exits_with(code);
    assert_eq!(ended.stdout, "", "a refusal is no result\n{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    ended.says(words)
}

fn nothing_is_written(scene: &Scene) {
    for table in ["jobs", "tasks", "cursors"] {
        let rows = scene.admin.number(&format!("SELECT count() FROM {}.{table}", scene.control));
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[test]
fn a_refreshable_view_that_reads_the_target() {
    let scene = Scene::with_events(1, 10);
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.hourly REFRESH EVERY 1 YEAR ENGINE = MergeTree ORDER BY tuple() EMPTY AS
         SELECT count() AS rows FROM {db}.events;\n",
    );
    refused(scene.plan_program("events", "*", &[]), USAGE, &["hourly", "refreshable"]);
    nothing_is_written(&scene);
}

#[test]
fn a_refreshable_view_that_replaces_the_target() {
    let scene = Scene::with_events(1, 10);
    scene.create(
        "CREATE TABLE {db}.numbers (file String, n UInt64) ENGINE = MergeTree ORDER BY n;
         CREATE MATERIALIZED VIEW {db}.refill REFRESH EVERY 1 YEAR TO {db}.numbers EMPTY AS
         SELECT 'x' AS file, number AS n FROM numbers(3);\n",
    );
    refused(scene.plan_program("numbers", "*", &[]), USAGE, &["refill", "refreshable"]);
    nothing_is_written(&scene);
}

#[test]
fn a_target_whose_engine_cannot_be_staged() {
    let scene = Scene::with_events(1, 10);
    scene.create("CREATE TABLE {db}.logged (file String, n UInt64) ENGINE = Log;\n");
    refused(scene.plan_program("logged", "*", &[]), USAGE, &["logged", "Log"]);
    nothing_is_written(&scene);
}

#[test]
fn a_view_whose_target_cannot_be_staged() {
    let scene = Scene::with_events(1, 10);
    scene.create(
        "CREATE TABLE {db}.logged (file String, n UInt64) ENGINE = Log;
         CREATE MATERIALIZED VIEW {db}.mv TO {db}.logged AS SELECT file, n FROM {db}.events;\n",
    );
    refused(scene.plan_program("events", "*", &[]), USAGE, &["logged", "Log"]);
    nothing_is_written(&scene);
}

#[test]
fn a_view_that_reads_another_table_the_job_fills() {
    let scene = Scene::with_events(1, 10);
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.mv ENGINE = MergeTree ORDER BY n AS
         SELECT e.n AS n, d.value AS v FROM {db}.events AS e INNER JOIN {db}.daily AS d USING (day);\n",
    );
    refused(scene.plan_program("events", "*", &[]), USAGE, &["mv", "daily"]);
    nothing_is_written(&scene);
}

#[test]
fn no_such_table() {
    let scene = Scene::with_events(1, 10);
    refused(scene.plan_program("nowhere", "*", &[]), USAGE, &[&format!("{}.nowhere", scene.db)]);
    nothing_is_written(&scene);
}

#[test]
fn no_file_matched() {
    let scene = Scene::with_events(1, 10);
    let program = scene.plan_program("events", "*.nothing", &[]);
    refused(program, USAGE, &["*.nothing"]);
    nothing_is_written(&scene);
}

#[test]
fn an_unknown_format() {
    let scene = Scene::with_events(1, 10);
    refused(scene.plan_program("events", "*", &["--format", "Parkett"]), USAGE, &["Parkett"]);
    nothing_is_written(&scene);
}

#[test]
fn files_without_a_column_that_the_target_has() {
    let scene = Scene::with_events(0, 0);
    scene.put_bytes("other.parquet", &scene.admin.bytes("SELECT 1 AS unheard_of FORMAT Parquet"));
    refused(scene.plan_program("events", "*", &[]), USAGE, &["unheard_of"]);
    nothing_is_written(&scene);
}

#[test]
fn an_unreachable_server() {
    let scene = Scene::with_events(1, 10);
    // A port of this machine that nothing listens on any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", free.local_addr().expect("its address"));
    drop(free);
    for args in [vec!["init"], vec!["status", "0123456789abcdef", "--json"]] {
        refused(scene.longshore(args).env("CLICKHOUSE_URL", &address), UNREACHABLE, &[&address]);
    }
    refused(
        scene.plan_program("events", "*", &[]).env("CLICKHOUSE_URL", &address),
        UNREACHABLE,
        &[&address],
    );
}

#[test]
fn a_wrong_password() {
    let scene = Scene::with_events(1, 10);
    let wrong = "not-the-password-canary";
    let ended = refused(
        scene.plan_program("events", "*", &[]).env("CLICKHOUSE_PASSWORD", wrong),
        USAGE,
        &["longshore", "CLICKHOUSE_PASSWORD"],
    );
    assert!(!ended.stderr.contains(wrong), "{ended}");
    nothing_is_written(&scene);
}

#[test]
fn control_tables_that_were_never_made() {
    let scene = Scene::with_events(1, 10);
    let other = format!("{}_never", scene.control);
    refused(
        scene.plan_program("events", "*", &[]).env("LONGSHORE_DATABASE", &other),
        USAGE,
        &[&other, "longshore init"],
    );
    refused(scene.worker("0123456789abcdef").env("LONGSHORE_DATABASE", &other), USAGE, &[&other]);
}

#[test]
fn a_job_that_does_not_exist() {
    let scene = Scene::new();
    let id = "0123456789abcdef";
    for command in ["submit", "run", "status", "tasks"] {
        refused(scene.longshore([command, id]), USAGE, &[id]);
    }
    refused(scene.longshore(["status", "not an id"]), USAGE, &["not an id"]);
}

#[test]
fn a_target_that_was_altered_after_the_plan() {
    let scene = Scene::with_events(2, 10);
    let id = scene.submit(&[]);
    scene.admin.run(&format!("ALTER TABLE {}.events ADD COLUMN extra UInt8", scene.db));
    scene.worker(&id).run();
    let status = scene.status(&id);
    assert_eq!(status["tasks"]["done"], 0, "{status}");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), 0);
    scene.longshore(["status", &id]).run().says(&["events", "altered"]);
}

#[test]
fn a_view_that_was_added_after_the_plan() {
    let scene = Scene::with_events(2, 10);
    let id = scene.submit(&[]);
    scene.create(
        "CREATE MATERIALIZED VIEW {db}.late ENGINE = MergeTree ORDER BY n AS SELECT n FROM {db}.events;\n",
    );
    scene.worker(&id).run();
    assert_eq!(scene.status(&id)["tasks"]["done"], 0);
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), 0);
    scene.longshore(["status", &id]).run().says(&["late"]);
}

#[test]
fn a_server_without_keeper_map() {
    let scene = Scene::new();
    let proxy = Proxy::without_keeper_map(&scene.bed.clickhouse_url);
    let other = format!("{}_other", scene.control);
    let init = scene.longshore(["init"]).env("LONGSHORE_DATABASE", &other);
    let init = init.env("CLICKHOUSE_URL", proxy.url());
    refused(init, USAGE, &["KeeperMap", "keeper_map_path_prefix", "<clickhouse>"]);
    scene.admin.run(&format!("DROP DATABASE IF EXISTS {other} SYNC"));
}

#[test]
fn a_control_database_that_the_user_may_not_make() {
    let scene = Scene::new();
    let init = scene.longshore(["init"]).env("LONGSHORE_DATABASE", "not_ours_at_all");
    refused(init, USAGE, &["not_ours_at_all", "GRANT"]);
}

#[test]
fn a_listed_file_that_is_not_there() {
    let scene = Scene::with_events(0, 0);
    scene.put_rows("good.csv", 5, Format::Csv);
    let list = format!("{}\n{}\n", scene.key("good.csv"), scene.key("missing.csv"));
    let target = format!("{}.events", scene.db);
    let collection = scene.bed.collection.clone();
    let program = scene
        .longshore([
            "plan",
            "files",
            "--target",
            &target,
            "--files",
            "-",
            "--format",
            "CSVWithNames",
        ])
        .args(["--named-collection", &collection])
        .input(&list);
    refused(program, USAGE, &["missing.csv"]);
    nothing_is_written(&scene);
}
