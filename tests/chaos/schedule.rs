//! What goes wrong, and when: a pure function of the seed, the lane and the job.

use longshore_shared::faults::{self, CHANGES};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::kind::Kind;

/// One fault of the schedule.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Pause after the fault before it.
    pub(crate) delay_ms: u64,
    /// How long it lasts, where it does.
    pub(crate) length_ms: u64,
    /// Which of the workers, or orders, or rows: whoever uses it takes the remainder.
    pub(crate) pick: usize,
    /// Failpoints of the next life of a worker, or words of the requests that are hit.
    pub(crate) point: String,
}

/// A job's tables and files.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) files: usize,
    pub(crate) rows: u64,
    pub(crate) files_a_task: usize,
    /// The target has an aggregating view and a view on a view as well.
    pub(crate) deep: bool,
    /// Failpoints of every worker, which make the steps of a task longer.
    pub(crate) stretch: String,
    /// Tables forget replaced and moved parts after seconds, not after minutes.
    pub(crate) forgets: bool,
    /// The rows are in a table, which is copied from a snapshot while others write to it.
    pub(crate) copies: bool,
    /// Attempts of a task: with a single one every error of its own fails it.
    pub(crate) attempts_max: u32,
    /// How often it is loaded: after the first time its tables are emptied.
    pub(crate) turns: u32,
}

impl Shape {
    /// Do its people make the plan again from a file? The others give the same command once more, which
    /// would make another plan of a table that got rows since.
    pub(crate) fn has_plan_file(&self) -> bool {
        self.copies || self.files.is_multiple_of(2)
    }
}

/// Everything random about one job.
pub(crate) struct Schedule {
    rng: StdRng,
    kinds: Vec<(Kind, u32)>,
    /// For what people decide when a job has ended: how often that is follows from the machine, and the
    /// schedule follows from the seed alone.
    decisions: StdRng,
}

/// Mixed into the seed of the decisions.
const DECISIONS: u64 = 0x5DEE_CE66_D1CE_CAFE;

/// Words of requests that a proxy is asked to hit; none means any request.
const WORDS: &[&str] = &[
    "",
    "MOVE PARTITION",
    "MOVE PARTITION",
    ".cursors\nUPDATE",
    ".tasks",
    ".cursors",
    ".jobs",
    "INSERT INTO `longshore_s",
    "CREATE ",
    "DROP ",
    "receipts",
    "RENAME",
    "KILL QUERY",
    "system.parts",
];

impl Schedule {
    /// The schedule of a job. The kinds of [`Kind::is_of_replicas`] come up on beds with replicas only.
    pub(crate) fn of(seed: u64, lane: u64, job: u64, only: &[Kind], has_replicas: bool) -> Self {
        let mixed = seed ^ lane.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ job.rotate_left(32);
        let kinds: Vec<(Kind, u32)> = Kind::ALL
            .iter()
            .filter(|(kind, _, weight)| *weight > 0 && (only.is_empty() || only.contains(kind)))
            .filter(|(kind, ..)| has_replicas || !kind.is_of_replicas())
            .map(|(kind, _, weight)| (*kind, *weight))
            .collect();
        let decisions = StdRng::seed_from_u64(mixed ^ DECISIONS);
        Self { rng: StdRng::seed_from_u64(mixed), kinds, decisions }
    }

    /// The shape of the job. Asked for first.
    pub(crate) fn shape(&mut self) -> Shape {
        let rng = &mut self.rng;
        let files = rng.random_range(12..40);
        let stretch = [
            "load.after=sleep(200);move.after=sleep(30)",
            "move.before=sleep(60);receipt.before=sleep(60)",
            "claim.after=sleep(100);manifest.before=sleep(100);manifest.after=sleep(100)",
            "stage.after=sleep(150);done.after=sleep(80)",
            "announce.after=sleep(400);move.after=sleep(30)",
        ];
        // Of a task with a single attempt one error is the end; each life of a worker makes one.
        let is_frail = rng.random_bool(0.35);
        let frailty = if is_frail { ";stage.between=6*off->1*error->off" } else { "" };
        Shape {
            files,
            rows: rng.random_range(50..800),
            files_a_task: rng.random_range(1..=3),
            deep: rng.random_bool(0.5),
            stretch: format!("{}{frailty}", stretch.choose(rng).expect("not empty")),
            forgets: rng.random_bool(0.3),
            copies: rng.random_bool(0.4),
            attempts_max: if is_frail { 1 } else { 100 },
            // Of a copy the snapshot is gone by then, so that it is one job in four.
            turns: if rng.random_bool(0.4) { 2 } else { 1 },
        }
    }

