//! Commands that look at a task of another server than the one they were given.

use longshore_shared::faults;
use longshore_tests::{Bed, CLICKHOUSE, LONG_LEASE, OwnBed, Program, SECOND, TwoServers, name};

const EXIT_UNREACHABLE: i32 = 5;
const EXIT_CONFLICT: i32 = 6;

/// A job of both servers with one task in quarantine: it was half published when its staging tables
/// were dropped.
struct Half {
    job: String,
    task: String,
    /// Number of its server.
    shard: usize,
}

impl Half {
    fn of(two: &TwoServers) -> Self {
        let flags = [two.both().as_slice(), &["--chunk-files-max", "1"]].concat();
        let job = two.scene.submit(&flags);
        let worker = || two.scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
        let dead = worker().args(["--slots", "1"]).faults(format!("{}=exit", faults::MOVE_AFTER.0));
        let dead = dead.run();
        assert!(dead.was_killed(), "{dead}");
        two.scene.sign_all_off();
        let tasks = two.scene.tasks().0;
        let half = tasks.iter().find(|task| task.state == "publishing").expect("a half task");
        let (task, shard) = (half.id.clone(), usize::from(half.id.ends_with('1')));
        let admin = two.admins()[shard];
        let staging = &two.scene.staging;
        let names = admin.column(&format!(
            "SELECT name FROM system.tables WHERE database = '{staging}' ORDER BY engine != 'MaterializedView'"
        ));
        assert!(!names.is_empty());
        for table in names {
            admin.run(&format!("DROP TABLE IF EXISTS {staging}.{} SYNC", name(&table)));
        }
        two.scene.finish_all(&job);
        let tasks = two.scene.tasks();
        assert_eq!((tasks.count("done"), tasks.count("quarantined")), (1, 1), "{tasks:?}");
        Self { job, task, shard }
    }

    /// A command given to the server that the task is not of.
    fn through_the_other(&self, two: &TwoServers, args: &[&str]) -> Program {
        let program = two.scene.longshore(args.iter().copied());
        if self.shard == 0 { two.at_second(program) } else { program }
    }
}

/// Hole H5: `retry --quarantined --reload` of a task of the second server, given through the first,
/// looked for its rows on the first and loaded them twice.
#[test]
fn a_task_of_another_server_is_judged_by_what_is_there() {
    let two = TwoServers::with_events(&Bed::from_env(), 2, 300);
    let half = Half::of(&two);
    let before = two.counts("events");
    let reload = ["retry", half.job.as_str(), "--quarantined", "--reload"];
    for args in [&reload[..], &[&reload[..], &["--dry-run"]].concat()] {
        let said = half.through_the_other(&two, args).run().exits_with(EXIT_CONFLICT);
        said.says(&["cannot be loaded again", "is in", &half.task]);
    }
    assert_eq!(two.scene.status(&half.job)["state"], "failed", "nothing was changed");
    assert_eq!(two.counts("events"), before);

    // Once its rows are taken out there, it is loaded again, and the other server keeps its own.
    for table in ["events", "daily", "buys"] {
        two.admins()[half.shard].run(&format!("TRUNCATE TABLE {}.{table} SYNC", two.scene.db));
    }
    half.through_the_other(&two, &reload).run().ok();
    two.scene.finish(&half.job);
    assert_eq!(two.scene.status(&half.job)["state"], "completed", "{:?}", two.scene.tasks());
    two.assert_exact(&half.job);
}

#[test]
fn a_task_whose_server_is_not_there_is_not_judged() {
    let bed = OwnBed::of_two();
    let two = TwoServers::with_events(&bed.bed, 2, 100);
    let half = Half::of(&two);
    let [here, there] = [1 - half.shard, half.shard].map(|shard| two.urls[shard].clone());
    let retry = |verdict: &str| {
        half.through_the_other(&two, &["retry", &half.job, "--task", &half.task, verdict]).run()
    };
    let reroute = |from: &str, to: &str| {
        two.scene.admin.run(&format!(
            "ALTER TABLE {}.jobs UPDATE spec = replaceAll(spec, '{from}', '{to}') WHERE job_id = '{}'",
            two.scene.control, half.job
        ));
    };
    // The address of the task's server leads to the other one now.
    let other = here.replace("127.0.0.1", "localhost");
    reroute(&there, &other);
    for verdict in ["--reload", "--accept"] {
        let said = retry(verdict).exits_with(EXIT_CONFLICT);
        said.says(&["another server answers at", &other, "Nothing was changed"]);
    }
    reroute(&other, &there);

    let server = [CLICKHOUSE, SECOND][half.shard];
    bed.signal(server, "KILL");
    for verdict in ["--reload", "--accept"] {
        let said = retry(verdict).exits_with(EXIT_UNREACHABLE);
        said.says(&[&there, "Nothing was changed"]);
    }
    let shown = half.through_the_other(&two, &["task", &half.task]).run().ok();
    shown.says(&[&there, "are not shown"]);
    bed.restart(server);
    assert_eq!(two.scene.status(&half.job)["state"], "failed");
}

/// Receipts are a table of each server: `restore` looked at the first one only, and found nothing of
/// the tasks of the second.
#[test]
fn restore_believes_the_receipts_of_each_server() {
    let two = TwoServers::with_events(&Bed::from_env(), 4, 100);
    let flags = [two.both().as_slice(), &["--chunk-files-max", "1"]].concat();
    let job = two.scene.submit(&flags);
    let worker = two.scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
    let dead = worker.args(["--slots", "1"]).faults("done.after=2*off->exit").run();
    assert!(dead.was_killed(), "{dead}");
    two.scene.sign_all_off();
    let done = two.scene.tasks().count("done") as u64;
    assert_eq!(done, 3, "so of both servers");
    two.scene.longshore(["pause", &job]).run().ok();
    // As after Keeper was put back to the moment of the plan.
    two.scene.admin.run(&format!(
        "ALTER TABLE {}.tasks UPDATE state = 'pending', epoch = 0, rows = 0, attempts = 0, worker = '' \
         WHERE startsWith(task_id, '{job}')",
        two.scene.control
    ));
    let restored = two.scene.longshore(["restore", &job, "--json"]).run().ok().json();
    assert_eq!(restored["restored"], done, "{restored}");
    two.scene.longshore(["resume", &job]).run().ok();
    two.scene.finish(&job);
    assert_eq!(two.scene.status(&job)["state"], "completed", "{:?}", two.scene.tasks());
    two.assert_exact(&job);
}

/// A plan of one server is deleted through another one: its staging tables went unseen.
#[test]
fn a_plan_is_deleted_with_its_tables_on_every_server() {
    let two = TwoServers::with_events(&Bed::from_env(), 2, 50);
    let planned = two.at_second(two.scene.plan_program("events", "*", &[])).run().ok().json();
    let job = planned["plan_id"].as_str().expect("a plan id").to_owned();
    let left = format!("{}.{job}_0000000_e1_0_events", two.scene.staging);
    two.second.run(&format!("CREATE TABLE {left} (x UInt8) ENGINE = MergeTree ORDER BY x"));
    let gone = two.scene.longshore(["plan", "delete", &job, "--yes", "--json"]).run().ok().json();
    assert!(gone["tables"].to_string().contains("_0000000_e1_0_events"), "{gone}");
}
