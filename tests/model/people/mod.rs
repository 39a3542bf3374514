//! People beside a job: retry, replay with a wish, cancel, restore; the closing of the job by two workers;
//! receipts. Every order of their steps within bounds, with the real `JobState::next`.
//!
//! What a worker does with one task is the other model's; here a task is loaded in one step. Each
//! command and each closing is cut into the steps between which others have their turn, and may stop
//! for good at any of them. Steps stand for `close::close_job`, `retry::open`, `reopen::carry_out` and
//! `restore`. Not in it: `plan delete` and a second life of the same plan (`tests/e2e/plan_delete.rs` and
//! `tests/e2e/holes/lives.rs` are), manifests, decisions about quarantined tasks.

mod steps;

use longshore_shared::task::{JobEvent, JobState, StateName};
use stateright::{Checker, HasDiscoveries, Model, Property};

use steps::{Bug, Closing, Command, PEOPLE, People, Row, State, TASKS, Task, WORKERS};

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
            acts.extend([
                Act::Replay(person),
                Act::Resume(person),
                Act::Go(person),
                Act::Stop(person),
            ]);
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
            // `board::scan_open_segments`: a segment whose tasks have all ended is marked, by a compare-and-set.
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
                    JobState::Cancelled => Command::Chosen(state.job, state.job.wish.unwrap_or(0)),
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
                state
                    .tasks
                    .iter_mut()
                    .filter(failed)
                    .for_each(|task| task.state = StateName::Pending);
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
                let forgotten =
                    |task: &&mut Task| task.receipt.is_some() && task.state == StateName::Pending;
                state
                    .tasks
                    .iter_mut()
                    .filter(forgotten)
                    .for_each(|task| task.state = StateName::Done);
            }
            _ => return None,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a completed job has every task done, with its receipt",
                |_, s: &State| {
                    let is_closed = s.job.state == JobState::Completed;
                    !is_closed || s.tasks.iter().all(|task| task.receipt.is_some())
                },
            ),
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
