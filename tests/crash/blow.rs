//! One kill at a chosen place inside a MOVE.

use std::thread;
use std::time::Duration;

use longshore_tests::{
    CLICKHOUSE, DEADLINE, LONG_LEASE, OwnBed, Running, Scene, send_signal, wait_for, within,
};

use crate::place::{Folders, Found, classify};

/// So long the server waits after each rename once a task stands before its first MOVE.
const RENAME: Duration = Duration::from_millis(500);
/// Kills until one hits its place.
const TRIES: usize = 4;
/// The worker waits so long before its first MOVE: time to stop it.
const PAUSE: &str = "sleep(3000)";

/// A job with a task right before its first MOVE, on a server whose renames are slow now. Its worker is
/// stopped until somebody looks, however long the server needs to come back.
pub(crate) struct Standing<'a> {
    bed: &'a OwnBed,
    pub(crate) scene: &'a Scene,
    pub(crate) job: String,
    worker: Running,
}

/// What becomes of the worker when its server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerOutcome {
    /// It waits for the server and goes on.
    Survives,
    /// It dies too, and another takes over.
    Dies,
}

impl<'a> Standing<'a> {
    /// Lets a worker publish `before` tasks of the job and stop before the first MOVE of the next.
    pub(crate) fn new(bed: &'a OwnBed, scene: &'a Scene, job: &str, before: usize) -> Self {
        let skip = if before > 0 { format!("{before}*off->") } else { String::new() };
        let worker = scene
            .worker(job)
            .args(["--slots", "1"])
            .env("LONGSHORE_LEASE", LONG_LEASE)
            .faults(format!("manifest.after={skip}1*{PAUSE}"))
            .spawn();
        wait_for("the manifest is written", || {
            let words = worker.words();
            assert!(!words.contains("leaves"), "the worker has left: {words}");
            words.contains("point=\"manifest.after\"").then_some(())
        });
        worker.signal("STOP");
        restart_slow(bed);
        Self { bed, scene, job: job.to_owned(), worker }
    }

    /// Kills the server when a part has its name in the target and is still in the staging table,
    /// starts it again at its usual speed, and makes sure that it was so.
    pub(crate) fn kill_in_both(&self, table: &str) {
        self.kill_in(table, Found::Both);
    }

    /// The same before the first part has its name: the target has nothing of the partition.
    pub(crate) fn kill_in_source(&self, table: &str) {
        self.kill_in(table, Found::Source);
    }

    /// A busy machine can miss the place: then the next MOVE into the table is waited for.
    fn kill_in(&self, table: &str, place: Found) {
        let targets = Folders::of_table(self.scene, table);
        for _ in 0..TRIES {
            let before = targets.list_parts();
            self.worker.signal("CONT");
            let pid = self.bed.pid(CLICKHOUSE);
            let hit = within(DEADLINE, || {
                let now = targets.list_parts();
                let parts = now.parts.difference(&before.parts).count();
                let clones = now.clones.difference(&before.clones).count();
                let hit = if place == Found::Both { parts > 0 } else { clones > 0 && parts == 0 };
                // A worker that has left moves nothing any more.
                (hit || self.worker.words().contains("leaves")).then_some(hit)
            });
            assert_eq!(hit, Some(true), "no MOVE into {table}: {}", self.worker.words());
            send_signal(pid, "KILL");
            self.worker.signal("STOP");
            self.bed.usual_renames();
            self.bed.restart(CLICKHOUSE);
            let found = classify(self.scene, &self.scene.tasks());
            let both = found.iter().filter(|found| found.is_both()).count();
            println!("{table}: killed, {found:?}");
            if both == usize::from(place == Found::Both) && found.contains(&Found::Source) {
                return;
            }
            restart_slow(self.bed);
        }
        panic!("every kill missed its place");
    }

    /// The worker goes on, or is killed.
    pub(crate) fn decide(mut self, outcome: WorkerOutcome) -> Option<Running> {
        if outcome == WorkerOutcome::Survives {
            self.worker.signal("CONT");
            return Some(self.worker);
        }
        self.worker.kill();
        // Its lease outlives a slow restart of the server.
        self.scene.sign_all_off();
        None
    }

    /// The worker meets its outcome, and the job ends with exact rows.
    pub(crate) fn settle(self, outcome: WorkerOutcome, what: &str) {
        let (scene, job) = (self.scene, self.job.clone());
        if let Some(worker) = self.decide(outcome) {
            worker.wait().ok();
        }
        scene.settle(&job, what);
    }
}

fn restart_slow(bed: &OwnBed) {
    bed.slow_renames(RENAME);
    send_signal(bed.pid(CLICKHOUSE), "KILL");
    bed.restart(CLICKHOUSE);
}

/// Merges every partition of a table now, as the server would sooner or later.
pub(crate) fn merge(scene: &Scene, table: &str) {
    let before = active(scene, table);
    scene.admin.run(&format!("OPTIMIZE TABLE {}.`{table}` FINAL", scene.db));
    let after = active(scene, table);
    assert!(after.iter().all(|part| !before.contains(part)), "{table} was merged: {after:?}");
}

fn active(scene: &Scene, table: &str) -> Vec<String> {
    scene.admin.column(&format!(
        "SELECT name FROM system.parts WHERE database = '{}' AND table = '{table}' AND active AND rows > 0",
        scene.db
    ))
}

/// Waits until the server has forgotten the parts that a merge took in.
pub(crate) fn forget_merged(scene: &Scene, table: &str) {
    wait_for(&format!("merged parts of {table} are forgotten"), || {
        thread::sleep(Duration::from_millis(200));
        let left = scene.admin.number(&format!(
            "SELECT count() FROM system.parts WHERE database = '{}' AND table = '{table}' AND NOT active",
            scene.db
        ));
        (left == 0).then_some(())
    });
}
