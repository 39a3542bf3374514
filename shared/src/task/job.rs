//! The life of a job: a plan that was submitted.

use serde::{Deserialize, Serialize};

use super::{
    Epoch, FORMAT, FORMAT_AUDITED, FORMAT_CONVERTS, FORMAT_FIRST, FORMAT_OPERATED, FORMAT_RECORDED,
    JobId, JobSpec, OtherPartitions, Source, Stamp, TaskId,
};

/// Where a job stands. The stored texts never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its tasks are being written, or were when the planner was cut. Nobody can submit it.
    Planning,
    /// The plan and all its tasks are written; no worker touches them.
    Planned,
    /// Workers claim its tasks.
    Running,
    /// No new claims; what is in flight goes on to its end.
    Paused,
    /// Paused at once: loads in flight are given back, what is publishing is finished.
    Halted,
    /// Every task is done.
    Completed,
    /// Every task has ended, and some failed or are quarantined.
    Failed,
    /// Ended by an operator: loads in flight are given back, what is publishing is finished.
    Cancelling,
    /// Ended by an operator; nothing of it is in flight.
    Cancelled,
    /// An operator lets ended tasks be loaded again, and they are being changed. Nothing is claimed.
    Reopening,
    /// An operator deletes the plan: tables and tasks of it are gone, or go. It comes back no more.
    Deleting,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Planning,
        Self::Planned,
        Self::Running,
        Self::Paused,
        Self::Halted,
        Self::Completed,
        Self::Failed,
        Self::Cancelling,
        Self::Cancelled,
        Self::Reopening,
        Self::Deleting,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Reopening => "reopening",
            Self::Deleting => "deleting",
        }
    }

    /// From its stored text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// No worker will act on it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Deleting)
    }

    /// It was submitted and has not ended: it fills its tables, or may go on to do so.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Running | Self::Paused | Self::Halted | Self::Cancelling | Self::Reopening
        )
    }

    /// Workers look at its tasks: to load them, or to wind them down.
    pub fn is_worked_on(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling)
    }

    /// Loads in flight are to be given back.
    pub fn gives_back(self) -> bool {
        matches!(self, Self::Halted | Self::Cancelling | Self::Cancelled)
    }

    /// What the event makes of this state.
    ///
    /// # Errors
    /// [`IllegalJobEvent`] when the event does not belong here.
    pub fn next(self, event: JobEvent) -> Result<Self, IllegalJobEvent> {
        match (self, event) {
            (Self::Planning, JobEvent::Planning) => Ok(Self::Planning),
            (Self::Planning, JobEvent::Planned) => Ok(Self::Planned),
            (Self::Planned | Self::Paused | Self::Halted, JobEvent::Submitted)
            | (Self::Reopening, JobEvent::Reopened)
            // It goes on while it waits; only its reason is another.
            | (Self::Running, JobEvent::Waits) => Ok(Self::Running),
            (Self::Running, JobEvent::Paused) => Ok(Self::Paused),
            (Self::Running | Self::Paused, JobEvent::Halted) => Ok(Self::Halted),
            (Self::Running, JobEvent::Finished { unfinished: 0 }) => Ok(Self::Completed),
            (Self::Running, JobEvent::Finished { .. }) => Ok(Self::Failed),
            (
                Self::Planned
                | Self::Running
                | Self::Paused
                | Self::Halted
                | Self::Failed
                | Self::Reopening,
                JobEvent::Cancelled,
            ) => Ok(Self::Cancelling),
            (Self::Cancelling, JobEvent::WoundDown) => Ok(Self::Cancelled),
            (
                Self::Running
                | Self::Paused
                | Self::Halted
                | Self::Completed
                | Self::Failed
                | Self::Cancelled
                // What is to become of its tasks is decided anew.
                | Self::Reopening,
                JobEvent::Reopening,
            ) => Ok(Self::Reopening),
            (
                Self::Planning
                | Self::Planned
                | Self::Completed
                | Self::Failed
                | Self::Cancelled
                | Self::Deleting,
                JobEvent::Deleted,
            ) => Ok(Self::Deleting),
            (state, event) => Err(IllegalJobEvent { state, event }),
        }
    }
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEvent {
    /// A planner takes over what another one, or a cut one, was writing.
    Planning,
    /// The tasks that were read back are exactly those of the plan.
    Planned,
    /// An operator hands it to the workers, or lets it go on.
    Submitted,
    /// An operator or a worker that met a fault of the whole job stops new claims.
    Paused,
    /// An operator stops new claims, and loads in flight too.
    Halted,
    /// All tasks are done, and replicas that must have every row have not: the reason says which.
    Waits,
    /// The last task has ended.
    Finished {
        /// Tasks that are failed or quarantined.
        unfinished: u64,
    },
    /// An operator ends it.
    Cancelled,
    /// An operator deletes it, or goes on to do so.
    Deleted,
    /// Nothing of a cancelled job is in flight any more.
    WoundDown,
    /// An operator begins to change ended tasks back.
    Reopening,
    /// All of them are changed, and the cursor is right again.
    Reopened,
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
    /// Lowest version of the records that understands this one.
    pub fn format(&self) -> u8 {
        // An older worker would read the values unconverted.
        let converts = !self.spec.outputs.is_empty()
            || matches!(&self.spec.source, Source::Files(files) if files.has_outputs());
        // An older program would leave the recorded changes undone.
        let is_recorded = self.spec.reopening.is_some()
            || self.state == JobState::Planning
            || self.spec.publish.other_partitions == OtherPartitions::Refuse;
        let needed = match self.state {
            // An older worker would close the job without waiting for the replicas.
            _ if !self.spec.replicas_wait.is_one() => FORMAT,
            // An older worker would write receipts of rows that are not on disk.
            _ if self.spec.durable => FORMAT_AUDITED,
            _ if is_recorded => FORMAT_RECORDED,
            _ if converts => FORMAT_CONVERTS,
            JobState::Halted | JobState::Cancelling | JobState::Reopening | JobState::Deleting => {
                FORMAT_OPERATED
            }
            // An older worker would load everything into its own server.
            _ if self.spec.is_sharded() => FORMAT_OPERATED,
            _ => FORMAT_FIRST,
        };
        needed.max(self.spec.made.format)
    }

    /// The row that is to follow this one: its epoch grows and its stamp is fresh, so that a
    /// compare-and-set tells it from every other. Every change of a job begins here.
    #[must_use]
    pub fn changed(&self) -> Self {
        Self { epoch: self.epoch.next(), stamp: Stamp::fresh(), ..self.clone() }
    }

    /// The row that an event makes of this one.
    ///
    /// # Errors
    /// [`IllegalJobEvent`] when the event does not belong here.
    pub fn after(&self, event: JobEvent, reason: &str) -> Result<Self, IllegalJobEvent> {
        let state = self.state.next(event)?;
        Ok(Self { state, reason: reason.to_owned(), ..self.changed() })
    }

    /// The task that publishes what all others have loaded; none in a job whose tasks append.
    pub fn last_task(&self) -> Option<TaskId> {
        let ordinal = self.tasks.checked_sub(1)?;
        let has_one = self.spec.publish.mode.has_last_task();
        has_one.then(|| TaskId { job: self.id.clone(), ordinal })
    }

    /// Is this the task that publishes?
    pub fn is_last(&self, task: &TaskId) -> bool {
        self.last_task().as_ref() == Some(task)
    }

    /// Tasks that load something: all but the one that publishes at the end of some jobs.
    pub fn chunks(&self) -> u32 {
        self.tasks - u32::from(self.last_task().is_some())
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
            JobEvent::Planning,
            JobEvent::Planned,
            JobEvent::Submitted,
            JobEvent::Paused,
            JobEvent::Halted,
            JobEvent::Waits,
            JobEvent::Finished { unfinished: 0 },
            JobEvent::Finished { unfinished: 1 },
            JobEvent::Cancelled,
            JobEvent::WoundDown,
            JobEvent::Reopening,
            JobEvent::Reopened,
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
        planning + Planning -> planning
        planning + Planned -> planned
        planning + Deleted -> deleting
        planned + Submitted -> running
        planned + Cancelled -> cancelling
        planned + Deleted -> deleting
        running + Paused -> paused
        running + Halted -> halted
        running + Waits -> running
        running + Finished { unfinished: 0 } -> completed
        running + Finished { unfinished: 1 } -> failed
        running + Cancelled -> cancelling
        running + Reopening -> reopening
        paused + Submitted -> running
        paused + Halted -> halted
        paused + Cancelled -> cancelling
        paused + Reopening -> reopening
        halted + Submitted -> running
        halted + Cancelled -> cancelling
        halted + Reopening -> reopening
        completed + Reopening -> reopening
        completed + Deleted -> deleting
        failed + Cancelled -> cancelling
        failed + Reopening -> reopening
        failed + Deleted -> deleting
        cancelling + WoundDown -> cancelled
        cancelled + Reopening -> reopening
        cancelled + Deleted -> deleting
        reopening + Cancelled -> cancelling
        reopening + Reopening -> reopening
        reopening + Reopened -> running
        deleting + Deleted -> deleting
        ");
    }
}
