//! Jobs that load into two servers of one Keeper.

use std::time::{Duration, Instant};

use longshore_tests::{Bed, LONG_LEASE, OwnBed, SECOND, TaskRow, TwoServers, drawn_few, wait_for};

/// A busy machine must not make the worker lose its own lease.
const LEASE: &str = "6s";
/// A server that hangs is let go after a lease. The rest is for a busy machine.
const LET_GO_MAX: Duration = Duration::from_secs(120);

fn plan(two: &TwoServers, more: &[&str]) -> String {
    let flags = [two.both().as_slice(), &["--chunk-files-max", "1"], more].concat();
    two.scene.plan(&flags)
}

fn submit(two: &TwoServers, more: &[&str]) -> String {
    let job = plan(two, more);
    two.scene.longshore(["submit", &job]).run().ok();
    job
}

fn assert_completed(two: &TwoServers, job: &str) {
    assert_eq!(two.scene.status(job)["state"], "completed", "{:?}", two.scene.tasks());
    two.assert_exact(job);
}

#[test]
fn chunks_are_dealt_out_and_a_worker_of_either_server_loads_into_both() {
    let two = TwoServers::with_events(&Bed::from_env(), 6, 300);
    let job = plan(&two, &[]);
    two.scene.longshore(["run", &job, "--workers", "2"]).run().ok();
    assert_completed(&two, &job);
    assert_eq!(two.counts("events"), [900, 900], "six chunks of 300 rows");

    // The same rows once more, by a worker at home on the second server.
    let again = submit(&two, &["--again", "second"]);
    two.at_second(two.scene.worker(&again)).run().ok();
    assert_eq!(two.scene.status(&again)["state"], "completed");
    assert_eq!(two.counts("events"), [1800, 1800]);
}

#[test]
fn a_job_of_one_server_is_left_alone_by_a_worker_of_the_other() {
    let two = TwoServers::with_events(&Bed::from_env(), 2, 100);
    let job = two.scene.submit(&[]);
    let said = two.at_second(two.scene.worker(&job)).run().ok();
    said.says(&["left alone", &two.urls[0]]);
    assert!(two.scene.tasks().all("pending"), "{:?}", two.scene.tasks());
    assert_eq!(two.scene.status(&job)["state"], "running");
    assert_eq!(two.second.number(&format!("SELECT count() FROM {}.events", two.scene.db)), 0);
    two.scene.settle(&job, "a worker of the other server was there");
}

#[test]
fn a_dead_worker_s_tasks_are_finished_on_their_server_by_one_of_the_other() {
    let two = TwoServers::with_events(&Bed::from_env(), 2, 300);
    let points = ["load.after", "manifest.after", "move.after", "receipt.before"];
    for (round, point) in drawn_few(&points, 2).into_iter().enumerate() {
        let job = submit(&two, &["--again", point]);
        let worker = |other: bool| {
            let worker = two.scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
            if other == (round % 2 == 0) { two.at_second(worker) } else { worker }
        };
        let dead = worker(false).faults(format!("{point}=exit")).run();
        assert!(dead.was_killed(), "the worker never passed {point}\n{dead}");
        two.scene.sign_all_off();
        worker(true).run().ok();
        assert_eq!(two.scene.status(&job)["state"], "completed", "{point}");
        let rows = 300 * (round as u64 + 1);
        assert_eq!(two.counts("events"), [rows, rows], "after {point}");
    }
}

/// The tasks that belong to the second server.
fn seconds(two: &TwoServers) -> Vec<TaskRow> {
    two.scene.tasks().0.into_iter().skip(1).step_by(2).collect()
}

fn wait_for_the_first(two: &TwoServers) {
    wait_for("all tasks of the first server are done", || {
        let tasks = two.scene.tasks().0;
        tasks.iter().step_by(2).all(|task| task.state == "done").then_some(())
    });
}

#[test]
fn a_server_that_is_gone_holds_up_its_own_tasks_only() {
    let bed = OwnBed::of_two();
    let two = TwoServers::with_events(&bed.bed, 6, 200);
    let job = submit(&two, &[]);
    bed.signal(SECOND, "KILL");
    let worker = two.scene.worker(&job).env("LONGSHORE_LEASE", LEASE).spawn();
    wait_for_the_first(&two);
    let waiting = seconds(&two);
    assert!(waiting.iter().all(|task| task.attempts == 0), "nobody claims them: {waiting:?}");
    assert_eq!(two.scene.status(&job)["state"], "running");
    bed.restart(SECOND);
    worker.wait().ok().says(&["is away", "Connection refused"]);
    assert_completed(&two, &job);
    assert!(two.scene.tasks().0.iter().all(|task| task.attempts == 1), "{:?}", two.scene.tasks());
}

