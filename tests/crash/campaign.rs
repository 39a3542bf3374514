//! The server is killed inside publishing, again and again, until the job is done in spite of it.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{
    CLICKHOUSE, DEADLINE, LONG_LEASE, OwnBed, Running, Scene, Tasks, long_or, send_signal, within,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::place::{Folders, classify, settle_replicas};
use crate::tally::Tally;

/// Kills inside publishing of a usual run, and of a long one; `LONGSHORE_CRASH_KILLS` asks for more.
const KILLS: [usize; 2] = [7, 14];
/// How long the server waits before and after each rename.
pub(crate) const RENAME: Duration = Duration::from_millis(20);
/// The lease of workers that die with the server: it outlives a busy machine and lapses soon.
const LEASE: &str = "4s";
/// A job gets so many kills, then it is let alone: it must end.
pub(crate) const KILLS_PER_JOB: usize = 40;
/// Files of a job, and rows of a file.
pub(crate) const FILES: usize = 6;
pub(crate) const ROWS: u64 = 400;

/// The seed of this run: `FAULT_SEED` repeats one.
pub(crate) fn seed() -> u64 {
    std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"))
}

/// Kills of a run: as many as `LONGSHORE_CRASH_KILLS` asks for.
pub(crate) fn kills(usual: usize) -> usize {
    std::env::var("LONGSHORE_CRASH_KILLS")
        .map_or(usual, |text| text.parse().expect("LONGSHORE_CRASH_KILLS is a number"))
}

#[test]
fn a_server_killed_inside_publishing_loses_and_doubles_nothing() {
    let wanted = kills(long_or(KILLS[0], KILLS[1]));
    let seed = seed();
    let mut tally = Tally::new("server killed inside publishing", seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let bed = OwnBed::with_slow_renames(RENAME);
    for job in 0.. {
        if tally.inside >= wanted {
            break;
        }
        // Not all in one job: the next one has workers that die, or survive.
        let kills = (wanted - tally.inside).min(wanted.div_ceil(2)).min(KILLS_PER_JOB);
        // Turn by turn: the worker outlives every kill, or dies with the server.
        let scene = Scene::on(&bed.bed).and_events(FILES, ROWS);
        Siege::new(&bed, scene, job % 2 == 0, &mut rng).run(&mut tally, &mut rng, kills);
    }
    assert_eq!((tally.quarantined, tally.reloaded), (0, 0), "seed {seed}");
    assert!(tally.both() * 8 >= wanted, "only {} kills left parts in both tables", tally.both());
}

/// One job on a server that is killed again and again.
pub(crate) struct Siege<'a> {
    bed: &'a OwnBed,
    scene: Scene,
    job: String,
    targets: Folders,
    survives: bool,
    workers: Vec<Running>,
}

impl<'a> Siege<'a> {
    /// Submits a load of all files of the scene into `events`.
    pub(crate) fn new(bed: &'a OwnBed, scene: Scene, survives: bool, rng: &mut StdRng) -> Self {
        // Half of the jobs stage several parts a partition: more renames in one MOVE.
        let many =
            "min_insert_block_size_rows=150,min_insert_block_size_bytes=1,max_block_size=150";
        let more: &[&str] = if rng.random() { &["--settings", many] } else { &[] };
        let job = scene.submit(&[&["--chunk-files-max", "2"], more].concat());
        let targets = Folders::of(&scene, &scene.db);
        Self { bed, scene, job, targets, survives, workers: Vec::new() }
    }

