//! A store under test, driven by the acts of a random sequence and compared with the reference.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use longshore_shared::store::{Swap, TaskStore, WorkerRecord, conformance, segment_tasks};
use longshore_shared::task::{Cursor, Job, JobId, JobState, Stamp, Tally, Task, TaskId, WorkerId};
use proptest_state_machine::StateMachineTest;

use super::acts::{
    Act, Change, Event, LEASE_MS, Outcome, SEGMENT_TASKS, SEGMENTS, STEP_MS, TASK_BYTES, TASKS,
    Thing, WORKERS, name,
};
use super::reference::{Reference, agrees};

/// A store, and how it is reached.
pub(crate) trait Rig: 'static {
    type Store: TaskStore;

    /// A store without workers and with no fault under way.
    fn fresh() -> Self;
    fn store(&self) -> &Self::Store;
    fn wait<T>(&self, answer: impl Future<Output = T>) -> T;
    /// Lets so much time pass for all leases and for the pauses of this job.
    fn pass(&self, ms: i64, job: &JobId);
}

/// All rows of a job, as a store shows them.
#[derive(Clone)]
struct Rows {
    tasks: Vec<Task>,
    cursor: Cursor,
    job: Job,
}

/// A write that was made: what it expects, and what it puts there.
#[derive(Clone)]
enum Held {
    Task(usize, Box<(Task, Task)>),
    Cursor(Box<(Cursor, Cursor)>),
    Job(Box<(Job, Job)>),
}

/// A store with the workers that use it.
pub(crate) struct Tested<R> {
    rig: R,
    /// The rows as they were last read: a write that changes nothing must leave them so.
    seen: Rows,
    copies: Vec<Rows>,
    held: Vec<Option<Held>>,
    /// Who owned a task in an epoch: never two.
    owners: BTreeMap<(usize, u64), WorkerId>,
}

pub(crate) struct Run<R>(PhantomData<R>);

impl<R: Rig> StateMachineTest for Run<R> {
    type SystemUnderTest = Tested<R>;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> Tested<R> {
        let rig = R::fresh();
        let mut job = conformance::job(u32::try_from(TASKS).expect("few tasks"));
        job.segment_tasks = u32::try_from(SEGMENT_TASKS).expect("small segments");
        job.state = reference.rows.job.value;
        let tasks: Vec<Task> = (0..job.tasks).map(|at| conformance::task(&job, at)).collect();
        let cursor = Cursor::new(job.id.clone());
        rig.wait(async {
            let store = rig.store();
            store.create_tasks(&tasks).await.expect("tasks");
            store.create_cursor(&cursor).await.expect("a cursor");
            store.create_job(&job).await.expect("a job");
            for worker in (0..WORKERS).filter(|worker| reference.leases[*worker].is_some()) {
                store.register(&record(worker)).await.expect("a worker");
            }
        });
        let planned = Rows { tasks, cursor, job };
        let seen = Tested::read(&rig, &planned);
        assert_eq!(seen.tasks.iter().map(timeless_task).collect::<Vec<_>>(), planned.tasks);
        assert_eq!((&seen.cursor, &seen.job), (&planned.cursor, &planned.job));
        let (copies, held) = (vec![seen.clone(); WORKERS], vec![None; WORKERS]);
        Tested { rig, seen, copies, held, owners: BTreeMap::new() }
    }

