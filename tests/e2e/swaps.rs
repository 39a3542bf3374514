//! Jobs that publish everything at their end: `--publish exchange` and `--publish replace`.

use longshore_tests::{Bed, Scene};

fn scene(files: usize, rows: u64) -> Scene {
    Scene::for_swaps(&Bed::from_env()).with_old_events(files, rows)
}

#[test]
fn an_exchange_shows_everything_at_once_and_keeps_the_old_table() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "exchange", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    assert_eq!(scene.tasks().0.len(), 4, "three chunks and the task that publishes");
    scene.settle_swap(&job, "exchange", "an exchange");
}

#[test]
fn a_replacement_takes_the_place_of_whole_partitions() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "replace", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    scene.settle_swap(&job, "replace", "a replacement");
}

#[test]
fn nothing_is_published_when_a_task_failed() {
    for mode in ["exchange", "replace"] {
        let scene = scene(3, 300);
        scene.put_bytes("events-broken.parquet", b"PAR1 is not all it takes PAR1");
        let schema = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
        let flags = ["--publish", mode, "--chunk-files-max", "1", "--structure", schema];
        let job = scene.submit(&flags);
        scene.finish_all(&job);
        assert_eq!(scene.status(&job)["state"], "failed", "{mode}");
        let tasks = scene.tasks();
        assert_eq!((tasks.count("done"), tasks.count("failed")), (3, 2), "{mode}: {tasks:?}");
        let last = tasks.0.last().expect("tasks").clone();
        assert!(last.error.contains("Nothing is published"), "{mode}: {last:?}");
        assert!(last.error.contains("tasks failed: 1"), "{mode}: {last:?}");
        scene.assert_untouched();
    }
}

/// Plans a copy of `events` into itself; the id of the submitted job.
fn in_place(scene: &Scene, mode: &str, flags: &[&str]) -> String {
    let events = format!("{}.events", scene.db);
    let args =
        ["plan", "copy", "--json", "--from", &events, "--target", &events, "--publish", mode];
    let planned = scene.longshore(args).args(flags).run().ok();
    let job = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["submit", &job]).run().ok();
    job
}

fn count(scene: &Scene, table: &str, condition: &str) -> u64 {
    scene.admin.number(&format!("SELECT count() FROM {}.{table} WHERE {condition}", scene.db))
}

