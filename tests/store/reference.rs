//! The reference beside which a store is run: who wrote what last, as plain numbers in memory.
//!
//! Workers hold copies of rows that may be stale, and writes that they made and did not send yet.
//! Each write has a number. A write wins exactly when the row still carries the number that its
//! writer saw; that is all the reference knows of how a store decides.

use std::collections::BTreeMap;

use longshore_shared::task::{JobState, Progress, StateName, Tally, TaskState};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;

use super::acts::{
    Act, Change, Event, JobChange, LEASE_MS, Outcome, SEGMENT_TASKS, SEGMENTS, STEP_MS, TASK_BYTES,
    TASKS, Thing, WORKERS, name,
};

/// A row with the number of the write that made it.
#[derive(Debug, Clone)]
pub(crate) struct Row<T> {
    pub(crate) value: T,
    write: u32,
    changed_ms: i64,
}

impl<T: Clone> Row<T> {
    fn new(value: T) -> Self {
        Self { value, write: 0, changed_ms: 0 }
    }

    fn swap(&mut self, was: u32, next: &Self, now_ms: i64) -> Outcome {
        if self.write == next.write {
            return Outcome::Recognised;
        }
        if self.write != was {
            return Outcome::Refused;
        }
        *self = Self { changed_ms: now_ms, ..next.clone() };
        Outcome::Applied
    }
}

/// A cursor: segments opened, and what each finished one brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    pub(crate) frontier: usize,
    pub(crate) finished: BTreeMap<usize, Tally>,
}

impl Marks {
    pub(crate) fn tally(&self) -> Tally {
        self.finished.values().fold(Tally::default(), |sum, segment| sum.plus(*segment))
    }
}

/// All rows, as they are or as somebody saw them.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) tasks: Vec<Row<Progress>>,
    pub(crate) cursor: Row<Marks>,
    pub(crate) job: Row<JobState>,
}

/// A write that was made: the number it expects, and what it puts there.
#[derive(Debug, Clone)]
enum Held {
    Task(usize, u32, Row<Progress>),
    Cursor(u32, Row<Marks>),
    Job(u32, Row<JobState>),
}

/// A registered worker.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    beat_ms: i64,
    pub(crate) draining: bool,
}

/// The state in force, and what each worker believes.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) rows: Rows,
    pub(crate) leases: Vec<Option<Lease>>,
    /// How the last write must end; nothing when the last step was none.
    pub(crate) outcome: Option<Outcome>,
    copies: Vec<Rows>,
    held: Vec<Option<Held>>,
    now_ms: i64,
    writes: u32,
}

impl Reference {
    fn begin(begun: bool) -> Self {
        let rows = Rows {
            tasks: vec![Row::new(Progress::planned()); TASKS],
            cursor: Row::new(Marks::default()),
            job: Row::new(if begun { JobState::Running } else { JobState::Planned }),
        };
        let lease = begun.then_some(Lease { beat_ms: 0, draining: false });
        Self {
            copies: vec![rows.clone(); WORKERS],
            held: vec![None; WORKERS],
            leases: vec![lease; WORKERS],
            rows,
            outcome: None,
            now_ms: 0,
            writes: 0,
        }
    }

    pub(crate) fn has_lapsed(&self, lease: &Lease) -> bool {
        self.now_ms - lease.beat_ms > LEASE_MS
    }

    /// Is the pause of a pending task over? True for all others.
    pub(crate) fn is_due(&self, row: &Row<Progress>) -> bool {
        match row.value.state {
            TaskState::Pending { delay_ms, .. } => {
                row.changed_ms + i64::try_from(delay_ms).expect("a short pause") <= self.now_ms
            }
            _ => true,
        }
    }

    /// The rules a worker keeps before it asks the store; its copy may be stale all the same.
    fn may(&self, worker: usize, row: &Row<Progress>, event: Event) -> bool {
        let takes_work = self.leases[worker].as_ref().is_some_and(|lease| !lease.draining);
        let owner = row.value.state.owner().map(|owner| &owner.worker);
        match event {
            Event::Claim => {
                let runs = self.copies[worker].job.value == JobState::Running;
                takes_work && runs && self.is_due(row)
            }
            Event::TakeOver => {
                let is_gone = |other: usize| {
                    self.leases[other].as_ref().is_none_or(|lease| self.has_lapsed(lease))
                };
                takes_work
                    && (0..WORKERS).any(|other| {
                        other != worker && owner == Some(&name(other)) && is_gone(other)
                    })
            }
            _ => owner == Some(&name(worker)),
        }
    }

