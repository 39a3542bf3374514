//! The grants that `doctor --grants` prints: a whole job runs with exactly these, and each of them
//! is needed: without it something says so and names it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{Format, LONG_LEASE, OwnBed, Program, Proxy, Scene, Verdict, drawn, within};

/// Cases that go on at the same time.
const LANES: usize = 6;
/// A worker that misses a grant it cannot do without tells so again and again, and does not end.
const WORKER_MAX: Duration = Duration::from_secs(20);

/// Two engines, a view, and a table and a dictionary that only the view reads.
const TABLES: &str = "
CREATE TABLE {db}.events
(file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n);
CREATE TABLE {db}.kinds (kind String, label String) ENGINE = MergeTree ORDER BY kind;
CREATE DICTIONARY {db}.weights (kind String, weight UInt64 DEFAULT 2) PRIMARY KEY kind
SOURCE(CLICKHOUSE(QUERY 'SELECT ''buy'' AS kind, 3 AS weight')) LIFETIME(0) LAYOUT(COMPLEX_KEY_HASHED());
CREATE TABLE {db}.daily (day Date, label String, value UInt64)
ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, label);
CREATE MATERIALIZED VIEW {db}.daily_mv TO {db}.daily AS
SELECT e.day AS day, k.label AS label, sum(e.value * dictGet('{db}.weights', 'weight', tuple(e.kind))) AS value
FROM {db}.events AS e LEFT JOIN {db}.kinds AS k ON e.kind = k.kind GROUP BY day, label;
";

/// One privilege on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privilege: String,
    on: String,
}

/// A user without one grant of its role, with control and staging databases of its own.
#[derive(Clone)]
struct Case {
    user: String,
    mark: String,
    role: &'static str,
    without: Option<Grant>,
}

impl Case {
    fn control(&self) -> String {
        format!("grants_control_{}", self.mark)
    }

    fn staging(&self) -> String {
        format!("grants_staging_{}", self.mark)
    }

    /// A program of the scene in this case's databases.
    fn place(&self, program: Program) -> Program {
        program
            .env("LONGSHORE_DATABASE", self.control())
            .env("LONGSHORE_STAGING_DATABASE", self.staging())
            .env("LONGSHORE_LEASE", LONG_LEASE)
    }
}

/// The scene, shared by the lanes: held only while a program is made ready, not while it runs.
type World = Mutex<Scene>;

fn the(world: &World) -> MutexGuard<'_, Scene> {
    world.lock().expect("no lane panicked")
}

fn longshore<S: AsRef<str>>(world: &World, args: impl IntoIterator<Item = S>) -> Program {
    the(world).longshore(args)
}

fn plan(world: &World, more: &[&str]) -> Program {
    the(world).plan_program("events", "*", more)
}

fn worker(world: &World, job: &str) -> Program {
    the(world).worker(job)
}

fn target(world: &World) -> String {
    format!("{}.events", the(world).db)
}

/// The statements that `doctor --grants` prints for a role, one privilege each.
fn printed(scene: &Scene, case: &Case) -> Vec<Grant> {
    let target = format!("{}.events", scene.db);
    let args = ["doctor", "--grants", "--role", case.role, "--to", &case.user, "--target", &target];
    let program = scene.longshore(args).args(["--named-collection", &scene.bed.collection]);
    let said = as_admin(case.place(program)).args(["--json"]).run().ok().json();
    let lines = said["roles"][0]["grants"].as_array().expect("grants").clone();
    lines
        .iter()
        .flat_map(|line| {
            let statement = line["statement"].as_str().expect("a statement");
            let statement = statement.strip_prefix("GRANT ").expect("a grant");
            let (what, rest) = statement.split_once(" ON ").expect("ON");
            let on = rest.strip_suffix(&format!(" TO {};", case.user)).expect("TO");
            what.split(", ")
                .map(|privilege| Grant { privilege: privilege.to_owned(), on: on.to_owned() })
                .collect::<Vec<_>>()
        })
        .collect()
}

