//! Changes of a table that are accepted and not finished: mutations in the queue, and lightweight
//! updates that are not applied. No copy of the table may bring back the state before them.

use longshore_tests::{Bed, LONG_LEASE, Scene, drawn_few, wait_for};

const EXIT_CONFLICT: i32 = 6;

fn scene(files: usize) -> Scene {
    Scene::for_swaps(&Bed::from_env()).with_old_events(files, 100)
}

/// Sends a change that the server acknowledges and does not carry out.
pub(crate) fn hold(scene: &Scene, table: &str, change: &str) {
    scene.admin.run(&format!("SYSTEM STOP MERGES {}.{table}", scene.db));
    let change = format!("ALTER TABLE {}.{table} {change} SETTINGS mutations_sync = 0", scene.db);
    scene.admin.run(&change);
}

/// Lets the server carry out what it held back.
pub(crate) fn let_go(scene: &Scene, table: &str) {
    scene.admin.run(&format!("SYSTEM START MERGES {}.{table}", scene.db));
    wait_for("the mutation is finished", || {
        let open = scene.admin.number(&format!(
            "SELECT count() FROM system.mutations WHERE database = '{}' AND table = '{table}' AND NOT is_done",
            scene.db
        ));
        (open == 0).then_some(())
    });
}

fn copy(scene: &Scene, from: &str, into: &str, more: &[&str]) -> longshore_tests::Finished {
    let [from, into] = [from, into].map(|table| format!("{}.{table}", scene.db));
    let args = ["plan", "copy", "--json", "--from", &from, "--target", &into];
    scene.longshore(args).args(more).run()
}

fn olds(scene: &Scene) -> u64 {
    scene.rows_of("events", "old")
}

/// Hole H9: an acknowledged DELETE was still in the queue when a table took its own place by an
/// exchange. The deleted rows were back for good.
#[test]
fn a_delete_that_is_still_in_the_queue_is_not_undone_by_a_swap() {
    let scene = scene(1);
    scene.create("CREATE TABLE {db}.other AS {db}.events;\n");
    hold(&scene, "events", "DELETE WHERE file = 'old'");
    let words =
        ["mutation", "events is not finished", "DELETE WHERE file = 'old'", "KILL MUTATION"];
    let flags: [(&str, &[&str]); 6] = [
        ("events", &["--publish", "exchange"]),
        ("events", &["--publish", "replace"]),
        ("other", &[]),
        ("other", &["--snapshot"]),
        ("other", &["--no-snapshot"]),
        ("other", &["--publish", "exchange"]),
    ];
    for (into, flags) in flags {
        copy(&scene, "events", into, flags).exits_with(EXIT_CONFLICT).says(&words);
    }
    let view = format!("{}.daily_mv", scene.db);
    scene
        .longshore(["plan", "replay", "--view", &view])
        .run()
        .exits_with(EXIT_CONFLICT)
        .says(&words);
    for mode in ["exchange", "replace"] {
        let said = scene.plan_program("events", "*", &["--publish", mode]).run();
        said.exits_with(EXIT_CONFLICT).says(&words);
    }
    // Rows that are appended come after the change, as with an INSERT.
    scene.plan_program("events", "*", &[]).run().ok();
    assert_eq!(scene.shadows(), Vec::<String>::new(), "a refused plan leaves nothing");
    assert_eq!(scene.staged(), Vec::<String>::new(), "a refused plan leaves nothing");

    let_go(&scene, "events");
    let planned = copy(&scene, "events", "events", &["--publish", "exchange"]).ok().json();
    let job = planned["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["submit", &job]).run().ok();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "completed", "{:?}", scene.tasks());
    assert_eq!((olds(&scene), scene.rows_of("events", "extra")), (0, 50));
}

#[test]
fn lightweight_updates_that_are_not_applied_are_not_undone() {
    let scene = scene(1);
    scene.create(
        "CREATE TABLE {db}.light (id UInt64, v UInt64) ENGINE = MergeTree ORDER BY id
         SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1;
         INSERT INTO {db}.light SELECT number, 0 FROM numbers(100);
         CREATE TABLE {db}.copied (id UInt64, v UInt64) ENGINE = MergeTree ORDER BY id;",
    );
    let light = format!("{}.light", scene.db);
    scene.admin.run(&format!("UPDATE {light} SET v = 7 WHERE id < 3"));
    let words = ["lightweight updates of 3 rows", "light are not applied", "APPLY PATCHES"];
    for (into, flags) in [("light", &["--publish", "exchange"][..]), ("copied", &[])] {
        copy(&scene, "light", into, flags).exits_with(EXIT_CONFLICT).says(&words);
    }
    scene.admin.run(&format!("ALTER TABLE {light} APPLY PATCHES SETTINGS mutations_sync = 2"));
    // The server still lists the parts of the updates for a while.
    let planned = copy(&scene, "light", "copied", &[]).ok().json();
    let job = planned["plan_id"].as_str().expect("a plan id").to_owned();
    scene.longshore(["run", &job, "--workers", "1"]).run().ok();
    let sum = format!("SELECT sum(v) FROM {}.copied", scene.db);
    assert_eq!(scene.admin.number(&sum), 21);
}

/// A change that comes after the plan: before the last task looks, and after it has.
#[test]
fn a_change_that_comes_before_the_swap_pauses_the_job() {
    let cases = [
        ("exchange", None),
        ("replace", None),
        ("exchange", Some("exchange.before")),
        ("replace", Some("replace.before")),
    ];
    for (mode, point) in drawn_few(&cases, 2) {
        let scene = scene(2);
        let job = scene.submit(&["--publish", mode]);
        let worker = || scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
        let change = || hold(&scene, "events", "UPDATE value = 0 WHERE file = 'old'");
        match point {
            None => {
                change();
                worker().run();
            }
            Some(point) => {
                let gate = scene.folder().join("gate");
                let wait = format!("{point}=1*until({})->off", gate.display());
                let worker = worker().faults(wait).spawn();
                wait_for("the last task is about to publish", || {
                    worker.words().contains("until(").then_some(())
                });
                change();
                std::fs::write(&gate, "").expect("a writable folder");
                worker.wait();
            }
        }
        let status = scene.status(&job);
        assert_eq!(status["state"], "paused", "{mode} {point:?}: {status}");
        let reason = status["reason"].as_str().expect("a reason").to_owned();
        for words in ["mutation", "is not finished", "UPDATE value = 0", "KILL MUTATION"] {
            assert!(reason.contains(words), "{mode} {point:?}: {words} is missing: {reason}");
        }
        scene.assert_untouched();
        scene.longshore(["doctor", &job]).run().exits_with(8).says(&["wait until the mutation"]);
        let_go(&scene, "events");
        scene.longshore(["resume", &job]).run().ok();
        scene.settle_swap(&job, mode, "the mutation is finished");
    }
}