    /// What ended tasks of a segment bring; nothing while one of them has not ended.
    pub(crate) fn ended(&self, segment: usize) -> Option<Tally> {
        let mut tally = Tally::default();
        let first = segment * SEGMENT_TASKS;
        self.rows.tasks[first..first + SEGMENT_TASKS]
            .iter()
            .all(|row| {
                let rows = match row.value.state {
                    TaskState::Done { rows } => rows,
                    _ => 0,
                };
                tally.add(row.value.state.name(), rows, TASK_BYTES)
            })
            .then_some(tally)
    }

    /// The write that a worker makes out of its copies; nothing when it has no reason to.
    fn make(&self, worker: usize, change: Change) -> Option<Held> {
        fn row<T>(value: T, write: u32) -> Row<T> {
            Row { value, write, changed_ms: 0 }
        }
        let Rows { tasks, cursor, job } = &self.copies[worker];
        let write = self.writes + 1;
        match change {
            Change::Task(task, event) => {
                let was = &tasks[task];
                let event = self.may(worker, was, event).then_some(event)?;
                let next = was.value.next(&event.by(worker, task, was.value.epoch)).ok()?;
                Some(Held::Task(task, was.write, row(next, write)))
            }
            Change::Open => {
                let frontier = cursor.value.frontier + 1;
                let marks = Marks { frontier, ..cursor.value.clone() };
                (frontier <= SEGMENTS).then(|| Held::Cursor(cursor.write, row(marks, write)))
            }
            Change::Finish(segment) => {
                let tally = self.ended(segment)?;
                let mut marks = cursor.value.clone();
                let is_open = segment < marks.frontier;
                let is_new = marks.finished.insert(segment, tally).is_none();
                (is_open && is_new).then(|| Held::Cursor(cursor.write, row(marks, write)))
            }
            Change::Job(change) => {
                if change == JobChange::Finish && cursor.value.finished.len() < SEGMENTS {
                    return None;
                }
                let next = job.value.next(change.event(cursor.value.tally())).ok()?;
                Some(Held::Job(job.write, row(next, write)))
            }
        }
    }

    fn hold(&mut self, worker: usize, change: Change) {
        self.held[worker] = self.make(worker, change);
        self.writes += 1;
    }

    fn send(&mut self, worker: usize) {
        let (rows, copy, now) = (&mut self.rows, &mut self.copies[worker], self.now_ms);
        self.outcome = self.held[worker].as_ref().map(|held| match held {
            Held::Task(task, was, next) => {
                let outcome = rows.tasks[*task].swap(*was, next, now);
                if outcome != Outcome::Refused {
                    copy.tasks[*task] = rows.tasks[*task].clone();
                }
                outcome
            }
            Held::Cursor(was, next) => {
                let outcome = rows.cursor.swap(*was, next, now);
                if outcome != Outcome::Refused {
                    copy.cursor = rows.cursor.clone();
                }
                outcome
            }
            Held::Job(was, next) => {
                let outcome = rows.job.swap(*was, next, now);
                if outcome != Outcome::Refused {
                    copy.job = rows.job.clone();
                }
                outcome
            }
        });
    }