/// The servers of a job are looked at while it runs, and at its end: one that hangs then, and was well a moment
/// ago, holds up neither the tasks of the other server nor other jobs.
#[test]
fn a_server_that_hangs_while_nothing_of_it_is_in_hand_holds_nothing_up() {
    let bed = OwnBed::of_two();
    let two = TwoServers::with_events(&bed.bed, 2, 200);
    let job = submit(&two, &[]);
    let scene = &two.scene;
    // Whoever looks at this database would ask the second server through it.
    scene.admin.run(&format!("DROP VIEW {}.everywhere SYNC", scene.db));
    scene.create(
        "CREATE TABLE {db}.alone (file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64) \
         ENGINE = MergeTree ORDER BY n;",
    );
    let gate = scene.folder().join("gate");
    let faults = format!("finish.before=1*until({})->off", gate.display());
    let worker = scene.endless_worker().env("LONGSHORE_SLOTS", "1").env("LONGSHORE_LEASE", "20s");
    let worker = worker.faults(faults).spawn();
    wait_for("the job is about to be closed", || worker.words().contains("until(").then_some(()));
    bed.signal(SECOND, "STOP");
    let stopped = Instant::now();
    std::fs::write(gate, "").expect("a writable folder");
    let other = scene.plan_into("alone", "*", &[]);
    scene.longshore(["submit", &other]).run().ok();
    wait_for("the other job is over", || {
        (scene.status(&other)["state"] == "completed").then_some(())
    });
    let took = stopped.elapsed();
    assert!(took < LET_GO_MAX, "a job of the first server waited {took:?} for the second");
    assert_eq!(scene.status(&job)["state"], "running", "its second server cannot be audited");
    bed.signal(SECOND, "CONT");
    wait_for("the job is over", || (scene.status(&job)["state"] == "completed").then_some(()));
    drop(worker);
    assert_eq!(two.counts("events"), [200, 200], "a chunk each");
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.alone", scene.db)), 400);
}

#[test]
fn a_server_that_hangs_while_it_loads_is_let_go_and_taken_up_again() {
    let bed = OwnBed::of_two();
    let two = TwoServers::with_events(&bed.bed, 6, 200);
    let job = submit(&two, &[]);
    // The second server's tasks stand still when the server does.
    let worker = two.scene.worker(&job).env("LONGSHORE_SLOTS", "3").env("LONGSHORE_LEASE", LEASE);
    let worker = worker.faults("load.after=sleep(1000)").spawn();
    wait_for("a task of the second server is in hand", || {
        seconds(&two).iter().any(|task| task.state == "claimed").then_some(())
    });
    bed.signal(SECOND, "STOP");
    let stopped = Instant::now();
    wait_for_the_first(&two);
    // A statement of a worker is given up after 60 seconds, and sent six times.
    let took = stopped.elapsed();
    assert!(took < LET_GO_MAX, "the tasks of the first server waited {took:?} for the second");
    wait_for("nobody holds a task of the server that hangs", || {
        seconds(&two).iter().all(|t| t.state != "claimed").then_some(())
    });
    bed.signal(SECOND, "CONT");
    worker.wait().ok();
    assert_completed(&two, &job);
}

/// A table of the second server whose rows the first must not have, and the other way round.
fn assert_by_kind(two: &TwoServers, expression: &str) {
    for (shard, admin) in two.admins().into_iter().enumerate() {
        let astray = admin.number(&format!(
            "SELECT count() FROM {}.events WHERE ifNull({expression} % 2, 0) != {shard}",
            two.scene.db
        ));
        assert_eq!(astray, 0, "rows of another server on number {shard}");
    }
}

#[test]
fn each_row_is_loaded_into_the_server_that_it_belongs_to() {
    let two = TwoServers::with_events(&Bed::from_env(), 4, 500);
    let expression = "cityHash64(file, n)";
    let job = submit(&two, &["--shard-by", expression]);
    assert_eq!(two.scene.tasks().0.len(), 8, "each chunk is a task of both servers");
    // One dies on its way; another goes on from the other server.
    let dead = two.scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
    assert!(dead.faults("move.after=3*off->exit").run().was_killed());
    two.scene.sign_all_off();
    two.at_second(two.scene.worker(&job)).run().ok();
    assert_completed(&two, &job);
    assert_by_kind(&two, expression);
    let [first, second] = two.counts("events");
    assert!(first > 500 && second > 500 && first + second == 2_000, "{first} and {second}");
}

