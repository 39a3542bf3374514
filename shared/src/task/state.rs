//! The life of a task: the states, the events, and the one function that allows a change.
//!
//! Before `publishing` a task only goes backward (drop the staging, try again); from `publishing`
//! on only forward (finish the moves of the manifest). The function is pure and total, and every
//! store and every program changes a task through it; `docs/state-machine.md` is its picture.

use serde::{Deserialize, Serialize};

use super::{Epoch, Manifest, Stamp, StateName, TaskId, WorkerId};

/// Who acts on a task, and on which server its staging tables are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The worker process.
    pub worker: WorkerId,
    /// Address of the server that holds the staging set.
    pub endpoint: String,
}

impl Owner {
    /// No worker at all: whoever looks finds its lease lapsed and takes the task over.
    pub fn nobody() -> Self {
        Self { worker: WorkerId("nobody".to_owned()), endpoint: String::new() }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Nobody acts on it. Claimable once its pause (`delay_ms` after the last change) is over.
    Pending {
        /// Pause in milliseconds, counted by the server from the moment of the change.
        delay_ms: u64,
        /// Why the last attempt ended; empty before the first.
        error: String,
    },
    /// A worker loads it into its own staging set. Nothing is in the target yet.
    Claimed {
        /// The worker.
        owner: Owner,
    },
    /// The manifest is written: some of it may be in the target, all of it will be.
    Publishing {
        /// The worker.
        owner: Owner,
        /// What will be moved.
        manifest: Manifest,
    },
    /// Every line of the manifest was proved to be in its target.
    Done {
        /// Rows in the base table.
        rows: u64,
    },
    /// Attempts used up, or the data is at fault. Nothing of it is in any target.
    Failed {
        /// The cause, with the file when it is known.
        error: String,
    },
    /// The outcome of a move could not be proved: a person decides, with the evidence kept.
    Quarantined {
        /// What was to be moved.
        manifest: Manifest,
        /// What was found.
        error: String,
    },
}

/// What happens to a task. Events of a worker carry the epoch it acts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEvent {
    /// A worker takes a pending task.
    Claimed {
        /// The new owner.
        by: Owner,
    },
    /// A worker takes over a task whose owner's lease has lapsed.
    TakenOver {
        /// The new owner.
        by: Owner,
        /// The owner died, as far as anybody can tell: it was not Keeper, the server or the network
        /// that kept it from renewing its lease.
        died: bool,
    },
    /// Loaded and counted; from here only forward.
    Loaded {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// What will be moved.
        manifest: Manifest,
    },
    /// Every line is proved.
    Published {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// Rows in the base table.
        rows: u64,
    },
    /// The attempt failed in a way that may pass.
    Retried {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// Pause before the next attempt in milliseconds.
        delay_ms: u64,
        /// The cause.
        error: String,
    },
    /// The worker gives the task back unharmed (it drains, or the job was paused): no attempt is used.
    HandedBack {
        /// Epoch of the acting worker.
        epoch: Epoch,
    },
    /// Something outside the task was away: server, Keeper, store or network. No attempt is used.
    Interrupted {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// Pause before the next attempt in milliseconds.
        delay_ms: u64,
        /// What was away.
        error: String,
        /// The server restarted while it loaded this task: that may be the task's doing.
        died: bool,
    },
    /// An earlier life of the task's row was about to move rows, and nothing proves how that ended:
    /// the row was put back, or deleted and planned again.
    Recalled {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// What was to be moved then.
        manifest: Manifest,
        /// The last epoch of that life: later ones must be greater.
        past: Epoch,
        /// What was found.
        evidence: String,
    },
    /// Attempts used up, or trying again cannot help.
    GaveUp {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// The cause.
        error: String,
    },
    /// A move's outcome cannot be proved.
    Unprovable {
        /// Epoch of the acting worker.
        epoch: Epoch,
        /// What was found.
        evidence: String,
    },
    /// An operator lets a task that ended badly go on: a failed one anew, a quarantined one proved again.
    Reopened,
    /// An operator lets an ended task be loaded anew, and vouches that nothing of it is in a target.
    Reset,
    /// An operator vouches for it that all of a quarantined task is in its targets.
    Accepted,
    /// An operator believes the receipts of a task whose row has forgotten that it was done.
    /// Holds the rows in the base table.
    Restored(u64),
}

/// Everything of a task that changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Where it stands.
    pub state: TaskState,
    /// Fencing number.
    pub epoch: Epoch,
    /// Attempts begun, without those that were handed back or interrupted.
    pub attempts: u32,
    /// How often an owner died, or the server restarted, while this task was being loaded.
    pub deaths: u32,
}

/// A task as read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its key.
    pub id: TaskId,
    /// What changes.
    pub progress: Progress,
    /// Mark of the write that made this state.
    pub stamp: Stamp,
    /// Encoded chunk: what the task loads.
    pub chunk: Vec<u8>,
    /// Files in the chunk.
    pub files: u32,
    /// Bytes of those files.
    pub bytes: u64,
    /// Server time of the last change, in milliseconds since 1970.
    pub changed_ms: i64,
}

/// A change that the protocol does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// The event does not belong in this state.
    #[error("a {state} task cannot be {event}")]
    WrongState {
        /// Where the task stands.
        state: &'static str,
        /// What was asked.
        event: &'static str,
    },
    /// The event comes from a worker that was fenced off.
    #[error("epoch {acting} is over, the task is in epoch {current}")]
    StaleEpoch {
        /// Epoch of the event.
        acting: Epoch,
        /// Epoch of the task.
        current: Epoch,
    },
}

