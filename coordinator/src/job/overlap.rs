//! One job at a time loads into a table, on whatever machine it was submitted.
//!
//! Each table of a job's graph has a lock row that names the job. A job takes the locks of all its
//! tables before it begins to run. Nobody gives a lock back when a job ends: a holder that does not
//! run is passed over by the next one.
//!
//! Two things make that safe. A job that takes a lock always writes the row, even when it is named
//! there already, so whoever read the row before loses. And whoever passes a holder over first
//! changes that holder's job row (state and all else stay): a command that was about to start that
//! job read its row before it took the locks, so its start is lost and it takes the locks again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use longshore_shared::store::{LockStore, StoreError, Stored, Swap, TaskStore};
use longshore_shared::task::{Job, JobId, JobState, Lock, TableName};

use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// A command that holds a lock starts its job within so long; one that was killed never does.
const START_MAX: Duration = Duration::from_secs(1);
/// Where many want the same tables everything takes longer: the wait doubles, so often.
const DOUBLED_MAX: u32 = 5;
/// Looks at a holder in one wait.
const LOOKS: u32 = 4;
/// Whoever has not got a lock after so long gives up.
const BUSY_MAX: Duration = Duration::from_mins(3);

/// A job that loads into a table of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) table: TableName,
    pub(crate) job: JobId,
    /// None when this version cannot read its row.
    pub(crate) state: Option<JobState>,
}

impl Overlap {
    /// `0123456789abcdef (running)`
    fn holder(&self) -> String {
        match self.state {
            Some(state) => format!("{} ({})", self.job, state.as_str()),
            None => format!("{} (written by another version)", self.job),
        }
    }

    /// What a person is told when both load.
    pub(crate) fn note(&self) -> String {
        format!("job {} loads into {} too", self.holder(), self.table)
    }
}

/// Why a job does not get its tables.
#[derive(Debug)]
enum Refusal {
    /// Another job has one of them.
    Held(Overlap),
    /// Others keep changing a lock.
    Busy(TableName),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    fn report(self, job: &Job) -> Error {
        match self {
            Self::Held(overlap) => refused(job, &overlap).into(),
            Self::Busy(table) => {
                let message = format!("the lock of {table} keeps changing: others start jobs too");
                Report::new(Kind::Conflict, message).help("try again in a moment").into()
            }
            Self::Store(error) => error.into(),
        }
    }
}

/// The error of a job whose table another one has.
pub(crate) fn refused(job: &Job, overlap: &Overlap) -> Report {
    let (id, other) = (&job.id, &overlap.job);
    let message =
        format!("job {id} cannot run: job {} loads into {}", overlap.holder(), overlap.table);
    let end = match overlap.state {
        Some(JobState::Paused | JobState::Halted | JobState::Reopening) => {
            format!("let it go on: longshore resume {other}")
        }
        _ => format!("wait for its end: longshore status {other} --watch"),
    };
    Report::new(Kind::Conflict, message).help(format!(
        "{end}\nor give it up: longshore cancel {other}\n\
         or let both load at the same time: --force-overlap"
    ))
}

/// Takes the locks of all tables that the job ends in, and says which other jobs load into them.
///
/// Call it between reading the job's row and the change that makes it run, and once more whenever
/// that change is lost; `lost` counts how often it was.
///
/// # Errors
/// A conflict when another job loads into one of the tables, unless that is forced or a policy.
pub(crate) async fn acquire(
    session: &Session,
    job: &Job,
    force: bool,
    lost: u32,
) -> Result<Vec<String>, Error> {
    let may_share = |table: &TableName| force || may_share(session, table);
    let taken = take_all(&session.store, job, &may_share, lost).await;
    Ok(taken.map_err(|why| why.report(job))?.iter().map(Overlap::note).collect())
}

/// May several jobs load into this table at a time?
pub(crate) fn may_share(session: &Session, table: &TableName) -> bool {
    !session.config.rules(table).block_overlap
}

/// The jobs that load into tables of this one at the moment, one entry a table and job.
pub(crate) async fn overlaps<S: TaskStore + LockStore>(
    store: &S,
    job: &Job,
) -> Stored<Vec<Overlap>> {
    let own = tables(job);
    let mut found = Vec::new();
    for table in &own {
        for id in store.lock_of(table).await?.map(|lock| lock.jobs).unwrap_or_default() {
            if id != job.id
                && let Holder::Living(state) = holder(store, &id).await?
            {
                found.push(Overlap { table: table.clone(), job: id, state });
            }
        }
    }
    // Jobs that an older version started hold no lock.
    for other in store.jobs().await?.iter().filter(|other| other.id != job.id) {
        let shared = tables(other).into_iter().find(|table| own.contains(table));
        if let Some(table) = shared.filter(|_| other.state.is_live())
            && !found.iter().any(|overlap| overlap.job == other.id)
        {
            found.push(Overlap { table, job: other.id.clone(), state: Some(other.state) });
        }
    }
    Ok(found)
}

