//! Everything that keeps an attempt from its end, and what is done about each.

use longshore_shared::clickhouse::{Failure, Policy, policy};
use longshore_shared::config::ConfigError;
use longshore_shared::faults::Injected;
use longshore_shared::ledger::LedgerError;
use longshore_shared::pack::UnpackError;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Drift, RewriteError};
use longshore_shared::source::{ForeignChunk, KeysError, ProbeError};
use longshore_shared::store::StoreError;
use longshore_shared::task::{
    Epoch, IllegalTransition, JobId, JobState, Manifest, TableName, TaskId, UnknownUuid,
};

/// Why an attempt did not reach its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    /// A statement gave no result.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The store gave no result.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another worker has taken the task over, or our lease cannot be trusted any more.
    #[error("the task is not ours any more")]
    NotOurs,
    /// The worker was asked to stop before the manifest was written, or the load is to be given back.
    #[error("the load was stopped and given back")]
    Draining,
    /// The job was cancelled or paused before the task was begun.
    #[error("the job is {}", .0.as_str())]
    JobStopped(JobState),
    /// The server that holds the target of the task does not answer.
    #[error("{url} does not answer; the task waits for it")]
    Away {
        /// Its address.
        url: String,
        /// The load was sent: it may be what took the server down.
        is_loading: bool,
    },
    /// The server was started again between the making of the staging tables and the end of the load.
    #[error(
        "the server was started again since the staging tables were made: whether their views knew of the load is not \
         certain, and it begins anew"
    )]
    Restarted,
    /// Another server answers at the address of the task's server.
    #[error("another server answers at {0}; the task waits for the one that the plan names")]
    AnotherServer(String),
    /// A table of the job is not what it was at plan time.
    #[error("{0}; nothing is loaded until it is as it was planned")]
    Drift(#[from] Drift),
    /// A file is not what it was at plan time.
    #[error("{0}")]
    Source(String),
    /// The rows of some files, or of a piece of a table, cannot be loaded. Names them.
    #[error("{words}")]
    Data {
        /// The cause, and the file or view that it belongs to.
        words: String,
        /// How the load failed.
        source: Failure,
    },
    /// A chunk of another kind than its job's source.
    #[error(transparent)]
    Chunk(#[from] ForeignChunk),
    /// The query of a view does not keep to its chunk.
    #[error(transparent)]
    Probe(Box<ProbeError>),
    /// Counts that must agree do not.
    #[error("{0}")]
    Count(String),
    /// A view of the graph cannot be cloned.
    #[error("view {0}: {1}")]
    View(TableName, #[source] RewriteError),
    /// The outcome of a move cannot be proved.
    #[error("{0}")]
    Unprovable(String),
    /// A MOVE, EXCHANGE or REPLACE was sent and not answered. It may act later, so the task goes on in a new epoch only.
    #[error("a statement that publishes was not answered; the task goes on in a new epoch")]
    Unsettled,
    /// The last task must not publish: what is loaded is not everything, or not right.
    #[error("{0}")]
    NotPublished(String),
    /// The target got rows that its shadow does not have.
    #[error("{0}")]
    LateRows(String),
    /// A task row is missing in the store.
    #[error(
        "task {0} is missing in the task table; the same `longshore plan` again writes the rows that are missing"
    )]
    TaskMissing(TaskId),
    /// The job's cursor is missing in the store.
    #[error(
        "the cursor of job {0} is missing in the control tables; the same `longshore plan` again writes it"
    )]
    CursorMissing(JobId),
    /// The task was published in an earlier life of its row.
    #[error(
        "task {0} has receipts of epoch {1}, but the task table says that it was never published: Keeper was put \
         back to an older state, or rows of the task table were deleted. Its rows are in the target, nothing is \
         loaded twice. `longshore restore JOB` counts tasks with receipts as done"
    )]
    Loaded(TaskId, Epoch),
    /// An earlier life of the task's row was about to move rows, and it has no receipt.
    #[error(
        "the task table says that this task was never published, but it was about to be: Keeper was put back to an older \
         state, or rows of the task table were deleted. {evidence}. Its staging tables are kept"
    )]
    Recalled {
        /// What was to be moved, or what can still be found of it.
        manifest: Box<Manifest>,
        /// The last epoch of that life.
        past: Epoch,
        /// What was found.
        evidence: String,
    },
    /// A table that rows are staged for is not there; it may come back.
    #[error(
        "{0} is gone, or this user may not see it, and rows are staged for it: bring it back (UNDROP TABLE) and resume the job"
    )]
    TargetGone(TableName),
    /// The state machine refused: a bug or a foreign hand in the task table.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The plan does not say which table it means.
    #[error(transparent)]
    Unidentified(#[from] UnknownUuid),
    /// Asked for by a test.
    #[error(transparent)]
    Injected(#[from] Injected),
    /// Rows that no identity proves were inserted, and may have been lost since.
    #[error("{0}")]
    Lost(String),
    /// A change of a target is not carried out on all of its parts: a swap would undo it.
    #[error("{0}")]
    Unfinished(String),
}

impl From<UnpackError> for AttemptError {
    fn from(error: UnpackError) -> Self {
        Self::Store(error.into())
    }
}

impl From<LedgerError> for AttemptError {
    fn from(error: LedgerError) -> Self {
        Self::Store(error.into())
    }
}

impl From<ProbeError> for AttemptError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Failure(failure) => Self::Failure(failure),
            ignored @ ProbeError::Ignored { .. } => Self::Probe(Box::new(ignored)),
        }
    }
}

