//! Many commands that want the same tables at once: one gets them, and never two.

use std::sync::Arc;

use longshore_shared::store::{LockStore, MemoryStore, Swap, TaskStore};
use longshore_shared::task::{Epoch, Job, JobEvent, JobId, JobState, Lock, Stamp, TableName};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Overlap, Refusal, overlaps, refused, take_all};
use crate::fixture;

const MANY: u8 = 16;

/// A plan for `demo.events` and `demo.daily` with an id of its own.
fn plan(number: u8, state: JobState) -> Job {
    let id = JobId::from_digest(&[number; 8]);
    Job { id, stamp: Stamp::fresh(), epoch: Epoch(0), ..fixture::job(state) }
}

fn table(name: &str) -> TableName {
    TableName { database: "demo".into(), table: name.into() }
}

/// What `submit` does: takes the locks, then makes the job run, and again when that is lost.
async fn start(store: &MemoryStore, id: &JobId) -> Result<(), Refusal> {
    for lost in 0.. {
        let job = store.job(id).await?.expect("the plan is there");
        let Ok(state) = job.state.next(JobEvent::Submitted) else { return Ok(()) };
        take_all(store, &job, &|_| false, lost).await?;
        tokio::task::yield_now().await;
        let next = Job { state, epoch: job.epoch.next(), stamp: Stamp::fresh(), ..job.clone() };
        if store.swap_job(&job, &next).await? == Swap::Won {
            return Ok(());
        }
    }
    unreachable!("it is started or refused")
}

async fn change(store: &MemoryStore, id: &JobId, state: JobState) {
    let was = store.job(id).await.unwrap().unwrap();
    let next = Job { state, epoch: was.epoch.next(), stamp: Stamp::fresh(), ..was.clone() };
    assert_eq!(store.swap_job(&was, &next).await.unwrap(), Swap::Won);
}

