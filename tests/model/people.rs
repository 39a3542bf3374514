//! People beside a job: retry with a wish, replay, cancel, delete, restore; the closing of the job by
//! two workers; receipts. Every order of their steps within bounds, with the real `JobState::next`.
//!
//! What a worker does with one task is the other model's; here a task is loaded in one step. Each
//! command and each closing is cut into the steps between which others have their turn, and may stop
//! for good at any of them. Steps stand for `finish::job`, `retry::open`, `reopen::carry_out`,
//! `plan delete` and `restore`.

use longshore_shared::task::{JobEvent, JobState, StateName};
use stateright::{Checker, HasDiscoveries, Model, Property};

const TASKS: usize = 2;
const WORKERS: usize = 2;
const PEOPLE: usize = 2;

/// A mistake that must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
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
struct Row {
    state: JobState,
    /// Each write makes it another.
    stamp: u8,
    /// Tasks that are to be loaded once more; nothing when no command has begun.
    wish: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Task {
    state: StateName,
    epoch: u8,
    /// The epoch of its receipt in force.
    receipt: Option<u8>,
    /// Copies of its rows in the target.
    copies: u8,
}

/// A worker that closes the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Closing {
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
enum Command {
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
struct State {
    job: Row,
    tasks: [Task; TASKS],
    /// Stamp of the cursor, and whether the segment counts as ended.
    cursor: (u8, bool),
    workers: [Closing; WORKERS],
    people: [Command; PEOPLE],
    /// Commands that may still be given.
    left: u8,
    /// The row of a task may be put back once.
    forgets: u8,
    replayed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Load(usize),
    Fail(usize),
    End,
    Close(usize),
    Replay(usize),
    Resume(usize),
    Go(usize),
    Stop(usize),
    Truncate,
    Pause,
    Submit,
    Cancel,
    WindDown,
    Retry,
    Forget(usize),
    Restore,
}

struct People {
    bug: Option<Bug>,
    commands: u8,
}

impl State {
    fn write(&mut self, state: JobState, wish: Option<u8>) {
        self.job = Row { state, stamp: self.job.stamp + 1, wish };
    }

    fn has_ended(&self) -> bool {
        self.tasks.iter().all(|task| matches!(task.state, StateName::Done | StateName::Failed))
    }

    /// `audit::differs`
    fn is_whole(&self) -> bool {
        self.tasks.iter().all(|task| task.state == StateName::Done && task.receipt.is_some())
    }