#[test]
fn a_table_takes_its_own_place() {
    for mode in ["exchange", "replace"] {
        let scene = scene(0, 0);
        let select = "file, n, day, kind, value + 1 AS value, checksum";
        let job = in_place(&scene, mode, &["--select", select, "--chunk-bytes", "4K"]);
        assert!(scene.tasks().0.len() > 3, "{mode}: several chunks: {:?}", scene.tasks());
        let sum = "SELECT sum(value), count() FROM {}.events";
        let sum = || scene.admin.rows(&sum.replace("{}", &scene.db)).swap_remove(0);
        let before = sum();
        scene.finish(&job);
        assert_eq!(scene.status(&job)["state"], "completed", "{mode}: {:?}", scene.tasks());
        let [value, rows] = [0, 1].map(|at| before[at].parse::<u64>().expect("a number"));
        assert_eq!(sum(), [(value + rows).to_string(), rows.to_string()], "{mode}");
        assert_eq!(scene.shadows(), Vec::<String>::new(), "{mode}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "{mode}: the snapshot is dropped too");
    }
}

/// Hole H12b: a table that takes its own place partition by partition. Rows that moved to other
/// partitions were there twice, and a partition that --where emptied kept its old rows.
#[test]
fn a_partition_that_nothing_was_loaded_for_is_not_left_silently() {
    let scene = scene(0, 0);
    scene.create(
        "CREATE TABLE {db}.days (id UInt64, d UInt16) ENGINE = MergeTree PARTITION BY d ORDER BY id;
         INSERT INTO {db}.days SELECT number, number % 4 FROM numbers(100);",
    );
    let days = format!("{}.days", scene.db);
    let plan = |more: &[&str]| {
        let args = ["plan", "copy", "--json", "--from", &days, "--target", &days];
        scene.longshore(args).args(["--publish", "replace"]).args(more).run()
    };
    let rows = || count(&scene, "days", "1");
    let load = |more: &[&str]| {
        let planned = plan(more).ok();
        let job = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
        scene.longshore(["submit", &job]).run().ok();
        scene.finish_all(&job);
        (scene.status(&job)["state"].clone(), planned, job)
    };
    let moved = ["--select", "id, toUInt16(d + 40) AS d"];
    let fewer = ["--where", "d != 2"];
    for (flags, others, left) in [(moved, "4 of the partitions", 100), (fewer, "2 (25 rows)", 25)] {
        let (state, planned, job) = load(&flags);
        assert_eq!(rows(), 100, "{flags:?}: nothing was published");
        assert_eq!(state, "failed", "{flags:?}");
        let last = scene.tasks().0.into_iter().rfind(|task| task.id.starts_with(&job));
        let error = last.expect("tasks").error;
        let ways = ["--publish exchange", "--other-partitions keep", "Nothing is published"];
        for words in [others, &format!("with {left} rows")].into_iter().chain(ways) {
            assert!(error.contains(words), "{flags:?}: {words} is missing: {error}");
        }
        assert!(planned.stdout.contains("without rows"), "{flags:?}: a note is missing\n{planned}");
        scene.longshore(["cancel", &job]).run().ok();
    }
    // By consent the partitions stay.
    let keep = ["--where", "d = 1", "--select", "id + 1000 AS id, d", "--other-partitions", "keep"];
    assert_eq!(load(&keep).0, "completed");
    assert_eq!((rows(), count(&scene, "days", "id >= 1000 AND d = 1")), (100, 25));
    // Only what came since, in the place of everything.
    plan(&["--delta", "0123456789abcdef"]).exits_with(2).says(&["copied whole"]);
    let wrong = ["plan", "copy", "--from", &days, "--target", &days, "--publish", "exchange"];
    let said = scene.longshore(wrong).args(["--other-partitions", "keep"]).run().exits_with(2);
    said.says(&["--other-partitions is for --publish replace"]);
}

#[test]
fn rows_that_came_after_the_plan_are_never_lost_silently() {
    for mode in ["exchange", "replace"] {
        let scene = scene(0, 0);
        let job = in_place(&scene, mode, &[]);
        let late = "INSERT INTO {}.events (file, n, day) VALUES ('late', 1, '2024-01-05')";
        scene.admin.run(&late.replace("{}", &scene.db));
        scene.worker(&job).run().ok();
        let status = scene.status(&job);
        assert_eq!(status["state"], "paused", "{mode}: {:?}", scene.tasks());
        let reason = status["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains("1 rows were written"), "{mode}: {reason}");
        assert!(reason.contains("Nothing is published"), "{mode}: {reason}");
        assert_eq!(count(&scene, "events", "1"), 451, "{mode}: untouched");
    }
    // By consent it goes on, and what is in the old table only is told.
    let scene = scene(0, 0);
    let job = in_place(&scene, "exchange", &["--late-rows", "tell"]);
    scene.admin.run(&format!(
        "INSERT INTO {}.events (file, n, day) VALUES ('late', 1, '2024-01-05')",
        scene.db
    ));
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed");
    assert_eq!((count(&scene, "events", "1"), count(&scene, "events", "file = 'late'")), (450, 0));
    assert_eq!(count(&scene, &format!("events_before_{job}"), "file = 'late'"), 1);
    let last = scene.tasks().0.last().expect("tasks").id.clone();
    let shown = scene.longshore(["task", &last]).run().ok();
    assert!(shown.stdout.contains("only in"), "{shown}");
}

#[test]
fn what_cannot_be_published_so_is_refused_with_the_way_out() {
    let scene = scene(1, 50);
    scene.create("CREATE TABLE {db}.nothing AS {db}.daily ENGINE = Null;\n");
    let inner = scene.admin.run(&format!(
        "SELECT name FROM system.tables WHERE database = '{}' AND startsWith(name, '.inner')",
        scene.db
    ));
    let refused = |table: &str, flags: &[&str]| {
        let said = scene.plan_program(table, "*", flags).run();
        assert_eq!(said.code(), Some(2), "{table} {flags:?}\n{said}");
        said.stderr + &said.stdout
    };
    let said = refused(&format!("`{inner}`"), &["--publish", "exchange", "--columns", "file,n"]);
    assert!(said.contains("belongs to its view") && said.contains("--publish replace"), "{said}");
    let said = refused("nothing", &["--publish", "replace", "--columns", "day,kind,value"]);
    assert!(said.contains("keeps no rows"), "{said}");
    let said = refused("events", &["--publish", "exchange", "--mode", "direct"]);
    assert!(said.contains("it can only append"), "{said}");
    let said = refused("events", &["--publish", "swap"]);
    assert!(said.contains("append, replace, exchange"), "{said}");
    assert_eq!(scene.shadows(), Vec::<String>::new(), "a refused plan leaves nothing");
}

#[test]
fn a_shadow_that_is_not_the_plans_stops_the_job() {
    for (mode, change, words) in [
        ("exchange", "DROP TABLE {shadow} SYNC", "is gone"),
        ("replace", "ALTER TABLE {shadow} ADD COLUMN x UInt8", "was altered"),
        (
            "exchange",
            "INSERT INTO {shadow} (file, n) VALUES ('a stranger', 1)",
            "somebody else wrote",
        ),
    ] {
        let scene = scene(2, 100);
        let job = scene.submit(&["--publish", mode]);
        let shadow = scene.shadows().swap_remove(0);
        scene.admin.run(&change.replace("{shadow}", &shadow));
        scene.worker(&job).run();
        let said = format!("{} {:?}", scene.status(&job), scene.tasks());
        assert!(said.contains(words), "{change}: {said}");
        scene.assert_untouched();
    }
}

#[test]
fn planning_again_finds_the_same_plan_and_makes_no_second_shadow() {
    let scene = scene(2, 100);
    let flags = ["--publish", "exchange"];
    // A plan that was cut before its last row, and is made again.
    let cut = scene.plan_program("events", "*", &flags).faults("plan.cursor=exit").run();
    assert!(cut.was_killed(), "{cut}");
    assert_eq!(scene.shadows().len(), 1);
    let job = scene.plan(&flags);
    assert_eq!(scene.plan(&flags), job);
    assert_eq!(scene.shadows().len(), 1, "{:?}", scene.shadows());
    scene.longshore(["submit", &job]).run().ok();
    scene.settle_swap(&job, "exchange", "a plan that was made twice");
    assert_eq!(scene.plan(&flags), job, "done is done");
    assert_eq!(scene.shadows(), Vec::<String>::new());
}

#[test]
fn gc_takes_shadows_of_jobs_that_are_over_and_no_others() {
    let scene = scene(2, 100);
    let gc = |flags: &[&str]| {
        scene.longshore(["gc", "--json", "--yes", "--older-than", "0s"]).args(flags).run().ok();
        scene.shadows()
    };
    let planned = scene.plan(&["--publish", "exchange", "--again", "planned"]);
    let failed = scene.submit(&["--publish", "exchange", "--again", "failed"]);
    // Its files change, so that its task fails.
    scene.put_bytes("events-000.parquet", b"changed");
    let limits = scene.worker(&failed).run();
    assert_eq!(scene.status(&failed)["state"], "failed", "{limits}");
    assert_eq!(scene.shadows().len(), 2);
    let dropped_job = scene.shadows().iter().find(|name| name.contains(&planned)).cloned();
    // A plan that nobody knows, as after the control tables were made again.
    let unknown = format!("{}.events_shadow_0123456789abcdef_0_e0", scene.db);
    scene.admin.run(&format!("CREATE TABLE {unknown} AS {}.events", scene.db));
    assert_eq!(gc(&[]).len(), 3, "a failed job can be retried: its shadow is kept");
    scene.longshore(["cancel", &failed]).run().ok();
    let left = gc(&[]);
    assert_eq!(left.len(), 2, "the cancelled job's is gone: {left:?}");
    assert!(!left.iter().any(|name| name.contains(&failed)), "{left:?}");
    let left = gc(&["--unknown-jobs"]);
    assert_eq!(left, Vec::from_iter(dropped_job), "a plan that may be submitted keeps its shadow");
    scene.assert_untouched();
}