impl TaskState {
    /// Its stored name.
    pub fn name(&self) -> StateName {
        match self {
            Self::Pending { .. } => StateName::Pending,
            Self::Claimed { .. } => StateName::Claimed,
            Self::Publishing { .. } => StateName::Publishing,
            Self::Done { .. } => StateName::Done,
            Self::Failed { .. } => StateName::Failed,
            Self::Quarantined { .. } => StateName::Quarantined,
        }
    }

    /// Who acts on it.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Claimed { owner } | Self::Publishing { owner, .. } => Some(owner),
            _ => None,
        }
    }
}

impl TaskEvent {
    /// A word for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Claimed { .. } => "claimed",
            Self::TakenOver { .. } => "taken over",
            Self::Loaded { .. } => "loaded",
            Self::Published { .. } => "published",
            Self::Retried { .. } => "retried",
            Self::HandedBack { .. } => "handed back",
            Self::Interrupted { .. } => "interrupted",
            Self::Recalled { .. } => "recalled",
            Self::GaveUp { .. } => "given up",
            Self::Unprovable { .. } => "quarantined",
            Self::Reopened => "reopened",
            Self::Reset => "reset",
            Self::Accepted => "accepted",
            Self::Restored(_) => "restored",
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Claimed { .. }
            | Self::TakenOver { .. }
            | Self::Reopened
            | Self::Reset
            | Self::Accepted
            | Self::Restored(_) => None,
            Self::Loaded { epoch, .. }
            | Self::Published { epoch, .. }
            | Self::Retried { epoch, .. }
            | Self::HandedBack { epoch }
            | Self::Interrupted { epoch, .. }
            | Self::Recalled { epoch, .. }
            | Self::GaveUp { epoch, .. }
            | Self::Unprovable { epoch, .. } => Some(*epoch),
        }
    }
}

impl Progress {
    /// A task as the planner writes it.
    pub fn planned() -> Self {
        Self {
            state: TaskState::Pending { delay_ms: 0, error: String::new() },
            epoch: Epoch(0),
            attempts: 0,
            deaths: 0,
        }
    }

    /// What the event makes of this task.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the event does not belong here; nothing changes then.
    pub fn next(&self, event: &TaskEvent) -> Result<Self, IllegalTransition> {
        use TaskEvent as Event;
        use TaskState as State;
        if let Some(acting) = event.epoch()
            && acting != self.epoch
        {
            return Err(IllegalTransition::StaleEpoch { acting, current: self.epoch });
        }
        let (state, claims, deaths) = match (&self.state, event) {
            (State::Pending { .. }, Event::Claimed { by }) => {
                (State::Claimed { owner: by.clone() }, 1, 0)
            }
            (State::Claimed { .. }, Event::TakenOver { by, died }) => {
                (State::Claimed { owner: by.clone() }, 0, u32::from(*died))
            }
            (State::Publishing { manifest, .. }, Event::TakenOver { by, .. }) => {
                (State::Publishing { owner: by.clone(), manifest: manifest.clone() }, 0, 0)
            }
            (State::Claimed { owner }, Event::Loaded { manifest, .. }) => {
                (State::Publishing { owner: owner.clone(), manifest: manifest.clone() }, 0, 0)
            }
            (State::Publishing { .. }, Event::Published { rows, .. })
            | (State::Pending { .. }, Event::Restored(rows)) => (State::Done { rows: *rows }, 0, 0),
            (State::Claimed { .. }, Event::Retried { delay_ms, error, .. }) => {
                (State::Pending { delay_ms: *delay_ms, error: error.clone() }, 0, 0)
            }
            (State::Claimed { .. }, Event::HandedBack { .. }) => {
                (State::Pending { delay_ms: 0, error: String::new() }, -1, 0)
            }
            (State::Claimed { .. }, Event::Interrupted { delay_ms, error, died, .. }) => {
                (State::Pending { delay_ms: *delay_ms, error: error.clone() }, -1, u32::from(*died))
            }
            (State::Claimed { .. }, Event::Recalled { manifest, past, evidence, .. }) => {
                let manifest = Manifest { doubted: true, ..manifest.clone() };
                let state = State::Quarantined { manifest, error: evidence.clone() };
                return Ok(Self { state, epoch: self.epoch.max(*past), ..self.clone() });
            }
            (State::Claimed { .. }, Event::GaveUp { error, .. }) => {
                (State::Failed { error: error.clone() }, 0, 0)
            }
            (State::Publishing { manifest, .. }, Event::Unprovable { evidence, .. }) => {
                (State::Quarantined { manifest: manifest.clone(), error: evidence.clone() }, 0, 0)
            }
            (State::Failed { .. }, Event::Reopened)
            | (
                State::Failed { .. } | State::Quarantined { .. } | State::Done { .. },
                Event::Reset,
            ) => return Ok(Self { epoch: self.epoch, ..Self::planned() }),
            (State::Quarantined { manifest, .. }, Event::Reopened) => {
                let manifest = Manifest { doubted: true, ..manifest.clone() };
                (State::Publishing { owner: Owner::nobody(), manifest }, 0, 0)
            }
            (State::Quarantined { manifest, .. }, Event::Accepted) => {
                (State::Done { rows: manifest.rows }, 0, 0)
            }
            (state, event) => {
                return Err(IllegalTransition::WrongState {
                    state: state.name().as_str(),
                    event: event.name(),
                });
            }
        };
        let takes = matches!(event, Event::Claimed { .. } | Event::TakenOver { .. });
        Ok(Self {
            state,
            epoch: if takes { self.epoch.next() } else { self.epoch },
            attempts: self.attempts.saturating_add_signed(claims),
            deaths: self.deaths + deaths,
        })
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
