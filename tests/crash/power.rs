//! Power losses: the server is killed, and what it had not synced is taken away from its files.
//!
//! `LONGSHORE_POWER_LOSSES=N` plays N losses with `--durable` and N without it; the few of a usual
//! run show that the play itself works. `FAULT_SEED` plays the same schedule again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use longshore_tests::{
    CLICKHOUSE, Call, Event, LONG_LEASE, OwnBed, Program, Recording, Running, Scene, Taken,
    long_or, send_signal, wait_for,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Losses of each kind in a usual run, and in a long one.
const LOSSES: [usize; 2] = [2, 2];
/// Files, each a task.
const FILES: usize = 4;

/// Where a worker is held while the power goes.
const STEPS: [&str; 10] = [
    "load.after",
    "manifest.before",
    "announce.after",
    "move.before",
    "move.after",
    "receipt.before",
    "receipt.after",
    "send.sync_disks",
    "done.after",
    "drop.after",
];

#[test]
fn what_a_receipt_proves_is_synced_before_it() {
    let bed = OwnBed::start();
    for durable in [true, false] {
        let recording = bed.record();
        let scene = Scene::on(&bed.bed).and_events(3, 200);
        let targets = folders(&scene, &["events", "daily", "buys"]);
        for table in ["events", "daily"] {
            scene.admin.run(&format!("SYSTEM STOP MERGES {}.{table}", scene.db));
        }
        let flag = format!("--durable={durable}");
        let job = scene.submit(&["--chunk-files-max", "1", &flag]);
        scene.finish(&job);
        assert_eq!(scene.status(&job)["state"], "completed");
        assert_eq!(scene.status(&job)["durable"], durable);
        let receipts = folder(&scene, &scene.control, "receipts");
        let journal = recording.journal();
        let events = journal.events();
        let moves = events.iter().filter(|event| is_move(event, &targets));
        let moves: Vec<&Event> = moves.collect();
        assert!(moves.len() >= 9, "three tasks move into three tables: {moves:?}");
        if durable {
            assert_synced(events, &moves, &targets, &receipts);
        } else {
            let synced = |event: &&Event| match &event.call {
                Call::SyncAll => true,
                // That is of CREATE TABLE, before the job.
                Call::Sync(path) if path.ends_with("format_version.txt") => false,
                Call::Sync(path) => targets.iter().any(|target| path.starts_with(target)),
                _ => false,
            };
            let synced: Vec<&Event> = events.iter().filter(synced).collect();
            assert!(synced.is_empty(), "the server syncs nothing of a target unasked: {synced:?}");
        }
        recording.discard();
    }
}

#[test]
fn what_is_published_at_the_end_is_synced_before_its_receipt() {
    let bed = OwnBed::start();
    let recording = bed.record();
    for mode in ["exchange", "replace"] {
        let scene = Scene::for_swaps(&bed.bed).with_old_events(2, 200);
        let receipts = folder(&scene, &scene.control, "receipts");
        let job = scene.submit(&["--publish", mode, "--durable"]);
        scene.finish(&job);
        scene.settle_swap(&job, mode, "a durable job");
        let journal = recording.journal();
        let events = journal.events();
        let is_swap = |event: &&Event| match &event.call {
            Call::Exchange(..) => mode == "exchange",
            Call::Rename(from, _) => {
                mode == "replace" && from.to_string_lossy().contains("tmp_replace_from_")
            }
            _ => false,
        };
        let swaps: Vec<&Event> = events.iter().filter(is_swap).collect();
        assert!(!swaps.is_empty(), "{mode}: something is swapped");
        for swap in swaps {
            let is_receipt = |event: &&Event| matches!(&event.call, Call::Folder(path) if is_insert(path, &receipts));
            let receipt = events.iter().find(|event| event.began > swap.at() && is_receipt(event));
            let receipt = receipt.expect("receipts of the last task").began;
            let is_synced = events.iter().any(|event| {
                event.call == Call::SyncAll && event.began > swap.at() && event.at() < receipt
            });
            assert!(is_synced, "{mode}: no sync between {swap:?} and its receipt");
        }
    }
}

