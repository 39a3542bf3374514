//! What can go wrong or be done, what it is called, and how often it comes up.

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
    Look,
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
    CancelWait,
    RetryFailed,
    RetryQuarantined,
    RetryReload,
    RetryAccept,
    RetryTask,
    RetryWhere,
    ReplayDone,
    AuditAgain,
    Scale,
    RunScaled,
    Gc,
    Restore,
    PlanAgain,
    TwinPlan,
    PlanExport,
    PlanImport,
    PlanDelete,
    Init,
    TaskRowGone,
    ReceiptRowGone,
    JobRowGone,
    StagingGone,
}

impl Kind {
    /// Every kind, its name and how often it comes up among the others. Kinds without a weight
    /// happen beside the schedule: at the start of a job, or at a point in a worker.
    ///
    /// Commands do not fit every job (a copy cannot be cancelled, for one) and are often refused: their
    /// weights are such that each is carried out or cut often enough. Those of which only the cut ones
    /// count have more.
    pub(crate) const ALL: &[(Self, &str, u32)] = &[
        (Self::WorkerKill, "worker-kill", 20),
        (Self::WorkerStop, "worker-stop", 8),
        (Self::WorkerTerm, "worker-term", 6),
        (Self::WorkerPoint, "worker-point", 14),
        (Self::PlanKill, "plan-kill", 0),
        (Self::SubmitKill, "submit-kill", 2),
        (Self::StatusKill, "status-kill", 1),
        (Self::RunKill, "run-kill", 2),
        (Self::Look, "look", 1),
        (Self::ClickHouseKill, "clickhouse-kill", 9),
        (Self::ClickHouseStop, "clickhouse-stop", 4),
        (Self::KeeperKill, "keeper-kill", 4),
        (Self::KeeperStop, "keeper-stop", 4),
        (Self::StoreKill, "s3-kill", 2),
        (Self::StoreStop, "s3-stop", 3),
        (Self::PartCut, "part-cut", 2),
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
        (Self::Cancel, "cancel", 7),
        (Self::CancelWait, "cancel-wait", 7),
        (Self::RetryFailed, "retry-failed", 10),
        (Self::RetryQuarantined, "retry-quarantined", 5),
        (Self::RetryReload, "retry-reload", 12),
        (Self::RetryAccept, "retry-accept", 9),
        (Self::RetryTask, "retry-task", 6),
        (Self::RetryWhere, "retry-where", 5),
        (Self::ReplayDone, "replay-done", 5),
        (Self::AuditAgain, "audit-again", 5),
        (Self::Scale, "scale", 4),
        (Self::RunScaled, "run-scaled", 3),
        (Self::Gc, "gc", 6),
        (Self::Restore, "restore", 5),
        (Self::PlanAgain, "plan-again", 7),
        (Self::TwinPlan, "twin-plan", 7),
        (Self::PlanExport, "plan-export", 5),
        (Self::PlanImport, "plan-import", 5),
        (Self::PlanDelete, "plan-delete", 5),
        (Self::Init, "init", 5),
        (Self::TaskRowGone, "task-row-gone", 4),
        (Self::ReceiptRowGone, "receipt-row-gone", 2),
        (Self::JobRowGone, "job-row-gone", 4),
        (Self::StagingGone, "staging-gone", 6),
    ];

    /// Is it something that a person does?
    pub(crate) fn is_of_people(self) -> bool {
        self >= Self::Pause
    }

    /// Is it a command whose end is counted?
    pub(crate) fn is_command(self) -> bool {
        (Self::Pause..Self::TaskRowGone).contains(&self)
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