async fn running(store: &MemoryStore) -> Vec<Job> {
    let mut jobs = store.jobs().await.unwrap();
    jobs.retain(|job| job.state.is_live());
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_exactly_one_starts() {
    let store = Arc::new(MemoryStore::default());
    for round in 0..4_u8 {
        let plans: Vec<Job> = (0..MANY)
            .map(|number| Job {
                id: JobId::from_digest(&[round, number, 0, 0, 0, 0, 0, 0]),
                ..plan(number, JobState::Planned)
            })
            .collect();
        let gate = Arc::new(Barrier::new(usize::from(MANY)));
        let mut starts = JoinSet::new();
        for plan in plans {
            store.create_job(&plan).await.unwrap();
            let (store, gate) = (store.clone(), gate.clone());
            starts.spawn(async move {
                gate.wait().await;
                start(&store, &plan.id).await.is_ok()
            });
        }
        let started = starts.join_all().await.into_iter().filter(|started| *started).count();
        let now = running(&store).await;
        assert_eq!((started, now.len()), (1, 1), "round {round}");
        for name in ["events", "daily"] {
            let lock = store.lock_of(&table(name)).await.unwrap().unwrap();
            assert_eq!(lock.jobs, [now[0].id.clone()], "{name}");
        }
        change(&store, &now[0].id, JobState::Completed).await;
    }
}

#[tokio::test]
async fn a_job_that_ended_makes_way_and_one_that_lives_does_not() {
    for state in JobState::ALL {
        let store = MemoryStore::default();
        let (old, new) = (plan(1, state), plan(2, JobState::Planned));
        for job in [&old, &new] {
            store.create_job(job).await.unwrap();
        }
        take_all(&store, &old, &|_| false, 0).await.unwrap();
        let taken = take_all(&store, &new, &|_| false, 0).await;
        if state.is_live() {
            let Err(Refusal::Held(overlap)) = taken else { panic!("{state:?}: {taken:?}") };
            assert_eq!((overlap.job, overlap.state), (old.id.clone(), Some(state)));
            let forced = take_all(&store, &new, &|_| true, 0).await.unwrap();
            assert_eq!(forced.len(), 2, "one a table: {forced:?}");
            let lock = store.lock_of(&table("events")).await.unwrap().unwrap();
            assert_eq!(lock.jobs, [old.id, new.id], "both are named");
        } else {
            assert_eq!(taken.unwrap(), [], "{state:?}");
        }
    }
}

/// The command that starts the old job read its row and took the lock before the new one came.
#[tokio::test]
async fn a_start_that_was_passed_over_is_lost() {
    // One that is being deleted never starts.
    let idle = |state: &JobState| !state.is_live() && *state != JobState::Deleting;
    for state in JobState::ALL.into_iter().filter(idle) {
        let store = MemoryStore::default();
        let (old, new) = (plan(1, state), plan(2, JobState::Planned));
        for job in [&old, &new] {
            store.create_job(job).await.unwrap();
        }
        take_all(&store, &old, &|_| false, 0).await.unwrap();
        take_all(&store, &new, &|_| false, 0).await.unwrap();
        let started = Job {
            state: JobState::Reopening,
            epoch: old.epoch.next(),
            stamp: Stamp::fresh(),
            ..old.clone()
        };
        let late = store.swap_job(&old, &started).await.unwrap();
        let Swap::Lost(Some(found)) = late else { panic!("{state:?}: {late:?}") };
        assert_eq!(found.state, state, "all but the mark of the write stays");
    }
}

/// The new job read the lock; before it writes, the old one takes it once more.
#[tokio::test]
async fn a_lock_that_is_taken_again_is_another() {
    let store = MemoryStore::default();
    let old = plan(1, JobState::Planned);
    store.create_job(&old).await.unwrap();
    take_all(&store, &old, &|_| false, 0).await.unwrap();
    let was = store.lock_of(&table("events")).await.unwrap().unwrap();
    take_all(&store, &old, &|_| false, 0).await.unwrap();
    let next = Lock::of(was.table.clone(), Vec::new());
    assert!(matches!(store.swap_lock(&was, &next).await.unwrap(), Swap::Lost(Some(_))));
}

/// Longshore before this rule started jobs without a lock.
#[tokio::test]
async fn a_running_job_without_a_lock_counts() {
    let store = MemoryStore::default();
    let (old, new) = (plan(1, JobState::Running), plan(2, JobState::Planned));
    store.create_job(&old).await.unwrap();
    let found = overlaps(&store, &new).await.unwrap();
    assert_eq!(found.iter().map(|overlap| &overlap.job).collect::<Vec<_>>(), [&old.id]);
    let mut elsewhere = new.clone();
    for table in &mut elsewhere.spec.graph.tables {
        table.name.database = "other".into();
    }
    assert_eq!(overlaps(&store, &elsewhere).await.unwrap(), []);
}

#[test]
fn a_refusal_names_both_jobs_and_the_ways_on() {
    let job = plan(2, JobState::Planned);
    let mut overlap = Overlap {
        table: table("daily"),
        job: plan(1, JobState::Running).id,
        state: Some(JobState::Running),
    };
    let mut words = || {
        let report = refused(&job, &overlap);
        overlap.state = Some(JobState::Paused);
        format!("{}\n{}", report.message, report.help.unwrap())
    };
    insta::assert_snapshot!(words(), @"
    job 0202020202020202 cannot run: job 0101010101010101 (running) loads into demo.daily
    wait for its end: longshore status 0101010101010101 --watch
    or give it up: longshore cancel 0101010101010101
    or let both load at the same time: --force-overlap
    ");
    insta::assert_snapshot!(words(), @"
    job 0202020202020202 cannot run: job 0101010101010101 (paused) loads into demo.daily
    let it go on: longshore resume 0101010101010101
    or give it up: longshore cancel 0101010101010101
    or let both load at the same time: --force-overlap
    ");
}
