//! MOVEs into replicated tables while workers and the server of the plan die: exact on both replicas.
//!
//! A MOVE of a replicated table names the parts in the target's folder, then tells Keeper that the target has them,
//! then tells Keeper that the staging table has them no more. The server is killed between these steps.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use longshore_shared::faults::{self, Point};
use longshore_tests::{
    CLICKHOUSE, DEADLINE, Flow, KEEPER, LONG_LEASE, OwnBed, Replica, Running, Scene, Toxics, Wire,
    drawn_few, literal, long_or, send_signal, wait_for, within,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::blow::WorkerOutcome;
use crate::campaign::{FILES, KILLS_PER_JOB, ROWS, Siege, kills, seed};
use crate::place::{Folders, Found, classify, settle_replicas};
use crate::tally::Tally;

/// Scenes that go on at the same time on one bed.
const LANES: usize = 4;
/// Kills between the steps of a MOVE in a usual run; `LONGSHORE_CRASH_KILLS` asks for more.
const ROUNDS: usize = 2;
/// Kills of the campaign in a usual run, and in a long one; `LONGSHORE_CRASH_KILLS` asks for more.
const KILLS: [usize; 2] = [2, 3];
/// Each way to Keeper and back takes so much longer in the campaign.
const SLOW: Duration = Duration::from_millis(15);
/// The same where a kill is to hit between two requests.
const SLOWER: Duration = Duration::from_millis(150);
/// So long the server waits before and after each rename, where a kill is to hit before the first request.
const RENAME: Duration = Duration::from_millis(500);
/// Kills until one hits its place.
const TRIES: usize = 4;

/// The worker's points from the manifest to its end, and those of a take-over.
const AROUND_PUBLISHING: [Point; 11] = [
    faults::MANIFEST_AFTER,
    faults::ANNOUNCE_AFTER,
    faults::MOVE_BEFORE,
    faults::MOVE_AFTER,
    faults::RECEIPT_BEFORE,
    faults::RECEIPT_AFTER,
    faults::DONE_AFTER,
    faults::DROP_AFTER,
    faults::FENCE_BEFORE,
    faults::FENCE_RENAMED,
    faults::FENCE_AFTER,
];

#[test]
fn a_worker_that_dies_at_a_named_point_is_followed_exactly_on_both_replicas() {
    let bed = OwnBed::of_replicas(&[]);
    let mut deaths: Vec<(Point, usize)> = AROUND_PUBLISHING.map(|point| (point, 0)).to_vec();
    // In the middle of the partitions and tables of one task.
    deaths.extend([(faults::MOVE_AFTER, 2), (faults::MOVE_BEFORE, 4)]);
    deaths = drawn_few(&deaths, LANES);
    if std::env::var_os("LONGSHORE_CRASH_KILLS").is_some() {
        deaths.extend(faults::ALL.iter().map(|point| (*point, 0)));
        deaths.extend((1..10).map(|passes| (faults::MOVE_AFTER, passes)));
    }
    thread::scope(|scope| {
        for lane in 0..LANES {
            let (bed, deaths) = (&bed, &deaths);
            scope.spawn(move || {
                for (point, passes) in deaths.iter().skip(lane).step_by(LANES) {
                    die_at(bed, *point, *passes);
                }
            });
        }
    });
    println!("{} deaths at named points", deaths.len());
}

/// A worker dies after so many passes of a point; one that is at home on the other replica goes on.
fn die_at(bed: &OwnBed, point: Point, passes: usize) {
    let what = format!("{} after {passes} passes", point.0);
    let (scene, replica) = Replica::with_events(&bed.bed, 2, 300);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let worker = || scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
    if faults::TAKE_OVER.contains(&point) {
        let first = worker().faults(format!("{}=exit", faults::MOVE_AFTER.0)).run();
        assert!(first.was_killed(), "{what}: {first}");
        scene.sign_all_off();
    }
    let dead = worker().faults(format!("{}={passes}*off->exit", point.0)).run();
    assert!(dead.was_killed(), "the worker never passed {what}\n{dead}");
    scene.sign_all_off();
    worker().env("CLICKHOUSE_URL", &replica.url).run().ok();
    scene.settle(&job, &what);
    // No server died: nothing is left to be removed.
    assert_eq!(replica.staged_in_keeper(&scene), Ok(Vec::new()), "{what}: left in Keeper");
    replica.assert_same(&scene, &what);
}

/// Two replicas, of which the first reaches its Keeper through a proxy.
struct Pair {
    bed: OwnBed,
    wire: Wire,
}

impl Pair {
    fn start() -> Self {
        let pair = Self::start_unwired();
        pair.bed.restart(CLICKHOUSE);
        pair
    }

    /// The proxy is in its place from the first restart of the first replica on.
    fn start_unwired() -> Self {
        let bed = OwnBed::of_replicas(&[]);
        let wire = Wire::start(&format!("127.0.0.1:{}", bed.port(KEEPER)));
        let port = wire.url().rsplit(':').next().expect("a port").to_owned();
        bed.set("LONGSHORE_TESTBED_KEEPER_PORT", port);
        Self { bed, wire }
    }

    fn delay(&self, delay: Duration) {
        let flow = Flow { delay, ..Flow::default() };
        self.wire.set(Toxics { up: flow.clone(), down: flow, ..Toxics::default() });
    }
}

#[test]
fn a_replica_killed_inside_publishing_loses_and_doubles_nothing_on_either() {
    let (wanted, seed) = (kills(long_or(KILLS[0], KILLS[1])), seed());
    let mut tally = Tally::new("replica of the plan killed inside publishing", seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let pair = Pair::start();
    pair.bed.opens_tables_with_unknown_parts(&[CLICKHOUSE]);
    for job in 0.. {
        if tally.inside >= wanted {
            break;
        }
        let left = (wanted - tally.inside).min(KILLS_PER_JOB);
        let (scene, replica) = Replica::with_events(&pair.bed.bed, FILES, ROWS);
        let siege = Siege::new(&pair.bed, scene, job % 2 == 0, &mut rng);
        pair.delay(SLOW);
        let scene = siege.run(&mut tally, &mut rng, left);
        pair.delay(Duration::ZERO);
        replica.assert_same(&scene, &format!("seed {seed}, job {job}"));
    }
    assert_eq!((tally.quarantined, tally.reloaded), (0, 0), "seed {seed}");
}

/// Where in a MOVE the server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The part has its name in the target's folder, and Keeper knows nothing of it.
    Named,
    /// Keeper knows the part in the target, and it knows it in the staging table still.
    Between,
}

/// What the worker does when its server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It asks the server at once, whatever that has found out about itself yet.
    GoesOn,
    /// As told, after the server has come to itself.
    Meets(WorkerOutcome),
}