fn as_admin(program: Program) -> Program {
    program.env("CLICKHOUSE_USER", "default").env("CLICKHOUSE_PASSWORD", "")
}

#[test]
fn a_job_runs_with_the_printed_grants_and_each_of_them_is_needed() {
    let started = Instant::now();
    let bed = OwnBed::start();
    let scene = Scene::on(&bed.bed);
    scene.create(TABLES);
    for file in ["a.parquet", "b.parquet"] {
        scene.put_rows(file, 300, Format::Parquet);
    }
    let mut users = BTreeMap::new();
    let mut cases = Vec::new();
    for role in ["planner", "worker", "reader"] {
        let mark = format!("{role}_all");
        let whole = Case { user: format!("u_{mark}"), mark: mark.clone(), role, without: None };
        let list = printed(&scene, &whole);
        let without = std::iter::once(None).chain(list.iter().cloned().map(Some));
        for (number, without) in without.enumerate() {
            // Who only reads can share the databases with the others.
            let user = format!("u_{role}_{number}");
            let is_alone = number == 0 || role == "reader";
            let own = if is_alone { mark.clone() } else { format!("{role}_{number}") };
            let statements = list.iter().filter(|grant| Some(*grant) != without.as_ref());
            let statements = statements
                .map(|g| format!("GRANT {} ON {}", g.privilege, g.on.replace(&mark, &own)))
                .collect();
            let without = without.map(|g| Grant { on: g.on.replace(&mark, &own), ..g });
            users.insert(user.clone(), statements);
            cases.push(Case { user, mark: own, role, without });
        }
    }
    bed.set_users(&users);
    let world = Mutex::new(scene);

    // With all grants, planner and worker in one place: the rows are exact.
    let [planner, worker, reader] = ["planner", "worker", "reader"].map(|role| {
        let at = cases.iter().position(|c| c.role == role && c.without.is_none()).expect("whole");
        cases.remove(at)
    });
    let said = plans(&world, &planner);
    assert!(!said.contains("rivileges"), "{said}");
    let said = works(&world, &worker);
    assert!(!said.contains("rivileges"), "{said}");
    let job = prepare(&world, &reader);
    let said = reads(&world, &reader, &job);
    assert!(!said.contains("rivileges") && !said.contains("not checked"), "{said}");
    println!("the whole job: {:?}", started.elapsed());
    the(&world).assert_rows("events");
    the(&world).assert_view("daily_mv");

    let cases = drawn(&cases);
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = match case.role {
                        "planner" => plans(&world, case),
                        "worker" => works(&world, case),
                        _ => reads(&world, case, &job),
                    };
                    let grant = case.without.as_ref().expect("a case without a grant");
                    if !names(&said, grant) {
                        let text = format!("{} without {grant:?}:\n{said}", case.role);
                        wrong.lock().expect("no panic").push(text);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
    println!("{} grants were taken away: {:?}", cases.len(), started.elapsed());
    for case in cases.iter().chain([&planner, &worker, &reader]) {
        for database in [case.control(), case.staging()] {
            the(&world).admin.run(&format!("DROP DATABASE IF EXISTS {database} SYNC"));
        }
    }
}

/// Do the words name the privilege and what it is on?
fn names(said: &str, grant: &Grant) -> bool {
    let plain = said.replace(['`', '\\', '"'], "");
    let on = grant.on.replace('`', "");
    let on = on.trim_end_matches(".*");
    // What the server asks for first where another privilege would do as well.
    let other = match grant.privilege.as_str() {
        "DROP TABLE" => "DROP VIEW",
        "ALTER DELETE" => "ALTER MOVE PARTITION",
        // Who has another right to the table is asked for a look at it before the first row.
        "INSERT" => "SHOW COLUMNS",
        same => same,
    };
    // CREATE TABLE includes the temporary tables of table functions, and whoever reads the files may
    // be refused before whoever makes the staging tables.
    if grant.privilege == "CREATE TABLE" && plain.contains("CREATE TEMPORARY TABLE ON *.*") {
        return plain.contains("Not enough privileges");
    }
    (plain.contains(&grant.privilege) || plain.contains(other))
        && plain.contains(on)
        && (plain.contains("Not enough privileges") || plain.contains("GRANT "))
}

/// Everything that a planner does; the words of the first command that fails.
fn plans(world: &World, case: &Case) -> String {
    let run = |program: Program| case.place(program.env("CLICKHOUSE_USER", &case.user)).run();
    let init = run(longshore(world, ["init"]));
    if init.code() != Some(0) {
        return init.to_string();
    }
    let plan = run(plan(world, &[]));
    if plan.code() != Some(0) {
        return plan.to_string();
    }
    let job = plan.json()["plan_id"].as_str().expect("a plan").to_owned();
    let task = format!("{job}-0");
    let rest = [
        vec!["plan", "show", &job],
        vec!["submit", &job],
        vec!["status", &job],
        vec!["tasks", &job],
        vec!["task", &task],
    ];
    for args in rest {
        let ended = run(longshore(world, args));
        if ended.code() != Some(0) {
            return ended.to_string();
        }
    }
    // A grant that only workers fail without is told of by the plan.
    plan.to_string()
}

/// Plans and submits as the administrator.
fn prepare(world: &World, case: &Case) -> String {
    let run = |program: Program| as_admin(case.place(program)).run().ok();
    run(longshore(world, ["init"]));
    let plan = run(plan(world, &["--chunk-files-max", "2"]));
    let job = plan.json()["plan_id"].as_str().expect("a plan").to_owned();
    run(longshore(world, ["submit", &job]));
    job
}

/// Workers that die while loading and while publishing and lose the answer of a load: each statement
/// of the protocol is sent. Everything they say, and what the job was paused for.
fn works(world: &World, case: &Case) -> String {
    let job = prepare(world, case);
    let url = the(world).bed.clickhouse_url.clone();
    let admin = the(world).admin.clone();
    let lost = AtomicBool::new(false);
    let proxy = Proxy::start(&url, move |request| {
        let is_load = request.contains("INSERT INTO") && request.contains("_0_events");
        if is_load && !lost.swap(true, Ordering::Relaxed) {
            Verdict::LoseAnswer
        } else {
            Verdict::Pass
        }
    });
    let mut said = String::new();
    let is_told = |said: &str| case.without.as_ref().is_some_and(|grant| names(said, grant));
    for (faults, address) in
        [("load.after=exit", url.clone()), ("move.after=exit", proxy.url()), ("", url.clone())]
    {
        let program = worker(world, &job).env("CLICKHOUSE_USER", &case.user).faults(faults);
        let mut worker = case.place(program).env("CLICKHOUSE_URL", &address).spawn();
        within(WORKER_MAX, || (worker.has_ended() || is_told(&worker.words())).then_some(()));
        said.push_str(&worker.words());
        if is_told(&said) {
            return said;
        }
        // Whoever died is gone at once, without a wait for its lease.
        let control = case.control();
        admin.run(&format!("DELETE FROM {control}.workers WHERE worker_id != ''"));
    }
    let status =
        as_admin(case.place(longshore(world, ["status", &job, "--json"]))).run().ok().json();
    if case.without.is_none() {
        assert_eq!(status["state"], "completed", "{status}\n{said}");
    }
    format!("{said}{status}")
}

/// Everything that a reader does. What it may not see it says.
fn reads(world: &World, case: &Case, job: &str) -> String {
    let target = target(world);
    let mut said = String::new();
    let task = format!("{job}-0");
    let role = ["doctor", "--role", "reader", "--target"];
    for args in [&["task", &task][..], &["doctor", job], &[&role[..], &[&target]].concat()] {
        let program = longshore(world, args).env("CLICKHOUSE_USER", &case.user);
        said.push_str(&case.place(program).run().to_string());
    }
    said
}