/// What becomes of a task that is not published yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Pending again after a pause.
    Retry,
    /// Failed; the job goes on.
    Fail,
    /// Pending again, and the job is paused for a person.
    PauseJob,
    /// Pending again, no attempt used.
    HandBack,
    /// Pending again after a pause, no attempt used: what was away is waited for.
    Wait,
    /// Leave everything as it is: whoever owns the task now acts.
    Abandon,
}

impl AttemptError {
    /// The failure behind this, if it stays until a person mends it.
    pub(crate) fn needs_operator(&self) -> Option<Failure> {
        let (Self::Failure(failure) | Self::Store(StoreError::Failure(failure))) = self else {
            return None;
        };
        policy(failure).needs_operator().then(|| failure.clone())
    }

    /// The remedy before the manifest is written.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Failure(failure) | Self::Store(StoreError::Failure(failure)) => {
                match policy(failure) {
                    Policy::Outage if planted(Bug::CountOutages) => Remedy::Retry,
                    Policy::Outage => Remedy::Wait,
                    Policy::Retry | Policy::RetrySmaller => Remedy::Retry,
                    Policy::FailTask => Remedy::Fail,
                    Policy::StopJob | Policy::InDoubt => Remedy::PauseJob,
                }
            }
            Self::Store(StoreError::TooLarge { .. })
            | Self::Source(_)
            | Self::Data { .. }
            | Self::Chunk(_)
            | Self::Lost(_)
            | Self::NotPublished(_) => Remedy::Fail,
            Self::Count(_) | Self::Probe(_) | Self::Injected(_) => Remedy::Retry,
            Self::Away { .. } | Self::Restarted => Remedy::Wait,
            Self::Draining | Self::JobStopped(_) => Remedy::HandBack,
            Self::LateRows(_)
            | Self::Unfinished(_)
            | Self::Drift(_)
            | Self::View(..)
            | Self::Store(_)
            | Self::TaskMissing(_)
            | Self::CursorMissing(_)
            | Self::Loaded(..)
            | Self::Unidentified(_)
            | Self::TargetGone(_) => Remedy::PauseJob,
            Self::NotOurs
            | Self::Illegal(_)
            | Self::Unprovable(_)
            | Self::Unsettled
            | Self::AnotherServer(_)
            | Self::Recalled { .. } => Remedy::Abandon,
        }
    }
}

/// Why a worker did not start or could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of source keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("{0}")]
    Server(#[from] Failure),
    /// The control tables.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Threads or signals of this process.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
}

impl StartError {
    /// Exit status: the same meanings as the coordinator's.
    pub(crate) fn exit_code(&self) -> u8 {
        use longshore_shared::clickhouse::Kind;
        match self {
            Self::Config(_)
            | Self::Keys(_)
            | Self::Store(StoreError::NotInitialised(_) | StoreError::Outdated(_)) => 2,
            Self::Server(failure) | Self::Store(StoreError::Failure(failure))
                if matches!(failure.kind, Kind::Unreachable | Kind::Tls | Kind::Unknown) =>
            {
                5
            }
            Self::Server(_) | Self::Store(_) | Self::Runtime(_) => 1,
        }
    }
}