    fn apply(mut tested: Tested<R>, after: &Reference, act: Act) -> Tested<R> {
        let (rig, job) = (&tested.rig, tested.seen.job.id.clone());
        let store = rig.store();
        match act {
            Act::Read(worker, thing) => tested.remember(worker, thing),
            Act::Write(worker, change) => {
                tested.hold(worker, change);
                tested.send(worker, after);
            }
            Act::Hold(worker, change) => tested.hold(worker, change),
            Act::Send(worker) => tested.send(worker, after),
            Act::Register(worker) => {
                rig.wait(store.register(&record(worker))).expect("a registration");
            }
            Act::Beat(worker, draining) => {
                let alive = rig.wait(store.beat(&name(worker), draining)).expect("a beat");
                assert_eq!(alive, after.leases[worker].is_some(), "a beat renews what is there");
            }
            Act::Leave(worker) => rig.wait(store.remove_worker(&name(worker))).expect("a leave"),
            Act::TimePasses => {
                rig.pass(STEP_MS, &job);
                let now = Tested::read(rig, &tested.seen);
                for (was, now) in tested.seen.tasks.iter().zip(&now.tasks) {
                    assert_eq!(timeless_task(was), timeless_task(now), "time changes no task");
                }
                tested.seen = now;
            }
            Act::PlanAgain => tested.plan_again(),
        }
        // What only reads, or is still under way, changes nothing: it is not worth a request.
        if !matches!(act, Act::Read(..) | Act::Hold(..)) {
            tested.compare(after);
        }
        if !matches!(act, Act::Read(..) | Act::Hold(..) | Act::Write(..) | Act::Send(_)) {
            tested.compare_leases(after);
        }
        tested
    }

    fn teardown(tested: Tested<R>, _: Reference) {
        let now = Tested::read(&tested.rig, &tested.seen);
        assert_eq!(now.tasks, tested.seen.tasks, "no task changed behind its writers' backs");
        let beyond = TaskId { ordinal: now.job.tasks, job: now.job.id };
        let found = tested.rig.wait(tested.rig.store().task(&beyond)).expect("read");
        assert_eq!(found, None, "no task appears");
    }
}

impl<R: Rig> Tested<R> {
    fn read(rig: &R, known: &Rows) -> Rows {
        let store = rig.store();
        rig.wait(async {
            let mut tasks = Vec::new();
            for task in &known.tasks {
                tasks.push(store.task(&task.id).await.expect("read").expect("the task is there"));
            }
            let cursor = store.cursor(&known.job.id).await.expect("read").expect("the cursor");
            let job = store.job(&known.job.id).await.expect("read").expect("the job");
            Rows { tasks, cursor, job }
        })
    }

    fn task(&self, task: usize) -> Task {
        let id = &self.seen.tasks[task].id;
        self.rig.wait(self.rig.store().task(id)).expect("read").expect("the task is there")
    }

    fn cursor(&self) -> Cursor {
        let id = &self.seen.job.id;
        self.rig.wait(self.rig.store().cursor(id)).expect("read").expect("the cursor is there")
    }

    fn job(&self) -> Job {
        let id = &self.seen.job.id;
        self.rig.wait(self.rig.store().job(id)).expect("read").expect("the job is there")
    }

    fn remember(&mut self, worker: usize, thing: Thing) {
        match thing {
            Thing::Task(task) => self.copies[worker].tasks[task] = self.task(task),
            Thing::Cursor => self.copies[worker].cursor = self.cursor(),
            Thing::Job => self.copies[worker].job = self.job(),
        }
    }

    /// Makes a write out of the worker's copies, as the programs do.
    fn hold(&mut self, worker: usize, change: Change) {
        let copy = &self.copies[worker];
        self.held[worker] = Some(match change {
            Change::Task(task, event) => {
                let was = copy.tasks[task].clone();
                if event == Event::TakeOver {
                    self.must_be_gone(&was);
                }
                let event = event.by(worker, task, was.progress.epoch);
                let progress = was.progress.next(&event).expect("the reference allowed it");
                let next = Task { progress, stamp: Stamp::fresh(), ..was.clone() };
                Held::Task(task, Box::new((was, next)))
            }
            Change::Open => Held::Cursor(Box::new((copy.cursor.clone(), copy.cursor.opened()))),
            Change::Finish(segment) => {
                let segment = u32::try_from(segment).expect("few segments");
                let tally = self.tally(segment);
                let next = copy.cursor.finishing(segment, tally);
                Held::Cursor(Box::new((copy.cursor.clone(), next)))
            }
            Change::Job(change) => {
                let was = copy.job.clone();
                let event = change.event(copy.cursor.tally);
                let state = was.state.next(event).expect("the reference allowed it");
                let (epoch, stamp) = (was.epoch.next(), Stamp::fresh());
                Held::Job(Box::new((was.clone(), Job { state, epoch, stamp, ..was })))
            }
        });
    }