#[test]
fn a_replica_killed_between_the_steps_of_a_move_loses_and_doubles_nothing_on_either() {
    let pair = Pair::start();
    // Not named in an empty table: a server that finds there more rows that Keeper does not know than it
    // knows does not start the table (`replicated_max_ratio_of_wrong_parts`).
    let rounds = [
        (Moment::Between, "events", 0, Then::GoesOn),
        (Moment::Named, "events", 1, Then::Meets(WorkerOutcome::Dies)),
        (Moment::Between, "daily", 1, Then::Meets(WorkerOutcome::Survives)),
        (Moment::Between, "events", 1, Then::Meets(WorkerOutcome::Dies)),
        (Moment::Named, "daily", 1, Then::GoesOn),
    ];
    let drawn = drawn_few(&rounds, ROUNDS);
    let wanted = kills(drawn.len());
    // Who asks for more kills than that gets kills of all kinds.
    let visited = if wanted > drawn.len() { rounds.to_vec() } else { drawn };
    for (round, (moment, table, before, then)) in
        visited.into_iter().cycle().take(wanted).enumerate()
    {
        let what = format!("round {round}: {moment:?}, {table}, {before} tasks before, {then:?}");
        let (scene, replica) = Replica::with_events(&pair.bed.bed, 2, 300);
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let aim = Aim::new(&pair, &scene, &replica, &job, table, before);
        let worker = aim.kill(moment, then);
        println!("{what}: killed");
        if let Some(worker) = worker {
            worker.wait();
        }
        scene.settle(&job, &what);
        replica.assert_same(&scene, &what);
        assert!(scene.tasks().all("done"), "{what}: {:?}", scene.tasks());
    }
    println!("{wanted} kills, each at its place");
}

/// A server that finds more rows on its disk than Keeper knows does not start the table.
#[test]
fn a_server_killed_in_the_first_move_into_an_empty_table_is_told_with_the_way_out() {
    let what = "killed in the first MOVE into an empty table";
    // Its server is started again before the kill.
    let pair = Pair::start_unwired();
    let (scene, replica) = Replica::with_events(&pair.bed.bed, 2, 300);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let aim = Aim::new(&pair, &scene, &replica, &job, "events", 0);
    let worker = aim.kill(Moment::Named, Then::GoesOn).expect("it lives");
    let told = wait_for("doctor tells the way out", || {
        let doctor = scene.longshore(["doctor", &job]).run();
        doctor.stdout.contains("replicated_max_ratio_of_wrong_parts").then_some(doctor)
    });
    told.exits_with(8).says(&["events", "is read-only", "suspicious"]);
    // What other guides say: now the part is there, for readers of this replica alone.
    let flag = pair.bed.folder().join("clickhouse-1/flags/force_restore_data");
    std::fs::write(flag, "").expect("a writable folder");
    pair.bed.restart(CLICKHOUSE);
    wait_for("the task says what it waits for", || {
        let task = scene.longshore(["tasks", &job, "--json"]).run();
        let is_told = task.stdout.contains("Keeper does not know it");
        assert!(is_told || !scene.tasks().all("done"), "a part of one replica was a proof");
        is_told.then_some(())
    });
    // A worker that is asked to end does not wait for the person; the next one goes on.
    worker.signal("TERM");
    worker.wait().ok();
    let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).spawn();
    // The way out that doctor and the guide print.
    pair.bed.opens_tables_with_unknown_parts(&[CLICKHOUSE]);
    pair.bed.restart(CLICKHOUSE);
    worker.wait();
    scene.settle(&job, what);
    replica.assert_same(&scene, what);
}