    /// What a worker's last write is about, to count what was tried.
    pub(crate) fn held_kind(&self, worker: usize) -> &'static str {
        match self.held[worker] {
            Some(Held::Task(..)) => "task",
            Some(Held::Cursor(..)) => "cursor",
            Some(Held::Job(..)) => "job",
            None => "nothing",
        }
    }

    /// All that a worker may change now, what leads on named more often.
    fn changes(&self) -> [Vec<(usize, Change)>; 3] {
        use Event::{Claim, GiveUp, HandBack, Load, Publish, Quarantine, Retry, TakeOver};
        let events = [
            Claim, Claim, TakeOver, TakeOver, TakeOver, Load, Load, Load, Load, Publish, Publish,
            Publish, Publish, HandBack, Retry, GiveUp, Quarantine,
        ];
        let changes = [
            [JobChange::Submit; 4],
            [JobChange::Finish; 4],
            [JobChange::Submit, JobChange::Finish, JobChange::Pause, JobChange::Cancel],
        ]
        .concat();
        let tasks: Vec<Change> = (0..TASKS)
            .flat_map(|task| events.iter().map(move |event| Change::Task(task, *event)))
            .collect();
        let cursor: Vec<Change> =
            std::iter::once(Change::Open).chain((0..SEGMENTS).map(Change::Finish)).collect();
        let job: Vec<Change> = changes.into_iter().map(Change::Job).collect();
        [tasks, cursor, job].map(|changes| {
            (0..WORKERS)
                .flat_map(|worker| changes.iter().map(move |change| (worker, *change)))
                .filter(|(worker, change)| self.make(*worker, *change).is_some())
                .collect()
        })
    }
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Self> {
        any::<bool>().prop_map(|fresh| Self::begin(!fresh)).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Act> {
        let things: Vec<Thing> =
            (0..TASKS).map(Thing::Task).chain([Thing::Cursor, Thing::Job]).collect();
        let mut choices: Vec<(u32, BoxedStrategy<Act>)> = vec![
            (8, (0..WORKERS, select(things)).prop_map(|(w, thing)| Act::Read(w, thing)).boxed()),
            (2, (0..WORKERS).prop_map(Act::Register).boxed()),
            (2, (0..WORKERS, any::<bool>()).prop_map(|(w, d)| Act::Beat(w, d)).boxed()),
            (1, (0..WORKERS).prop_map(Act::Leave).boxed()),
            (2, Just(Act::TimePasses).boxed()),
            (1, Just(Act::PlanAgain).boxed()),
        ];
        let holders: Vec<usize> = (0..WORKERS).filter(|w| state.held[*w].is_some()).collect();
        if !holders.is_empty() {
            choices.push((3, select(holders).prop_map(Act::Send).boxed()));
        }
        for (weight, changes) in [12, 4, 1].into_iter().zip(state.changes()) {
            if !changes.is_empty() {
                let made = select(changes);
                choices.push((weight, made.clone().prop_map(|(w, c)| Act::Write(w, c)).boxed()));
                choices.push((1, made.prop_map(|(w, c)| Act::Hold(w, c)).boxed()));
            }
        }
        Union::new_weighted(choices).boxed()
    }

    fn preconditions(state: &Self, act: &Act) -> bool {
        match *act {
            Act::Write(worker, change) | Act::Hold(worker, change) => {
                state.make(worker, change).is_some()
            }
            Act::Send(worker) => state.held[worker].is_some(),
            _ => true,
        }
    }

    fn apply(mut state: Self, act: &Act) -> Self {
        state.outcome = None;
        let lease = |state: &Self, draining| Some(Lease { beat_ms: state.now_ms, draining });
        match *act {
            Act::Read(worker, Thing::Task(task)) => {
                state.copies[worker].tasks[task] = state.rows.tasks[task].clone();
            }
            Act::Read(worker, Thing::Cursor) => {
                state.copies[worker].cursor = state.rows.cursor.clone();
            }
            Act::Read(worker, Thing::Job) => state.copies[worker].job = state.rows.job.clone(),
            Act::Write(worker, change) => {
                state.hold(worker, change);
                state.send(worker);
            }
            Act::Hold(worker, change) => state.hold(worker, change),
            Act::Send(worker) => state.send(worker),
            Act::Register(worker) => {
                state.leases[worker] = state.leases[worker].take().or_else(|| lease(&state, false));
            }
            Act::Beat(worker, draining) if state.leases[worker].is_some() => {
                state.leases[worker] = lease(&state, draining);
            }
            Act::Leave(worker) => state.leases[worker] = None,
            Act::TimePasses => state.now_ms += STEP_MS,
            Act::Beat(..) | Act::PlanAgain => {}
        }
        state
    }
}

/// Does the protocol let a job in this state have tasks in this one?
pub(crate) fn agrees(job: JobState, task: StateName) -> bool {
    match job {
        JobState::Completed => task == StateName::Done,
        JobState::Failed => task.is_terminal(),
        _ => true,
    }
}