    /// A task is taken over only from an owner whom the store calls lapsed or does not know.
    fn must_be_gone(&self, task: &Task) {
        let owner = &task.progress.state.owner().expect("an owned task").worker;
        let found = self.rig.wait(self.rig.store().worker(owner)).expect("read");
        assert!(found.is_none_or(|record| record.has_lapsed()), "{owner:?} is alive");
    }

    fn tally(&self, segment: u32) -> Tally {
        let ids = segment_tasks(&self.seen.job, segment);
        let mut tally = Tally::default();
        for brief in self.rig.wait(self.rig.store().briefs(&ids)).expect("briefs") {
            assert!(tally.add(brief.state, brief.rows, brief.bytes), "{brief:?} has not ended");
        }
        tally
    }

    fn send(&mut self, worker: usize, after: &Reference) {
        let outcome = after.outcome.expect("a write has an outcome");
        let store = self.rig.store();
        match self.held[worker].clone().expect("a write to send") {
            Held::Task(at, pair) => {
                let (was, next) = *pair;
                let swap = self.rig.wait(store.swap_task(&was, &next)).expect("swap");
                let now = self.task(at);
                let before = std::mem::replace(&mut self.seen.tasks[at], now.clone());
                judge(outcome, swap, &before, &now, &next, timeless_task);
                if outcome != Outcome::Refused {
                    self.copies[worker].tasks[at] = now;
                }
            }
            Held::Cursor(pair) => {
                let (was, next) = *pair;
                let swap = self.rig.wait(store.swap_cursor(&was, &next)).expect("swap");
                let now = self.cursor();
                let before = std::mem::replace(&mut self.seen.cursor, now.clone());
                judge(outcome, swap, &before, &now, &next, Cursor::clone);
                if outcome != Outcome::Refused {
                    self.copies[worker].cursor = now;
                }
            }
            Held::Job(write) => {
                let (was, next) = *write;
                let swap = self.rig.wait(store.swap_job(&was, &next)).expect("swap");
                let now = self.job();
                let before = std::mem::replace(&mut self.seen.job, now.clone());
                judge(outcome, swap, &before, &now, &next, timeless_job);
                if outcome != Outcome::Refused {
                    self.copies[worker].job = now;
                }
            }
        }
    }

    /// The plan is written again with other stamps: what is there stays.
    fn plan_again(&self) {
        let Rows { tasks, job, cursor } = &self.seen;
        let again: Vec<Task> = (0..job.tasks).map(|at| conformance::task(job, at)).collect();
        let other = Job { stamp: Stamp::fresh(), state: JobState::Planned, ..job.clone() };
        let store = self.rig.store();
        self.rig.wait(async {
            store.create_tasks(&again).await.expect("create");
            assert_eq!(store.create_job(&other).await.expect("create"), *job, "the job stays");
            let made = store.create_cursor(&Cursor::new(job.id.clone())).await.expect("create");
            assert_eq!(made, *cursor, "the cursor stays");
        });
        assert_eq!(Self::read(&self.rig, &self.seen).tasks, *tasks, "the tasks stay");
    }

