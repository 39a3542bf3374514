//! The steps of a closing and of a command, and the state that they change.

use longshore_shared::task::{JobEvent, JobState, StateName};

pub(super) const TASKS: usize = 2;
pub(super) const WORKERS: usize = 2;
pub(super) const PEOPLE: usize = 2;

/// A mistake that must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// A job is closed on whatever its row is by then.
    CloseBlindly,
    /// What was decided from an older row of the job is written down on the newer one.
    MarkBlindly,
    /// A resume does not carry out what another command had begun.
    ForgetWish,
    /// A task is loaded although it has a receipt.
    IgnoreReceipts,
    /// A command that lags behind another one does not look at the row of the job again.
    LagBlindly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) state: JobState,
    /// Each write makes it another.
    pub(super) stamp: u8,
    /// Tasks that are to be loaded once more; nothing when no command has begun.
    pub(super) wish: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub(super) state: StateName,
    pub(super) epoch: u8,
    /// The epoch of its receipt in force.
    pub(super) receipt: Option<u8>,
    /// Copies of its rows in the target.
    pub(super) copies: u8,
}

/// A worker that closes the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Closing {
    No,
    /// It has read the row of the job.
    Row(Row),
    /// It has seen that the segment has ended, at this stamp of the cursor.
    Ended(Row, u8),
    /// It has audited.
    Audited(Row, u8, bool),
    /// The cursor is still the same.
    Sure(Row, bool),
}

/// A person's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Command {
    No,
    /// It has read the job and chosen the tasks that are done and whose rows were taken out.
    Chosen(Row, u8),
    /// The wish is written down: the tasks are read next, and the row once more.
    Look(Row),
    /// Receipts are made void, up to the epochs in which the tasks were seen.
    Void(Row, [Option<u8>; TASKS]),
    /// Then tasks are changed, those that are still in these epochs.
    Change(Row, [Option<u8>; TASKS]),
    /// Then the cursor is made anew.
    Recount(Row),
    /// Then the job runs.
    Open(Row),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) job: Row,
    pub(super) tasks: [Task; TASKS],
    /// Stamp of the cursor, and whether the segment counts as ended.
    pub(super) cursor: (u8, bool),
    pub(super) workers: [Closing; WORKERS],
    pub(super) people: [Command; PEOPLE],
    /// Commands that may still be given.
    pub(super) left: u8,
    /// The row of a task may be put back once.
    pub(super) forgets: u8,
    pub(super) replayed: bool,
}

pub(super) struct People {
    pub(super) bug: Option<Bug>,
    pub(super) commands: u8,
}

impl State {
    pub(super) fn write(&mut self, state: JobState, wish: Option<u8>) {
        self.job = Row { state, stamp: self.job.stamp + 1, wish };
    }

    pub(super) fn has_ended(&self) -> bool {
        self.tasks.iter().all(|task| matches!(task.state, StateName::Done | StateName::Failed))
    }

    /// `audit::find_difference`
    pub(super) fn is_whole(&self) -> bool {
        self.tasks.iter().all(|task| task.state == StateName::Done && task.receipt.is_some())
    }

    pub(super) fn in_flight(&self) -> bool {
        self.tasks.iter().any(|task| task.state == StateName::Claimed)
    }
}

impl People {
    pub(super) fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn close(&self, state: &mut State, me: usize) -> bool {
        state.workers[me] = match state.workers[me] {
            Closing::No if state.job.state == JobState::Running => Closing::Row(state.job),
            Closing::No => return false,
            Closing::Row(row) if state.cursor.1 => Closing::Ended(row, state.cursor.0),
            Closing::Ended(row, cursor) => {
                // Failed tasks fail the job; else the audit decides.
                let whole = state.is_whole() || (self.is(Bug::CloseBlindly) && state.has_ended());
                Closing::Audited(row, cursor, whole)
            }
            Closing::Audited(row, cursor, whole) if cursor == state.cursor.0 => {
                Closing::Sure(row, whole)
            }
            Closing::Audited(row, _, whole) if self.is(Bug::CloseBlindly) => {
                Closing::Sure(row, whole)
            }
            Closing::Row(_) | Closing::Audited(..) => Closing::No,
            Closing::Sure(row, whole) => {
                let is_same = row == state.job || self.is(Bug::CloseBlindly);
                let event = JobEvent::Finished { unfinished: u64::from(!whole) };
                if let (true, Ok(next)) = (is_same, state.job.state.next(event)) {
                    state.write(next, state.job.wish);
                }
                Closing::No
            }
        };
        true
    }

    /// The next step of a command.
    pub(super) fn go(&self, state: &mut State, me: usize) -> bool {
        state.people[me] = match state.people[me] {
            Command::No => return false,
            Command::Chosen(row, chosen) => {
                let is_same = row == state.job || self.is(Bug::MarkBlindly);
                match (is_same, state.job.state.next(JobEvent::Reopening)) {
                    (true, Ok(next)) => {
                        state.write(next, Some(chosen));
                        Command::Look(state.job)
                    }
                    _ => Command::No,
                }
            }
            Command::Look(row) if row != state.job && !self.is(Bug::LagBlindly) => Command::No,
            Command::Look(row) => {
                let wish = row.wish.unwrap_or(0);
                let seen = |number: usize| {
                    let task = state.tasks[number];
                    let is_meant = wish & 1 << number != 0 && task.state == StateName::Done;
                    is_meant.then_some(task.epoch)
                };
                Command::Void(row, std::array::from_fn(seen))
            }
            Command::Void(row, seen) => {
                for (task, seen) in state.tasks.iter_mut().zip(seen) {
                    if seen.is_some_and(|seen| task.receipt.is_some_and(|of| of <= seen)) {
                        task.receipt = None;
                    }
                }
                Command::Change(row, seen)
            }
            Command::Change(row, seen) => {
                let mut both = state.tasks.iter_mut().zip(seen);
                let is_left = |(task, seen): &(&mut Task, Option<u8>)| {
                    task.state == StateName::Done && *seen == Some(task.epoch)
                };
                match both.find(is_left) {
                    Some((task, _)) => {
                        task.state = StateName::Pending;
                        Command::Change(row, seen)
                    }
                    None => Command::Recount(row),
                }
            }
            Command::Recount(row) => {
                state.cursor = (state.cursor.0 + 1, state.has_ended());
                Command::Open(row)
            }
            Command::Open(row) => {
                if let (true, Ok(next)) = (row == state.job, row.state.next(JobEvent::Reopened)) {
                    state.write(next, None);
                    state.replayed = true;
                }
                Command::No
            }
        };
        true
    }
}
