//! What goes wrong, and when: a pure function of the seed, the lane and the job.

use longshore_shared::faults::{self, CHANGES};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// What a fault does. The names are those of the report and of `--faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    WorkerKill,
    WorkerStop,
    WorkerTerm,
    WorkerPoint,
    PlanKill,
    SubmitKill,
    StatusKill,
    RunKill,
    ClickHouseKill,
    ClickHouseStop,
    KeeperKill,
    KeeperStop,
    StoreKill,
    StoreStop,
    PartCut,
    LostRequest,
    LostAnswer,
    Delay,
    Held,
    Reroute,
    Cut,
    Everything,
    ReplicaKill,
    ReplicaStop,
    ReplicaEmptied,
    FetchesStopped,
    KeepersKill,
    Pause,
    Resume,
    Cancel,
    Retry,
    ReplayDone,
    Gc,
    Restore,
    PlanAgain,
    TwinPlan,
    PlanDelete,
    Init,
    TaskRowGone,
    ReceiptRowGone,
    StagingGone,
}

impl Kind {
    /// Every kind, its name and how often it comes up among the others. Kinds without a weight
    /// happen beside the schedule: at the start of a job, or at a point in a worker.
    pub(crate) const ALL: &[(Self, &str, u32)] = &[
        (Self::WorkerKill, "worker-kill", 20),
        (Self::WorkerStop, "worker-stop", 8),
        (Self::WorkerTerm, "worker-term", 6),
        (Self::WorkerPoint, "worker-point", 14),
        (Self::PlanKill, "plan-kill", 0),
        (Self::SubmitKill, "submit-kill", 2),
        (Self::StatusKill, "status-kill", 1),
        (Self::RunKill, "run-kill", 3),
        (Self::ClickHouseKill, "clickhouse-kill", 9),
        (Self::ClickHouseStop, "clickhouse-stop", 4),
        (Self::KeeperKill, "keeper-kill", 4),
        (Self::KeeperStop, "keeper-stop", 4),
        (Self::StoreKill, "s3-kill", 2),
        (Self::StoreStop, "s3-stop", 3),
        (Self::PartCut, "part-cut", 1),
        (Self::LostRequest, "lost-request", 9),
        (Self::LostAnswer, "lost-answer", 14),
        (Self::Delay, "delay", 4),
        (Self::Held, "held", 4),
        (Self::Reroute, "reroute", 4),
        (Self::Cut, "cut", 6),
        (Self::Everything, "everything-killed", 1),
        (Self::ReplicaKill, "replica-kill", 6),
        (Self::ReplicaStop, "replica-stop", 4),
        (Self::ReplicaEmptied, "replica-emptied", 2),
        (Self::FetchesStopped, "fetches-stopped", 4),
        (Self::KeepersKill, "keepers-kill", 2),
        (Self::Pause, "pause", 5),
        (Self::Resume, "resume", 6),
        (Self::Cancel, "cancel", 4),
        (Self::Retry, "retry", 4),
        (Self::ReplayDone, "replay-done", 3),
        (Self::Gc, "gc", 5),
        (Self::Restore, "restore", 3),
        (Self::PlanAgain, "plan-again", 3),
        (Self::TwinPlan, "twin-plan", 2),
        (Self::PlanDelete, "plan-delete", 2),
        (Self::Init, "init", 2),
        (Self::TaskRowGone, "task-row-gone", 3),
        (Self::ReceiptRowGone, "receipt-row-gone", 1),
        (Self::StagingGone, "staging-gone", 2),
    ];

    /// Is it something that a person does?
    pub(crate) fn is_of_people(self) -> bool {
        self >= Self::Pause
    }

    /// Does it need a second replica, or several Keepers?
    pub(crate) fn is_of_replicas(self) -> bool {
        (Self::ReplicaKill..Self::Pause).contains(&self)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("?", |(_, name, _)| name)
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }
}

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
}

/// Everything random about one job.
pub(crate) struct Schedule {
    rng: StdRng,
    kinds: Vec<(Kind, u32)>,
}

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
        Self { rng: StdRng::seed_from_u64(mixed), kinds }
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
        ];
        Shape {
            files,
            rows: rng.random_range(50..800),
            files_a_task: rng.random_range(1..=3),
            deep: rng.random_bool(0.5),
            stretch: (*stretch.choose(rng).expect("not empty")).to_owned(),
            forgets: rng.random_bool(0.3),
            copies: rng.random_bool(0.4),
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
        let rng = &mut self.rng;
        // One in five comes right after the one before it.
        let delay_ms =
            if rng.random_bool(0.2) { rng.random_range(0..50) } else { rng.random_range(50..800) };
        let length_ms = match kind {
            Kind::WorkerStop => *[300, 1_300, 2_500].choose(rng).expect("not empty"),
            Kind::ClickHouseStop | Kind::ReplicaStop => rng.random_range(500..5_000),
            // Beyond the session is beyond 6 s.
            Kind::KeeperStop => {
                *[2_000, 2_000, 2_000, 8_000, 15_000].choose(rng).expect("not empty")
            }
            Kind::StoreStop => rng.random_range(500..4_000),
            Kind::Delay => rng.random_range(100..3_000),
            // Past leases, sessions and the memory of tables that forget.
            Kind::Held => rng.random_range(15_000..120_000),
            Kind::Reroute | Kind::FetchesStopped => rng.random_range(300..6_000),
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