    /// What holds after every step.
    fn compare(&mut self, reference: &Reference) {
        let (store, seen) = (self.rig.store(), &self.seen);
        let ids: Vec<TaskId> = seen.tasks.iter().map(|task| task.id.clone()).collect();
        let briefs = self.rig.wait(store.briefs(&ids)).expect("briefs");
        assert_eq!(briefs.len(), TASKS, "no task appears or vanishes");
        for (at, brief) in briefs.iter().enumerate() {
            let (task, known) = (&seen.tasks[at], &reference.rows.tasks[at]);
            assert_eq!(task.progress, known.value, "task {at} is as its last writer left it");
            assert_eq!((&brief.id, brief.state), (&task.id, known.value.state.name()));
            assert_eq!(brief.changed_ms, task.changed_ms, "task {at} was not touched since");
            assert_eq!((brief.due, brief.bytes), (reference.is_due(known), TASK_BYTES));
            let last = self.owners.range((at, 0)..=(at, u64::MAX)).next_back();
            let last = last.map_or(0, |((_, epoch), _)| *epoch);
            assert!(brief.epoch >= last, "epochs of task {at} only rise");
            if brief.state.is_owned() {
                let owner = self.owners.entry((at, brief.epoch)).or_insert(brief.worker.clone());
                assert_eq!(*owner, brief.worker, "one owner in an epoch of task {at}");
            }
        }

        let marks = &reference.rows.cursor.value;
        let finished =
            |segment: usize| seen.cursor.is_finished(u32::try_from(segment).expect("few segments"));
        let counted = (0..SEGMENTS)
            .filter(|segment| finished(*segment))
            .map(|segment| reference.ended(segment).expect("tasks of a finished segment ended"))
            .fold(Tally::default(), Tally::plus);
        assert_eq!(seen.cursor.tally, counted, "totals are those of the tasks");
        assert_eq!(counted, marks.tally(), "each segment is counted once");
        assert_eq!(seen.cursor.frontier as usize, marks.frontier);

        assert_eq!(seen.job.state, reference.rows.job.value);
        assert!(briefs.iter().all(|brief| agrees(seen.job.state, brief.state)), "{briefs:?}");
    }

    fn compare_leases(&self, reference: &Reference) {
        let workers = self.rig.wait(self.rig.store().workers()).expect("workers");
        for worker in 0..WORKERS {
            let found = workers.iter().find(|record| record.id == name(worker));
            let found = found.map(|record| (record.draining, record.has_lapsed()));
            let known = reference.leases[worker].as_ref();
            let known = known.map(|lease| (lease.draining, reference.has_lapsed(lease)));
            assert_eq!(found, known, "the lease of worker {worker}: draining, lapsed");
        }
    }
}

/// Holds a write's answer, and what is there now, against what had to become of it.
fn judge<T: Clone + PartialEq + Debug>(
    outcome: Outcome,
    swap: Swap<T>,
    before: &T,
    now: &T,
    next: &T,
    timeless: fn(&T) -> T,
) {
    match outcome {
        Outcome::Applied => {
            assert_eq!(swap, Swap::Won, "a writer with the row in force wins");
            assert_eq!(timeless(now), timeless(next), "and its write is in force");
        }
        Outcome::Recognised => {
            assert_eq!(swap, Swap::Won, "a write sent again is recognised");
            assert_eq!(now, before, "and applied once");
        }
        Outcome::Refused => {
            assert_eq!(swap, Swap::Lost(Some(before.clone())), "a stale write is refused");
            assert_eq!(now, before, "and changes nothing");
        }
    }
}

/// A store sets the time of a change itself.
fn timeless_task(task: &Task) -> Task {
    Task { changed_ms: 0, ..task.clone() }
}

fn timeless_job(job: &Job) -> Job {
    Job { submitted_ms: 0, ended_ms: 0, ..job.clone() }
}

fn record(worker: usize) -> WorkerRecord {
    WorkerRecord {
        id: name(worker),
        lease_ms: LEASE_MS.unsigned_abs(),
        slots: 1,
        version: "1.2.3".into(),
        host: "host".into(),
        pid: 42,
        draining: false,
        age_ms: 0,
    }
}