/// After each move comes a sync, then nothing of the targets, then the receipts, then a sync.
fn assert_synced(events: &[Event], moves: &[&Event], targets: &[PathBuf], receipts: &Path) {
    let begins =
        |event: &&Event| matches!(&event.call, Call::Folder(path) if is_insert(path, receipts));
    let inserts: Vec<&Event> = events.iter().filter(begins).collect();
    // A server that was started a moment ago is looked at again, and receipts are written again.
    assert!(inserts.len() >= 3, "one insert of receipts a task: {inserts:?}");
    let syncs: Vec<&Event> = events.iter().filter(|event| event.call == Call::SyncAll).collect();
    for moved in moves {
        let receipt = inserts.iter().find(|insert| insert.began > moved.at());
        let receipt = receipt.expect("receipts after the move").began;
        let sync = syncs.iter().find(|sync| sync.began > moved.at() && sync.at() < receipt);
        let sync = sync.unwrap_or_else(|| panic!("no sync between {moved:?} and its receipt"));
        let late = events.iter().find(|event| {
            event.began > sync.began && event.began < receipt && is_in(event, targets)
        });
        assert_eq!(late, None, "after the sync and before the receipt");
    }
    for insert in inserts {
        let named = events.iter().find(|event| {
            matches!(&event.call, Call::Rename(_, to) if to.starts_with(receipts))
                && event.began > insert.began
        });
        let named = named.expect("the part of the receipts gets its name").at();
        let next = events.iter().find(|event| event.began > named && begins(event));
        let next = next.map_or(usize::MAX, |next| next.began);
        let is_synced = syncs.iter().any(|sync| sync.began > named && sync.at() < next);
        assert!(is_synced, "receipts are on disk before their task is done");
    }
}

fn is_insert(path: &Path, table: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.parent() == Some(table) && name.starts_with("tmp_insert_")
}

fn is_move(event: &Event, targets: &[PathBuf]) -> bool {
    let Call::Rename(from, to) = &event.call else { return false };
    let is_staged = from.to_string_lossy().contains("tmp_move_from_");
    is_staged && targets.iter().any(|target| to.starts_with(target))
}

/// Does it change a name or content in one of these folders?
fn is_in(event: &Event, targets: &[PathBuf]) -> bool {
    let path = match &event.call {
        Call::Create(path)
        | Call::Folder(path)
        | Call::Link(_, path)
        | Call::Rename(_, path)
        | Call::Exchange(_, path)
        | Call::Write(path, _) => path,
        Call::Remove(_) | Call::Sync(_) | Call::SyncAll => return false,
    };
    targets.iter().any(|target| path.starts_with(target))
}

fn folders(scene: &Scene, tables: &[&str]) -> Vec<PathBuf> {
    tables.iter().map(|table| folder(scene, &scene.db, table)).collect()
}

/// Where a table has its parts; of a view, those of its inner table.
fn folder(scene: &Scene, database: &str, table: &str) -> PathBuf {
    let path = scene.admin.run(&format!(
        "SELECT data_paths[1] FROM system.tables WHERE database = '{database}' AND (name = '{table}' OR \
         name = concat('.inner_id.', toString((SELECT uuid FROM system.tables WHERE database = '{database}' AND name = '{table}')))) \
         AND notEmpty(data_paths) ORDER BY length(name) DESC LIMIT 1"
    ));
    assert!(path.starts_with('/'), "{table} has a folder: {path:?}");
    path.trim_end_matches('/').into()
}

#[test]
fn with_durable_no_receipt_is_left_without_its_rows() {
    let mut play = Play::new(true);
    for round in 0..losses() {
        play.lose(round);
    }
    println!("{}", play.tally.line("durable"));
    assert_eq!(play.tally.lost, 0, "jobs that lost rows");
    assert!(play.tally.undone > 0, "the losses took something");
}

#[test]
fn without_durable_every_loss_is_found() {
    let mut play = Play::new(false);
    for round in 0..losses() {
        play.lose(round);
    }
    println!("{}", play.tally.line("not durable"));
    assert_eq!(play.tally.lost, play.tally.found, "jobs that lost rows, and those that were told");
    assert!(play.tally.lost > 0, "the losses took rows");
}