    fn in_flight(&self) -> bool {
        self.tasks.iter().any(|task| task.state == StateName::Claimed)
    }
}

impl People {
    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn close(&self, state: &mut State, me: usize) -> bool {
        state.workers[me] = match state.workers[me] {
            Closing::No if state.job.state == JobState::Running => Closing::Row(state.job),
            Closing::No => return false,
            Closing::Row(row) if state.cursor.1 => Closing::Ended(row, state.cursor.0),
            Closing::Row(_) => Closing::No,
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
            Closing::Audited(..) => Closing::No,
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
    fn go(&self, state: &mut State, me: usize) -> bool {
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

impl Model for People {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let task = Task { state: StateName::Pending, epoch: 0, receipt: None, copies: 0 };
        vec![State {
            job: Row { state: JobState::Running, stamp: 0, wish: None },
            tasks: [task; TASKS],
            cursor: (0, false),
            workers: [Closing::No; WORKERS],
            people: [Command::No; PEOPLE],
            left: self.commands,
            forgets: 1,
            replayed: false,
        }]
    }

    fn actions(&self, _: &State, acts: &mut Vec<Act>) {
        for task in 0..TASKS {
            acts.extend([Act::Load(task), Act::Fail(task), Act::Forget(task)]);
        }
        acts.extend((0..WORKERS).map(Act::Close));
        for person in 0..PEOPLE {
            acts.extend([Act::Replay(person), Act::Resume(person), Act::Go(person), Act::Stop(person)]);
        }
        acts.extend([
            Act::End,
            Act::Truncate,
            Act::Pause,
            Act::Submit,
            Act::Cancel,
            Act::WindDown,
            Act::Retry,
            Act::Restore,
        ]);
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut state = last.clone();
        let is_command = matches!(
            act,
            Act::Replay(_)
                | Act::Resume(_)
                | Act::Truncate
                | Act::Pause
                | Act::Submit
                | Act::Cancel
                | Act::Retry
                | Act::Restore
        );
        if is_command {
            state.left = state.left.checked_sub(1)?;
        }
        let event = |state: &mut State, event| {
            let next = state.job.state.next(event).ok()?;
            state.write(next, state.job.wish);
            Some(())
        };
        match act {
            Act::Load(number) => {
                let task = &mut state.tasks[number];
                if state.job.state != JobState::Running || task.state != StateName::Pending {
                    return None;
                }
                // `recall::refuse`: the job is paused, nothing is loaded.
                if task.receipt.is_some() && !self.is(Bug::IgnoreReceipts) {
                    event(&mut state, JobEvent::Paused)?;
                } else {
                    let epoch = task.epoch + 1;
                    let copies = task.copies + 1;
                    *task = Task { state: StateName::Done, epoch, receipt: Some(epoch), copies };
                }
            }
            Act::Fail(number) => {
                let task = &mut state.tasks[number];
                if state.job.state != JobState::Running || task.state != StateName::Pending {
                    return None;
                }
                task.state = StateName::Failed;
            }
            // `board::look`: a segment whose tasks have all ended is marked, by a compare-and-set.
            Act::End if state.has_ended() && !state.cursor.1 => {
                state.cursor = (state.cursor.0 + 1, true);
            }
            Act::Close(me) => self.close(&mut state, me).then_some(())?,
            Act::Replay(me) if state.people[me] == Command::No => {
                let is_chosen = |task: &Task| task.state == StateName::Done && task.copies == 0;
                let chosen = (0..TASKS)
                    .filter(|number| is_chosen(&state.tasks[*number]))
                    .fold(0, |mask, number| mask | 1 << number);
                if state.job.state == JobState::Reopening || chosen == 0 {
                    return None;
                }
                state.people[me] = Command::Chosen(state.job, chosen | state.job.wish.unwrap_or(0));
            }
            Act::Resume(me) if state.people[me] == Command::No => {
                state.people[me] = match state.job.state {
                    JobState::Reopening if self.is(Bug::ForgetWish) => {
                        Command::Recount(Row { wish: None, ..state.job })
                    }
                    JobState::Reopening => Command::Look(state.job),
                    JobState::Cancelled => {
                        Command::Chosen(state.job, state.job.wish.unwrap_or(0))
                    }
                    _ => return None,
                };
                if let (true, Command::Recount(_)) = (self.is(Bug::ForgetWish), state.people[me]) {
                    state.people[me] = Command::Recount(state.job);
                }
            }
            Act::Go(me) => self.go(&mut state, me).then_some(())?,
            Act::Stop(me) if state.people[me] != Command::No => state.people[me] = Command::No,
            // A person takes rows out; not under the hands of a task that loads.
            Act::Truncate if !state.in_flight() => {
                state.tasks.iter_mut().for_each(|task| task.copies = 0);
            }
            Act::Pause => event(&mut state, JobEvent::Paused)?,
            Act::Submit => event(&mut state, JobEvent::Submitted)?,
            Act::Cancel => event(&mut state, JobEvent::Cancelled)?,
            Act::WindDown if !state.in_flight() => event(&mut state, JobEvent::WoundDown)?,
            // Failed tasks of a failed job anew, with a wish of its own in one step.
            Act::Retry if state.job.state == JobState::Failed => {
                let failed = |task: &&mut Task| task.state == StateName::Failed;
                state.tasks.iter_mut().filter(failed).for_each(|task| task.state = StateName::Pending);
                state.cursor = (state.cursor.0 + 1, state.has_ended());
                state.write(JobState::Running, state.job.wish);
            }
            // Keeper is put back: the row of a task has forgotten that it was done.
            Act::Forget(number)
                if state.forgets > 0 && state.tasks[number].state == StateName::Done =>
            {
                state.forgets -= 1;
                state.tasks[number].state = StateName::Pending;
                state.cursor = (state.cursor.0 + 1, false);
            }
            Act::Restore if matches!(state.job.state, JobState::Paused | JobState::Halted) => {
                let forgotten = |task: &&mut Task| {
                    task.receipt.is_some() && task.state == StateName::Pending
                };
                state.tasks.iter_mut().filter(forgotten).for_each(|task| task.state = StateName::Done);
            }
            _ => return None,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a completed job has every task done, with its receipt", |_, s: &State| {
                let is_closed = s.job.state == JobState::Completed;
                !is_closed || s.tasks.iter().all(|task| task.receipt.is_some())
            }),
            Property::always("no row is in the target twice", |_, s: &State| {
                s.tasks.iter().all(|task| task.copies <= 1)
            }),
            Property::always("a job that claims has no wish left", |_, s: &State| {
                s.job.state != JobState::Running || s.job.wish.is_none()
            }),
            Property::sometimes("a replay is carried out and the job completed", |_, s: &State| {
                s.replayed && s.job.state == JobState::Completed
            }),
            Property::sometimes("a cancelled job keeps its wish", |_, s: &State| {
                s.job.state == JobState::Cancelled && s.job.wish.is_some()
            }),
            Property::sometimes("a task with a receipt pauses the job", |_, s: &State| {
                s.job.state == JobState::Paused
                    && s.tasks.iter().any(|t| t.receipt.is_some() && t.state == StateName::Pending)
            }),
            Property::sometimes("a job fails", |_, s: &State| s.job.state == JobState::Failed),
        ]
    }
}

/// Commands that are given in one run.
fn commands(default: u8) -> u8 {
    std::env::var("LONGSHORE_MODEL_COMMANDS")
        .map_or(default, |text| text.parse().expect("LONGSHORE_MODEL_COMMANDS is a number"))
}

#[test]
fn people_beside_two_workers_lose_and_double_nothing() {
    let start = std::time::Instant::now();
    let model = People { bug: None, commands: commands(3) };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_dfs();
    let checker = checker.join();
    println!("{} different states, {:?}", checker.unique_state_count(), start.elapsed());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 20_000, "{} states", checker.unique_state_count());
}

fn breaks(bug: Bug, rule: &'static str) {
    let model = People { bug: Some(bug), commands: 3 };
    let finish = HasDiscoveries::AnyOf([rule].into());
    let checker = model.checker().threads(2).finish_when(finish).spawn_bfs().join();
    let path = checker.assert_any_discovery(rule);
    println!("{bug:?}: {} states, {:?}", checker.unique_state_count(), path.into_actions());
}

const COMPLETED: &str = "a completed job has every task done, with its receipt";
const TWICE: &str = "no row is in the target twice";

#[test]
fn a_job_that_is_closed_blindly_is_seen() {
    breaks(Bug::CloseBlindly, COMPLETED);
}

#[test]
fn a_choice_that_is_written_on_another_row_is_seen() {
    breaks(Bug::MarkBlindly, TWICE);
}

#[test]
fn a_command_that_lags_is_seen() {
    breaks(Bug::LagBlindly, TWICE);
}

#[test]
fn a_wish_that_is_forgotten_is_seen() {
    breaks(Bug::ForgetWish, COMPLETED);
}

#[test]
fn a_task_that_is_loaded_in_spite_of_its_receipt_is_seen() {
    breaks(Bug::IgnoreReceipts, TWICE);
}