/// Everything that rows of the job end in, each once, sorted: all jobs take locks in one order.
pub(crate) fn tables(job: &Job) -> BTreeSet<TableName> {
    job.spec.graph.tables.iter().map(|table| table.name.clone()).collect()
}

/// A job that a lock names.
enum Holder {
    /// It runs, or is under way to somewhere.
    Living(Option<JobState>),
    /// It does not run now.
    Idle(Box<Job>),
    Gone,
}

async fn holder<S: TaskStore>(store: &S, id: &JobId) -> Stored<Holder> {
    match store.job(id).await {
        Ok(Some(job)) if job.state.is_live() => Ok(Holder::Living(Some(job.state))),
        Ok(Some(job)) => Ok(Holder::Idle(Box::new(job))),
        Ok(None) => Ok(Holder::Gone),
        // Written by a newer version, which knows better.
        Err(StoreError::Record(_)) => Ok(Holder::Living(None)),
        Err(error) => Err(error),
    }
}

async fn take_all<S: TaskStore + LockStore>(
    store: &S,
    job: &Job,
    may_share: &(impl Fn(&TableName) -> bool + Sync),
    lost: u32,
) -> Result<Vec<Overlap>, Refusal> {
    // Looks before it takes: a refusal then leaves no lock behind.
    let mut all = overlaps(store, job).await?;
    if let Some(overlap) = all.iter().find(|overlap| !may_share(&overlap.table)) {
        return Err(Refusal::Held(overlap.clone()));
    }
    for table in tables(job) {
        for overlap in take(store, job, &table, may_share(&table), lost).await? {
            if !all.contains(&overlap) {
                all.push(overlap);
            }
        }
    }
    Ok(all)
}

async fn take<S: TaskStore + LockStore>(
    store: &S,
    job: &Job,
    table: &TableName,
    may_share: bool,
    lost: u32,
) -> Result<Vec<Overlap>, Refusal> {
    let begun = Instant::now();
    let (mut crowd, mut seen) = (lost, None);
    while begun.elapsed() < BUSY_MAX {
        let Some(was) = store.lock_of(table).await? else {
            let own = Lock::of(table.clone(), vec![job.id.clone()]);
            if store.create_lock(&own).await? == own {
                return Ok(Vec::new());
            }
            continue;
        };
        let (mut living, mut idle) = (Vec::new(), Vec::new());
        for id in was.jobs.iter().filter(|id| **id != job.id) {
            match holder(store, id).await? {
                Holder::Living(state) => {
                    living.push(Overlap { table: table.clone(), job: id.clone(), state });
                }
                Holder::Idle(other) => idle.push(other),
                Holder::Gone => {}
            }
        }
        if let Some(overlap) = living.first().filter(|_| !may_share) {
            return Err(Refusal::Held(overlap.clone()));
        }
        let since = match seen.take() {
            Some((stamp, since)) if stamp == was.stamp => since,
            other => {
                crowd += u32::from(other.is_some());
                Instant::now()
            }
        };
        seen = Some((was.stamp.clone(), since));
        // A holder may be about to start, and then it is better to wait than to undo that.
        let may_start = idle.iter().any(|other| crowd > 0 || other.state == JobState::Planned);
        let patience = START_MAX * 2_u32.pow(crowd.min(DOUBLED_MAX));
        if may_start && since.elapsed() < patience {
            let pause = patience / LOOKS;
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            continue;
        }
        if pass_over(store, &idle).await? {
            let jobs = living.iter().map(|overlap| overlap.job.clone());
            let next = Lock::of(table.clone(), jobs.chain([job.id.clone()]).collect());
            if store.swap_lock(&was, &next).await? == Swap::Won {
                return Ok(living);
            }
        }
    }
    Err(Refusal::Busy(table.clone()))
}

/// Makes sure that none of these starts unless it takes the lock again. False when one changed.
async fn pass_over<S: TaskStore>(store: &S, idle: &[Box<Job>]) -> Stored<bool> {
    // One that is being deleted never starts.
    for job in idle.iter().filter(|job| job.state != JobState::Deleting) {
        if !matches!(store.swap_job(job, &job.changed()).await?, Swap::Won) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
#[path = "overlap_tests.rs"]
mod tests;
