//! What workers do to a store in a random sequence, in words that both the reference and the store
//! under test understand.

use longshore_shared::task::{Epoch, JobEvent, Manifest, Owner, Tally, TaskEvent, WorkerId};

pub(crate) const WORKERS: usize = 3;
pub(crate) const TASKS: usize = 4;
pub(crate) const SEGMENT_TASKS: usize = 2;
pub(crate) const SEGMENTS: usize = TASKS / SEGMENT_TASKS;
/// Bytes of each task's files.
pub(crate) const TASK_BYTES: u64 = 10;

/// One step of time. A lease and a pause outlast one step and not two, with 200 s to spare either
/// way for the time that really passes on a busy machine.
pub(crate) const STEP_MS: i64 = 400_000;
pub(crate) const LEASE_MS: i64 = 600_000;
const PAUSE_MS: i64 = 600_000;

/// What a worker makes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Load,
    Publish,
    Claim,
    TakeOver,
    Retry,
    HandBack,
    GiveUp,
    Quarantine,
}

/// What an operator or the last worker makes of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobChange {
    Submit,
    Finish,
    Pause,
    Cancel,
}

/// A change of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Task(usize, Event),
    Open,
    Finish(usize),
    Job(JobChange),
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    Task(usize),
    Cursor,
    Job,
}

/// What happens next; the first number is the worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It reads a row and remembers it.
    Read(usize, Thing),
    /// It makes a change out of its copy and sends it.
    Write(usize, Change),
    /// It makes a change out of its copy; the request is still under way.
    Hold(usize, Change),
    /// What it made last is sent, for the first time or again.
    Send(usize),
    Register(usize),
    Beat(usize, bool),
    Leave(usize),
    TimePasses,
    /// A planner writes the whole plan again.
    PlanAgain,
}

/// How a write must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It is in force now and was not before.
    Applied,
    /// It was in force already: nothing changes.
    Recognised,
    /// Its writer's copy was stale: nothing changes.
    Refused,
}

pub(crate) fn name(worker: usize) -> WorkerId {
    WorkerId(format!("w{worker}"))
}

impl Event {
    /// The event as a worker sends it that acts in this epoch.
    pub(crate) fn by(self, worker: usize, task: usize, epoch: Epoch) -> TaskEvent {
        let by = Owner { worker: name(worker), endpoint: "http://127.0.0.1:8123".into() };
        let rows = 100 * (task as u64 + 1) + epoch.0;
        let manifest = Manifest {
            taken_ms: 1,
            rows,
            rows_read: rows,
            tables: Vec::new(),
            handovers: Vec::new(),
            doubted: false,
            partial: false,
        };
        match self {
            Self::Claim => TaskEvent::Claimed { by },
            Self::TakeOver => TaskEvent::TakenOver { by, died: true },
            Self::Load => TaskEvent::Loaded { epoch, manifest },
            Self::Publish => TaskEvent::Published { epoch, rows },
            Self::Retry => TaskEvent::Retried {
                epoch,
                delay_ms: PAUSE_MS.unsigned_abs(),
                error: "it's busy".into(),
            },
            Self::HandBack => TaskEvent::HandedBack { epoch },
            Self::GiveUp => TaskEvent::GaveUp { epoch, error: "a bad file".into() },
            Self::Quarantine => TaskEvent::Unprovable { epoch, evidence: "unclear".into() },
        }
    }
}

impl JobChange {
    pub(crate) fn event(self, tally: Tally) -> JobEvent {
        match self {
            Self::Submit => JobEvent::Submitted,
            Self::Finish => JobEvent::Finished { unfinished: tally.unfinished() },
            Self::Pause => JobEvent::Paused,
            Self::Cancel => JobEvent::Cancelled,
        }
    }
}
