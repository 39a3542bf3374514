//! The four faults of the 2023 ClickLoad worker (FAULTS F12), each as a test that Longshore passes.

use longshore_tests::{Format, Scene, wait_for};

use crate::crashes::settle;

/// ClickLoad retries load and moves in one loop: a failed third move loads the chunk again, and the
/// partitions that were moved before are in the target twice.
#[test]
fn a_failed_third_move_does_not_load_the_chunk_again() {
    let scene = Scene::with_events(2, 500);
    let job = scene.submit(&[]);
    scene.worker(&job).faults("move.before=2*off->1*error").run();
    settle(&scene, &job, "a failed third move");
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let loads = scene.admin.number(&format!(
        "SELECT count() FROM system.query_log WHERE startsWith(query_id, '{job}-') \
         AND type = 'QueryStart' AND query_kind = 'Insert'"
    ));
    assert_eq!(loads, 1);
}

/// ClickLoad never frees the claim of a dead worker: its files are never loaded.
#[test]
fn the_claim_of_a_dead_worker_is_taken_over() {
    let scene = Scene::with_events(6, 200);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let mut dead =
        scene.worker(&job).args(["--slots", "2"]).faults("load.after=sleep(600000)").spawn();
    wait_for("two tasks are claimed", || (scene.tasks().count("claimed") == 2).then_some(()));
    dead.kill();
    settle(&scene, &job, "a dead claim");
}

/// ClickLoad pastes the file name into its SQL.
#[test]
fn a_file_name_is_never_sql() {
    let scene = Scene::with_events(0, 0);
    scene.create("CREATE TABLE {db}.victim (x UInt8) ENGINE = MergeTree ORDER BY x;\n");
    let names = [
        format!("x'); DROP TABLE {}.victim; --.csv", scene.db),
        format!("x\\'); DROP TABLE {}.victim; --.csv", scene.db),
        format!("x`; DROP TABLE {}.victim; --.csv", scene.db),
        "x' OR 1=1 --.csv".to_owned(),
        "x', 'CSV', 'file String') UNION ALL SELECT 'y'.csv".to_owned(),
    ];
    for file in &names {
        scene.put_rows(file, 50, Format::Csv);
    }
    scene.load_into("events", "**", &["--format", "CSVWithNames"]).ok();
    scene.assert_exact();
    let victim = format!("EXISTS TABLE {}.victim", scene.db);
    assert_eq!(scene.admin.run(&victim), "1");
}

/// ClickLoad prints its commands with the secret key in them.
#[test]
fn no_secret_is_told_to_anyone() {
    let scene = Scene::with_events(2, 100);
    scene.put_bytes("broken.parquet", b"PAR1 is all that is right here PAR1");
    let structure = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
    let with_keys = |program: longshore_tests::Program| {
        program
            .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key)
            .env("LONGSHORE_LOG", "trace")
    };
    let target = format!("{}.events", scene.db);
    let url = scene.url("*.parquet");
    let args = ["plan", "files", "--json", "--target", &target, "--url", &url];
    let plan = scene.longshore(args).args(["--source-function", "s3", "--structure", structure]);
    let planned = with_keys(plan.args(["--chunk-files-max", "1"])).run().ok();
    let id = planned.json()["plan_id"].as_str().expect("a plan id").to_owned();
    let run = with_keys(scene.longshore(["run", &id, "--workers", "2"])).run().exits_with(3);
    let told = with_keys(scene.longshore(["tasks", &id, "--json"])).run().ok();
    let shown = with_keys(scene.longshore(["status", &id])).run();
    // A wrong secret makes the server's own error the carrier.
    let wrong = scene
        .longshore(args)
        .args(["--source-function", "s3"])
        .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", "wrong-secret-canary")
        .env("LONGSHORE_LOG", "trace")
        .run();
    assert_ne!(wrong.code(), Some(0), "{wrong}");

    let secrets =
        [&scene.bed.secret_access_key, &scene.bed.password, &"wrong-secret-canary".to_owned()];
    let mut places: Vec<(String, String)> = [planned, run, told, shown, wrong]
        .into_iter()
        .map(|ended| ("a program".to_owned(), ended.to_string()))
        .collect();
    for table in ["jobs", "tasks", "attempts", "receipts", "workers", "meta"] {
        let all = format!("SELECT * FROM {}.{table} FORMAT TSVRaw", scene.control);
        let rows = String::from_utf8_lossy(&scene.admin.bytes(&all)).into_owned();
        places.push((table.to_owned(), rows));
    }
    for (place, text) in &places {
        for secret in secrets {
            assert!(!text.contains(secret.as_str()), "a secret in {place}:\n{text}");
        }
    }
    assert!(places.iter().any(|(_, text)| text.contains("broken.parquet")), "the errors were told");
    scene.assert_exact();
}