#[test]
fn no_row_falls_between_two_servers() {
    let two = TwoServers::with_events(&Bed::from_env(), 0, 0);
    let db = &two.scene.db;
    for admin in two.admins() {
        admin.run(&format!(
            "CREATE TABLE {db}.odd (k Nullable(Int64), d LowCardinality(String), n UInt64) \
             ENGINE = MergeTree ORDER BY n"
        ));
        admin.run(&format!(
            "CREATE TABLE {db}.big (k UInt64, n UInt64) ENGINE = MergeTree ORDER BY n"
        ));
    }
    let numbers =
        "arrayJoin([NULL, -9223372036854775808, -3, -2, -1, 0, 1, 2, 9223372036854775807])";
    let odd = format!(
        "SELECT CAST({numbers}, 'Nullable(Int64)') AS k, toString(k) AS d, rowNumberInAllBlocks() AS n"
    );
    // In the file the key may be NULL and is a smaller number than in the target.
    let big = "SELECT arrayJoin([NULL, 0, 1, 254, 255]) AS k, rowNumberInAllBlocks() AS n";
    for (file, query) in [("odd.parquet", odd.as_str()), ("big.parquet", big)] {
        let bytes = two.scene.admin.bytes(&format!("{query} FORMAT Parquet"));
        two.scene.put_bytes(file, &bytes);
    }
    for (table, rows) in [("odd", 9), ("big", 5)] {
        // NULL goes where a plain INSERT puts it.
        let flags = ["--shard-by", "k", "--conversions", "as-insert"];
        let flags = [two.both().as_slice(), &flags].concat();
        let said = two.scene.load_into(table, &format!("{table}.parquet"), &flags).ok();
        let [first, second] = two.counts(table);
        assert_eq!(first + second, rows, "{table}\n{said}");
        for (shard, admin) in two.admins().into_iter().enumerate() {
            // As a Distributed table counts: unsigned, and NULL with the first.
            let astray = admin.column(&format!(
                "SELECT toString(k) FROM {db}.{table} WHERE ifNull(toUInt64(k) % 2, 0) != {shard}"
            ));
            assert!(astray.is_empty(), "{table} on {shard}: {astray:?}");
        }
    }
}

#[test]
fn what_would_lose_or_double_rows_is_refused() {
    let two = TwoServers::with_events(&Bed::from_env(), 1, 10);
    let refused = |flags: &[&str], words: &[&str]| {
        let flags = [two.both().as_slice(), flags].concat();
        let said = two.scene.plan_program("events", "*", &flags).run();
        assert_ne!(said.code(), Some(0), "{flags:?}");
        said.says(words);
    };
    refused(&["--shard-by", "rand()"], &["another value at another time"]);
    refused(&["--shard-by", "n + toUInt64(now())"], &["now()"]);
    refused(&["--shard-by", "(SELECT 1) + n"], &["a query of its own"]);
    refused(&["--shard-by", "kind"], &["must be an integer"]);
    refused(&["--shard-by", "n / 2"], &["must be an integer"]);
    refused(&["--shard-by", "1 + 2"], &["names no column"]);
    refused(&["--shard-by", "nothing"], &["nothing", "--shard-by"]);
    refused(&["--shard-by", "n, n"], &["must be an integer"]);
    refused(&["--mode", "direct"], &["--mode direct loads into one server"]);
    refused(&["--publish", "exchange"], &["of one server"]);
    let said = two.scene.plan_program("events", "*", &["--endpoint", &two.urls[1]]).run();
    said.exits_with(2).says(&["names one server"]);
    let said = two.scene.plan_program("events", "*", &["--endpoint", &two.urls[0]]);
    said.args(["--endpoint", &two.urls[0]]).run().exits_with(2).says(&["the same server"]);
    two.second.run(&format!("ALTER TABLE {}.events ADD COLUMN more UInt8", two.scene.db));
    refused(&[], &["events on", "is not what it is on"]);
    two.second.run(&format!("DROP TABLE {}.receipts SYNC", two.scene.control));
    refused(&[], &["has no table", "longshore init --server"]);
}

#[test]
fn commands_look_at_the_server_of_a_task() {
    let two = TwoServers::with_events(&Bed::from_env(), 2, 100);
    let job = submit(&two, &["--shard-by", "n"]);
    let task = |ordinal: u32| {
        let id = format!("{job}-{ordinal:07}");
        two.scene.longshore(["task", &id, "--json"]).run().ok().json()
    };
    let planned = task(1);
    assert_eq!(planned["endpoint"], two.urls[1].as_str(), "{planned}");
    assert!(planned["sql"]["text"].as_str().is_some_and(|sql| sql.contains("% 2, 0) = 1")));
    let doctor = two.scene.longshore(["doctor", &job, "--json"]).run().json().to_string();
    assert!(doctor.contains(&two.urls[0]) && doctor.contains(&two.urls[1]), "{doctor}");

    two.scene.finish(&job);
    for ordinal in 0..4 {
        let done = task(ordinal);
        assert_eq!(done["receipts"].as_array().map(Vec::len), Some(3), "{done}");
        assert_eq!(done["history"][0]["event"], "done", "{done}");
    }
    // What a crash left on the second server, of a task that is over.
    let left = format!("{}.{job}_0000001_e1_0_events", two.scene.staging);
    two.second.run(&format!("CREATE TABLE {left} (x UInt8) ENGINE = MergeTree ORDER BY x"));
    let gone = two.scene.longshore(["gc", "--yes", "--json"]).run().ok().json();
    assert!(gone["staging"].to_string().contains("_0000001_e1_0_events"), "{gone}");
    two.assert_exact(&job);
}