fn losses() -> usize {
    let asked = std::env::var("LONGSHORE_POWER_LOSSES").ok();
    asked.map_or(long_or(LOSSES[0], LOSSES[1]), |text| {
        text.parse().expect("LONGSHORE_POWER_LOSSES is a number")
    })
}

/// What the losses of a run did.
#[derive(Default)]
struct Tally {
    losses: usize,
    unsynced: usize,
    undone: usize,
    cut: usize,
    /// Receipts in force right after the restart.
    receipts: u64,
    /// Those of them whose parts were not there.
    bare: u64,
    /// Tasks that a person had to decide on.
    quarantined: usize,
    /// Jobs whose tables lacked rows of done tasks at their end.
    lost: usize,
    /// Those of them that the audit or `doctor` names.
    found: usize,
}

impl Tally {
    fn line(&self, what: &str) -> serde_json::Value {
        serde_json::json!({
            "what": what,
            "losses": self.losses,
            "names_unsynced": self.unsynced,
            "names_undone": self.undone,
            "files_cut": self.cut,
            "receipts_after_restart": self.receipts,
            "receipts_without_parts": self.bare,
            "tasks_quarantined": self.quarantined,
            "jobs_that_lost_rows": self.lost,
            "jobs_that_lost_rows_and_were_told": self.found,
        })
    }
}

struct Play {
    bed: OwnBed,
    recording: Option<Recording>,
    random: StdRng,
    durable: bool,
    tally: Tally,
}

