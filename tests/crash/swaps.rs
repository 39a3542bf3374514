//! The server is killed inside the statements that publish everything at once.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use longshore_tests::{
    CLICKHOUSE, DEADLINE, LONG_LEASE, OwnBed, Running, Scene, drawn_few, send_signal, wait_for,
    within,
};

use crate::blow::WorkerOutcome;
use crate::place::Folders;

/// The server waits so long before and after each rename.
const RENAME: Duration = Duration::from_millis(400);
/// Kills until one hits its place.
const TRIES: usize = 5;

/// A job whose worker stands right before it publishes, on a server whose renames are slow now.
struct Brink<'a> {
    bed: &'a OwnBed,
    scene: Scene,
    job: String,
    worker: Running,
}

impl<'a> Brink<'a> {
    fn of(bed: &'a OwnBed, mode: &str) -> Self {
        let scene = Scene::for_swaps(&bed.bed).with_old_events(2, 200);
        let job = scene.submit(&["--publish", mode, "--chunk-files-max", "1"]);
        let point = format!("{mode}.before");
        let worker = scene.worker(&job).args(["--slots", "1"]).env("LONGSHORE_LEASE", LONG_LEASE);
        let worker = worker.faults(format!("{point}=1*sleep(2000)")).spawn();
        wait_for(&point, || worker.words().contains(&point).then_some(()));
        let brink = Self { bed, scene, job, worker };
        // However long the server needs to come back.
        brink.worker.signal("STOP");
        brink.restart_slow();
        brink.worker.signal("CONT");
        brink
    }

    fn restart_slow(&self) {
        self.bed.slow_renames(RENAME);
        send_signal(self.bed.pid(CLICKHOUSE), "KILL");
        self.bed.restart(CLICKHOUSE);
    }

    /// The server dies at this very moment and comes back at its usual speed.
    fn kill(&self) {
        send_signal(self.bed.pid(CLICKHOUSE), "KILL");
        self.worker.signal("STOP");
        self.bed.usual_renames();
        self.bed.restart(CLICKHOUSE);
    }

    /// A statement of the last task that runs.
    fn runs(&self, words: &str) -> bool {
        let query = format!(
            "SELECT count() FROM system.processes WHERE startsWith(query_id, '{}-') AND position(query, '{words}') > 0",
            self.job
        );
        self.scene.admin.number(&query) > 0
    }

    /// The worker goes on, or is killed; then everything must be exact.
    fn settle(self, outcome: WorkerOutcome, mode: &str, what: &str) {
        let Self { scene, job, mut worker, .. } = self;
        if outcome == WorkerOutcome::Survives {
            worker.signal("CONT");
            worker.wait().ok();
        } else {
            worker.kill();
            scene.sign_all_off();
        }
        scene.settle_swap(&job, mode, what);
    }
}

#[test]
fn a_server_killed_inside_an_exchange_ends_with_the_new_table_and_keeps_the_old_one() {
    let bed = OwnBed::start();
    let mut found = BTreeMap::new();
    // The delays fall before, inside and after the one rename that exchanges; the first and the last are
    // visited always, so that both sides are.
    let between = drawn_few(&[200, 600, 900, 1_300], 1);
    let delays = [&[0], between.as_slice(), &[1_700]].concat();
    // Either outcome meets either place, over some runs.
    let first = drawn_few(&[0, 1], 1)[0];
    for (round, millis) in delays.into_iter().enumerate() {
        let survives = (round + first).is_multiple_of(2);
        let outcome = if survives { WorkerOutcome::Survives } else { WorkerOutcome::Dies };
        let brink = Brink::of(&bed, "exchange");
        let begun = within(DEADLINE, || brink.runs("EXCHANGE TABLES").then_some(()));
        assert!(begun.is_some(), "no EXCHANGE: {}", brink.worker.words());
        thread::sleep(Duration::from_millis(millis));
        brink.kill();
        let rows = |file: &str| brink.scene.rows_of("events", file);
        let (old, new) = (rows("old"), rows("events-000.parquet"));
        assert!((old == 400) != (new == 200), "all old or all new: {old} old, {new} new rows");
        *found.entry(if new > 0 { "exchanged" } else { "not exchanged" }).or_insert(0) += 1;
        println!("killed after {millis} ms: {old} old and {new} new rows, {outcome:?}");
        brink.settle(outcome, "exchange", &format!("a kill {millis} ms inside an EXCHANGE"));
    }
    println!("{found:?}");
    assert_eq!(found.len(), 2, "kills on both sides of the rename: {found:?}");
}

#[test]
fn a_server_killed_inside_a_replacement_ends_with_the_new_partitions() {
    let bed = OwnBed::start();
    for outcome in [WorkerOutcome::Survives, WorkerOutcome::Dies] {
        let brink = Brink::of(&bed, "replace");
        kill_between(&brink);
        brink.settle(outcome, "replace", "old and new rows side by side");
    }
}

/// Kills the server when a partition holds new parts, and the old ones still.
fn kill_between(brink: &Brink<'_>) {
    let targets = Folders::of_table(&brink.scene, "events");
    for _ in 0..TRIES {
        let before = targets.list_parts().parts;
        let hit = within(DEADLINE, || {
            (targets.list_parts().parts.difference(&before).next().is_some()).then_some(())
        });
        assert!(hit.is_some(), "no REPLACE: {}", brink.worker.words());
        brink.kill();
        let mixed = brink.scene.admin.number(&format!(
            "SELECT count() FROM (SELECT _partition_id FROM {}.events GROUP BY _partition_id \
             HAVING countIf(file = 'old') > 0 AND countIf(file LIKE 'events-%') > 0)",
            brink.scene.db
        ));
        println!("killed: {mixed} partitions hold old and new rows");
        if mixed > 0 {
            return;
        }
        brink.worker.signal("CONT");
        brink.restart_slow();
    }
    panic!("every kill missed its place");
}

#[test]
fn old_and_new_rows_that_were_merged_before_the_take_over_are_told_apart() {
    let bed = OwnBed::start();
    let brink = Brink::of(&bed, "replace");
    kill_between(&brink);
    brink.scene.admin.run(&format!("OPTIMIZE TABLE {}.events FINAL", brink.scene.db));
    brink.settle(WorkerOutcome::Dies, "replace", "old and new rows in one part");
}