/// A worker with a task right before its first MOVE.
struct Aim<'a> {
    pair: &'a Pair,
    scene: &'a Scene,
    replica: &'a Replica,
    worker: Running,
    /// The worker goes on when this is there.
    gate: PathBuf,
    folders: Folders,
    /// Where Keeper has the parts of the target on the replica of the plan.
    path: String,
}

impl<'a> Aim<'a> {
    /// Lets a worker publish `before` tasks and stop before the first MOVE of the next.
    fn new(
        pair: &'a Pair,
        scene: &'a Scene,
        replica: &'a Replica,
        job: &str,
        table: &str,
        before: usize,
    ) -> Self {
        let gate = scene.folder().join("go-on");
        let point = faults::MANIFEST_AFTER.0;
        let skip = if before > 0 { format!("{before}*off->") } else { String::new() };
        let worker = scene.worker(job).env("LONGSHORE_LEASE", LONG_LEASE);
        let worker = worker.faults(format!("{point}={skip}1*until({})", gate.display())).spawn();
        wait_for("the manifest is written", || {
            let words = worker.words();
            words.contains(&format!("point=\"{point}\"")).then_some(())
        });
        let path = scene.admin.run(&format!(
            "SELECT concat(replica_path, '/parts') FROM system.replicas WHERE database = {} AND table = {}",
            literal(&scene.db),
            literal(table)
        ));
        // Else a merge could look like a part that was moved.
        for admin in [&scene.admin, &replica.admin] {
            admin.run(&format!("SYSTEM STOP MERGES {}.{table}", scene.db));
        }
        let folders = Folders::of_table(scene, table);
        Self { pair, scene, replica, worker, gate, folders, path }
    }

    /// Kills the server at the moment of a MOVE into the table, starts it again, and makes sure that it
    /// was so. The worker, if it lives.
    fn kill(self, moment: Moment, then: Then) -> Option<Running> {
        for _ in 0..TRIES {
            self.make_slow(moment);
            let (folder, keeper) = (self.folders.list_parts(), self.in_keeper());
            std::fs::write(&self.gate, "").expect("a writable folder");
            let pid = self.pair.bed.pid(CLICKHOUSE);
            let hit = within(DEADLINE, || {
                let begun = match moment {
                    Moment::Named => !self.folders.list_parts().parts.is_subset(&folder.parts),
                    Moment::Between => !self.in_keeper().is_subset(&keeper),
                };
                begun.then_some(())
            });
            assert!(hit.is_some(), "no MOVE was seen: {}", self.worker.words());
            send_signal(pid, "KILL");
            if then != Then::GoesOn {
                self.worker.signal("STOP");
            }
            let is_known = !self.in_keeper().is_subset(&keeper);
            self.make_usual();
            if then == Then::GoesOn {
                assert_eq!(is_known, moment == Moment::Between, "{moment:?}");
                return Some(self.worker);
            }
            settle_replicas(self.scene);
            let found = classify(self.scene, &self.scene.tasks());
            println!("{moment:?}: {found:?}");
            let both = found.iter().filter(|found| found.is_both()).count();
            if both == usize::from(moment == Moment::Between) && found.contains(&Found::Source) {
                return self.decide(then);
            }
            self.worker.signal("CONT");
        }
        panic!("every kill missed its place");
    }

    fn make_slow(&self, moment: Moment) {
        if moment == Moment::Between {
            return self.pair.delay(SLOWER);
        }
        self.pair.bed.slow_renames(RENAME);
        send_signal(self.pair.bed.pid(CLICKHOUSE), "KILL");
        self.pair.bed.restart(CLICKHOUSE);
        settle_replicas(self.scene);
    }

    fn make_usual(&self) {
        self.pair.delay(Duration::ZERO);
        self.pair.bed.usual_renames();
        self.pair.bed.restart(CLICKHOUSE);
    }

    /// The parts of the target as Keeper knows them: it is asked through the other replica.
    fn in_keeper(&self) -> BTreeSet<String> {
        let parts = format!("SELECT name FROM system.zookeeper WHERE path = '{}'", self.path);
        self.replica.admin.column(&parts).into_iter().collect()
    }

    /// The worker goes on, or is killed.
    fn decide(mut self, then: Then) -> Option<Running> {
        if then == Then::Meets(WorkerOutcome::Survives) {
            self.worker.signal("CONT");
            return Some(self.worker);
        }
        self.worker.kill();
        self.scene.sign_all_off();
        None
    }
}