impl Play {
    fn new(durable: bool) -> Self {
        let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| rand::rng().random());
        println!("power losses, durable={durable}: FAULT_SEED={seed}");
        let random = StdRng::seed_from_u64(seed);
        Self { bed: OwnBed::start(), recording: None, random, durable, tally: Tally::default() }
    }

    /// One job, one loss, and what comes of it.
    fn lose(&mut self, round: usize) {
        if let Some(old) = self.recording.replace(self.bed.record()) {
            old.discard();
        }
        let scene = Scene::on(&self.bed.bed).and_events(FILES, 100);
        let durable = self.durable;
        let job = scene.submit(&["--chunk-files-max", "1", &format!("--durable={durable}")]);
        // The job begins on a disk that has all that was there before.
        scene.admin.run("SYSTEM SYNC FILE CACHE");
        let survives = self.random.random_bool(0.5);
        let lease = if survives { LONG_LEASE } else { "2s" };
        let program = scene.worker(&job).env("LONGSHORE_LEASE", lease);
        let (mut worker, moment) = self.wait_for_moment(&scene, program, round == 0);
        let taken = self.blow(survives, &mut worker, round == 0);
        let (receipts, bare) = receipts(&scene, &job);
        self.tally.receipts += receipts;
        self.tally.bare += bare;
        let what =
            format!("round {round}, {moment}, {taken:?}, {bare} of {receipts} receipts bare");
        println!("{what}");
        if durable {
            assert_eq!(bare, 0, "{what}: receipts without their parts");
        }
        if survives {
            worker.wait();
        }
        self.settle(&scene, &job, &what);
    }

    /// A worker at a random step of a random task, or some time after so many tasks are done. The first
    /// time it is one at which something is lost for certain.
    fn wait_for_moment(
        &mut self,
        scene: &Scene,
        program: Program,
        is_first: bool,
    ) -> (Running, String) {
        let done = if is_first { FILES } else { self.random.random_range(0..=FILES) };
        let pause = Duration::from_millis(self.random.random_range(0..150));
        let by_time = if is_first { !self.durable } else { self.random.random_bool(0.3) };
        if by_time {
            let worker = program.spawn();
            wait_for("so many tasks are done", || {
                scene.try_tasks().filter(|tasks| tasks.count("done") >= done)
            });
            thread::sleep(pause);
            return (worker, format!("{pause:?} after {done} tasks"));
        }
        let step = if is_first { 0 } else { self.random.random_range(0..STEPS.len()) };
        let point = STEPS[step];
        let passes = self.random.random_range(usize::from(is_first)..FILES);
        let mut worker = program.faults(format!("{point}={passes}*off->1*sleep(3000)")).spawn();
        wait_for(point, || (worker.words().contains(point) || worker.has_ended()).then_some(()));
        (worker, format!("at {point} after {passes} passes"))
    }

    /// The power goes, and comes back.
    fn blow(&mut self, survives: bool, worker: &mut Running, is_whole: bool) -> Taken {
        send_signal(self.bed.pid(CLICKHOUSE), "KILL");
        if !survives {
            worker.kill();
        }
        let recording = self.recording.take().expect("the server is recorded");
        let journal = recording.journal();
        // Nothing that was not synced is there; or the first names and half of the contents; or all names.
        let keep = match self.random.random_range(0..3) {
            _ if is_whole => 0,
            0 => 0,
            1 => self.random.random_range(0..1000),
            _ => 1000,
        };
        let random = &mut self.random;
        let mut fates: HashMap<PathBuf, bool> = HashMap::new();
        let taken = journal.lose(keep, |folder| {
            keep > 0 && *fates.entry(folder.to_owned()).or_insert_with(|| random.random_bool(0.5))
        });
        self.bed.unrecorded();
        recording.discard();
        self.bed.restart(CLICKHOUSE);
        self.tally.losses += 1;
        self.tally.unsynced += taken.unsynced;
        self.tally.undone += taken.undone;
        self.tally.cut += taken.cut;
        taken
    }

    /// The job goes to its end; what was lost must have been told.
    fn settle(&mut self, scene: &Scene, job: &str, what: &str) {
        scene.finish_all(job);
        let quarantined = scene.tasks().count("quarantined");
        self.tally.quarantined += quarantined;
        if quarantined > 0 {
            // Nothing of them is anywhere: a person sees that, and says so.
            scene.longshore(["retry", job, "--quarantined", "--reload"]).run();
            scene.finish_all(job);
        }
        let lacks = scene.audit_rows("events").lost + lost_in_views(scene);
        let state = scene.status(job)["state"].as_str().unwrap_or_default().to_owned();
        let doctor = scene.longshore(["doctor", job, "--json"]).run();
        let is_told = state != "completed" || doctor.code() == Some(8);
        println!("{what}: {quarantined} quarantined, {state}, {lacks} rows lost, told: {is_told}");
        if lacks > 0 {
            self.tally.lost += 1;
            self.tally.found += usize::from(is_told);
        }
        if self.durable {
            assert_eq!(state, "completed", "{what}: {:?}\n{doctor}", scene.tasks());
            assert!(scene.tasks().all("done"), "{what}: {:?}", scene.tasks());
            scene.assert_exact();
            scene.assert_receipts(job);
            scene.assert_clean(job);
            assert_eq!(doctor.code(), Some(0), "{what}: {doctor}");
        } else if lacks > 0 {
            assert!(is_told, "{what}: rows are lost and nobody says so\n{doctor}");
        }
    }
}

/// Receipts in force, and those of them whose parts the target does not list.
fn receipts(scene: &Scene, job: &str) -> (u64, u64) {
    let counts = scene.admin.rows(&format!(
        "SELECT count(), countIf(NOT hasAll((SELECT groupUniqArray(part.uuid) FROM system.parts AS part \
         WHERE database = '{}' AND (active OR toUnixTimestamp(remove_time) > 0)), part_uuids)) \
         FROM {}.receipts FINAL WHERE job_id = '{job}' AND query_id != ''",
        scene.db, scene.control
    ));
    let number = |at: usize| counts[0][at].parse().expect("a number");
    (number(0), number(1))
}

/// Rows of `events` that its views have lost. (What both have lost is not seen here.)
fn lost_in_views(scene: &Scene) -> u64 {
    let of = |what: &str, table: &str| {
        scene.admin.number(&format!("SELECT toUInt64({what}) FROM {}.{table}", scene.db))
    };
    let buys = of("countIf(kind = 'buy')", "events").saturating_sub(of("count()", "buys"));
    buys + of("count()", "events").saturating_sub(of("sum(events)", "daily"))
}