    /// Does the plan of this job die, and after how many milliseconds?
    pub(crate) fn plan_dies(&mut self) -> Option<u64> {
        let after = self.rng.random_range(5..250);
        self.rng.random_bool(0.5).then_some(after)
    }

    /// The next fault.
    pub(crate) fn next(&mut self) -> Fault {
        let total: u32 = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.random_range(0..total.max(1));
        let kind = self.kinds.iter().find(|(_, weight)| {
            let is_it = at < *weight;
            at = at.saturating_sub(*weight);
            is_it
        });
        let kind = kind.map_or(Kind::WorkerKill, |(kind, _)| *kind);
        fault_of(kind, &mut self.rng)
    }

    /// A coin for those who decide.
    pub(crate) fn is_heads(&mut self) -> bool {
        self.decisions.random_bool(0.5)
    }

    /// What a person does next, of these; nothing when there is nothing to choose from.
    pub(crate) fn decide(&mut self, kinds: &[Kind]) -> Option<Fault> {
        let kind = *kinds.choose(&mut self.decisions)?;
        Some(fault_of(kind, &mut self.decisions))
    }
}

/// When a fault of this kind comes, and how long it lasts.
fn fault_of(kind: Kind, rng: &mut StdRng) -> Fault {
    // One in five comes right after the one before it.
    let delay_ms =
        if rng.random_bool(0.2) { rng.random_range(0..50) } else { rng.random_range(50..800) };
    let length_ms = match kind {
        Kind::WorkerStop => *[300, 1_300, 2_500].choose(rng).expect("not empty"),
        Kind::ClickHouseStop | Kind::ReplicaStop => rng.random_range(500..5_000),
        // Beyond the session is beyond 6 s.
        Kind::KeeperStop => *[2_000, 2_000, 2_000, 8_000, 15_000].choose(rng).expect("not empty"),
        Kind::StoreStop => rng.random_range(500..4_000),
        Kind::Delay => rng.random_range(100..3_000),
        // Past leases, sessions and the memory of tables that forget.
        Kind::Held => rng.random_range(15_000..120_000),
        Kind::Reroute | Kind::FetchesStopped => rng.random_range(300..6_000),
        // Its worker has loaded something by then.
        Kind::RunScaled => rng.random_range(100..4_000),
        Kind::ClickHouseKill
        | Kind::KeeperKill
        | Kind::StoreKill
        | Kind::ReplicaKill
        | Kind::KeepersKill
        | Kind::PartCut
        | Kind::Everything => rng.random_range(0..1_500),
        _ => rng.random_range(0..400),
    };
    let point = match kind {
        Kind::WorkerPoint => worker_point(rng),
        Kind::LostRequest | Kind::LostAnswer | Kind::Delay | Kind::Held => {
            (*WORDS.choose(rng).expect("not empty")).to_owned()
        }
        _ => String::new(),
    };
    let pick = rng.random_range(0..10_000);
    Fault { kind, delay_ms, length_ms, pick, point }
}

/// A point that a worker passes, and what happens there.
fn worker_point(rng: &mut StdRng) -> String {
    let skip = match rng.random_range(0..6) {
        n @ 1..3 => format!("{n}*off->"),
        _ => String::new(),
    };
    match rng.random_range(0..3) {
        0 => {
            let statement = CHANGES.choose(rng).expect("not empty");
            let action = ["1*do-then-error", "2*do-then-error", "exit", "1*sleep(1500)", "1*panic"];
            format!("answer.{statement}={skip}{}", action.choose(rng).expect("not empty"))
        }
        1 => {
            let statement = CHANGES.choose(rng).expect("not empty");
            let action = ["1*error", "exit", "1*sleep(1500)"];
            format!("send.{statement}={skip}{}", action.choose(rng).expect("not empty"))
        }
        _ => {
            let points: Vec<_> = faults::ALL.iter().chain(faults::TAKE_OVER).collect();
            let point = points.choose(rng).expect("not empty").0;
            let action = ["exit", "1*panic", "1*error", "1*sleep(1500)"];
            format!("{point}={skip}{}", action.choose(rng).expect("not empty"))
        }
    }
}
