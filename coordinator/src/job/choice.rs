//! Tasks that were chosen to be done again.

use longshore_shared::store::TaskBrief;
use longshore_shared::task::{StateName, TaskEvent, TaskId};

/// A task as it was when it was chosen, and what happens to it if it still is so.
pub(crate) struct Choice {
    pub(crate) id: TaskId,
    pub(crate) was: StateName,
    /// Each claim makes it one more: a task that was done again meanwhile is left alone.
    pub(crate) epoch: u64,
    pub(crate) event: TaskEvent,
}

impl Choice {
    /// Of a task as it was read.
    pub(crate) fn of(task: &TaskBrief, event: TaskEvent) -> Self {
        Self { id: task.id.clone(), was: task.state, epoch: task.epoch, event }
    }
}

/// The chosen tasks.
pub(crate) type Chosen = Vec<Choice>;