    /// So many kills inside publishing, or fewer when the job ends before. Then it must be exact.
    pub(crate) fn run(mut self, tally: &mut Tally, rng: &mut StdRng, kills: usize) -> Scene {
        let wanted = tally.inside + kills;
        let mut attempts = BTreeMap::new();
        let mut back: Option<Instant> = None;
        while tally.inside < wanted {
            self.hire();
            let Some(()) = self.wait(tally, &mut back, rng) else { break };
            let tasks = self.kill_and_restart();
            let found = classify(&self.scene, &tasks);
            let publishing = tasks.count("publishing") > 0;
            let kind = tally.add(publishing.then_some(&found));
            println!("kill {}: {kind} {:?}", tally.kills, tasks.states());
            for task in tasks.0.iter().filter(|task| task.state == "publishing") {
                attempts.insert(task.id.clone(), task.attempts);
            }
            back = Some(Instant::now());
            self.go_on();
        }
        if self.survives {
            // They hold long leases: nobody would take over from them.
            let ended =
                within(DEADLINE, || self.workers.iter_mut().all(Running::has_ended).then_some(()));
            assert!(
                ended.is_some(),
                "workers go on for ever: {:#?}, {:#?}",
                self.scene.tasks(),
                self.words()
            );
        }
        self.workers.clear();
        self.scene.settle(&self.job, "a server that was killed");
        let tasks = self.scene.tasks();
        tally.jobs += 1;
        tally.tasks += tasks.count("done");
        tally.quarantined += tasks.count("quarantined");
        let again = |id: &String, then: &u64| {
            tasks.0.iter().any(|task| task.id == *id && task.attempts != *then)
        };
        tally.reloaded += attempts.iter().filter(|(id, then)| again(id, then)).count();
        println!("so far: {}", tally.line());
        self.scene
    }

    /// Workers of this job are there.
    fn hire(&mut self) {
        self.workers.retain_mut(|worker| {
            let ended = worker.has_ended();
            if ended {
                println!("a worker ended: {}", worker.words());
            }
            !ended
        });
        while self.workers.len() < 2 {
            let worker = self.scene.worker(&self.job).args(["--slots", "1"]);
            let lease = if self.survives { LONG_LEASE } else { LEASE };
            self.workers.push(worker.env("LONGSHORE_LEASE", lease).spawn());
        }
    }

    /// Waits for the moment of the next kill; `None` when the job has ended first.
    fn wait(
        &mut self,
        tally: &mut Tally,
        back: &mut Option<Instant>,
        rng: &mut StdRng,
    ) -> Option<()> {
        let before = self.targets.list_parts();
        let new_parts = rng.random_range(0..6);
        let later = rng.random_range(Duration::ZERO..RENAME * 6);
        let begun = within(DEADLINE, || {
            let now = self.targets.list_parts();
            if (!now.clones.is_subset(&before.clones) || !now.parts.is_subset(&before.parts))
                && let Some(back) = back.take()
            {
                let who = if self.survives { "the same worker" } else { "another worker" };
                tally.recoveries.entry(who).or_default().push(back.elapsed());
            }
            let parts = now.parts.difference(&before.parts).count();
            if parts > new_parts || (new_parts == 0 && !now.clones.is_subset(&before.clones)) {
                return Some(true);
            }
            let idle = self.workers.iter_mut().all(Running::has_ended);
            idle.then_some(false)
        });
        let begun = begun.unwrap_or_else(|| panic!("nothing is published: {:?}", self.words()));
        if !begun {
            return None;
        }
        thread::sleep(later);
        Some(())
    }

    /// The tasks as they are before any worker can look at them.
    fn kill_and_restart(&mut self) -> Tasks {
        let server = self.bed.pid(CLICKHOUSE);
        send_signal(server, "KILL");
        // One that has ended by itself, because its work was done, cannot be stopped.
        self.workers.retain_mut(|worker| !worker.has_ended());
        for worker in &self.workers {
            worker.signal("STOP");
        }
        self.bed.restart(CLICKHOUSE);
        settle_replicas(&self.scene);
        self.scene.tasks()
    }

    fn go_on(&mut self) {
        if self.survives {
            self.workers.iter().for_each(|worker| worker.signal("CONT"));
        } else {
            self.workers.clear();
        }
    }

    fn words(&self) -> Vec<String> {
        self.workers.iter().map(Running::words).collect()
    }
}
