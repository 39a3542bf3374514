//! The life of a job: a plan that was submitted.

use serde::{Deserialize, Serialize};

use super::{Epoch, JobId, JobSpec, Stamp};

/// Where a job stands. The stored texts never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// The plan and all its tasks are written; no worker touches them.
    Planned,
    /// Workers claim its tasks.
    Running,
    /// No new claims; loads in flight are handed back or finished.
    Paused,
    /// Every task is done.
    Completed,
    /// Every task has ended, and some failed or are quarantined.
    Failed,
    /// Ended by an operator.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From its stored text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// No worker will act on it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// What the event makes of this state.
    ///
    /// # Errors
    /// [`IllegalJobEvent`] when the event does not belong here.
    pub fn next(self, event: JobEvent) -> Result<Self, IllegalJobEvent> {
        match (self, event) {
            (Self::Planned | Self::Paused, JobEvent::Submitted) => Ok(Self::Running),
            (Self::Running, JobEvent::Paused) => Ok(Self::Paused),
            (Self::Running, JobEvent::Finished { unfinished: 0 }) => Ok(Self::Completed),
            (Self::Running, JobEvent::Finished { .. }) => Ok(Self::Failed),
            (Self::Planned | Self::Running | Self::Paused, JobEvent::Cancelled) => {
                Ok(Self::Cancelled)
            }
            (
                Self::Planned | Self::Completed | Self::Failed | Self::Cancelled,
                JobEvent::Deleted,
            ) => Ok(Self::Cancelled),
            (state, event) => Err(IllegalJobEvent { state, event }),
        }
    }
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEvent {
    /// An operator hands it to the workers, or lets it go on.
    Submitted,
    /// An operator or a worker that met a fault of the whole job stops new claims.
    Paused,
    /// The last task has ended.
    Finished {
        /// Tasks that are failed or quarantined.
        unfinished: u64,
    },
    /// An operator ends it.
    Cancelled,
    /// An operator deletes it: it only has to be gone.
    Deleted,
}

/// A change of a job that the protocol does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {} job does not take {event:?}", state.as_str())]
pub struct IllegalJobEvent {
    /// Where the job stands.
    pub state: JobState,
    /// What was asked.
    pub event: JobEvent,
}

/// A plan or job as read from the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its key.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// One more at each change.
    pub epoch: Epoch,
    /// Mark of the write that made this state.
    pub stamp: Stamp,
    /// What it loads, from where, into what.
    pub spec: JobSpec,
    /// Number of tasks.
    pub tasks: u32,
    /// Tasks in one segment of the cursor.
    pub segment_tasks: u32,
    /// Files of all chunks.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Why it is paused or failed; empty otherwise.
    pub reason: String,
    /// Server time of planning, in milliseconds since 1970.
    pub created_ms: i64,
    /// Server time of the last submit; 0 before.
    pub submitted_ms: i64,
    /// Server time of its end; 0 before.
    pub ended_ms: i64,
}

impl Job {
    /// Tasks that load something: all but the one that publishes at the end of some jobs.
    pub fn chunks(&self) -> u32 {
        self.tasks - u32::from(self.spec.publish.mode.has_last_task() && self.tasks > 0)
    }

    /// Number of segments of the cursor.
    pub fn segments(&self) -> u32 {
        self.tasks.div_ceil(self.segment_tasks.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_job_states_and_events() {
        let events = [
            JobEvent::Submitted,
            JobEvent::Paused,
            JobEvent::Finished { unfinished: 0 },
            JobEvent::Finished { unfinished: 1 },
            JobEvent::Cancelled,
            JobEvent::Deleted,
        ];
        let table: String = JobState::ALL
            .iter()
            .flat_map(|state| events.iter().map(move |event| (state, event)))
            .filter_map(|(state, event)| {
                let next = state.next(*event).ok()?;
                Some(format!("{} + {event:?} -> {}\n", state.as_str(), next.as_str()))
            })
            .collect();
        insta::assert_snapshot!(table, @r"
        planned + Submitted -> running
        planned + Cancelled -> cancelled
        planned + Deleted -> cancelled
        running + Paused -> paused
        running + Finished { unfinished: 0 } -> completed
        running + Finished { unfinished: 1 } -> failed
        running + Cancelled -> cancelled
        paused + Submitted -> running
        paused + Cancelled -> cancelled
        completed + Deleted -> cancelled
        failed + Deleted -> cancelled
        cancelled + Deleted -> cancelled
        ");
    }
}
