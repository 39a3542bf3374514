//! What nobody needs any more: found here, told by `doctor`, removed by `gc`.
//!
//! Nothing of a task in publishing, in quarantine or in a worker's hands is ever left over. A set of
//! an epoch that is over stays over: epochs only grow, so a name found dead never lives again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, read};
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::store::{Stored, TaskBrief, TaskStore, WorkerRecord};
use longshore_shared::task::{Epoch, Job, JobId, JobState, ShadowName, StateName, TaskId};
use serde::{Deserialize, Serialize};

use super::shadows::{self, Shadow};
use crate::session::Session;

/// Marks of a rehearsal's staging set: `rehearsal_<12 hex digits>_…`.
const REHEARSAL: &str = "rehearsal_";
const MARK_CHARS: usize = 12;
/// Tasks asked for in one request.
const PAGE: usize = 500;

/// A table or view in the staging database.
#[derive(Debug, Clone, Deserialize, Row)]
pub(crate) struct Staged {
    pub(crate) name: String,
    pub(crate) engine: String,
    pub(crate) age_secs: u64,
}

/// Whose a staging table is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A task's attempt.
    Task(TaskId, Epoch),
    /// A job reads it instead of its source.
    Snapshot(JobId),
    /// A plan that was being made.
    Rehearsal,
    /// A job that publishes at its end.
    Shadow(Shadow),
    /// Not ours: never touched.
    Foreign,
}

/// Tells the owner from the name.
pub(crate) fn owner(name: &str) -> Owner {
    if let Some((task, epoch)) = TaskId::of_staging(name) {
        return Owner::Task(task, epoch);
    }
    if let Some(job) = JobId::of_snapshot(name) {
        return Owner::Snapshot(job);
    }
    let mark = name.strip_prefix(REHEARSAL).and_then(|rest| rest.split_once('_'));
    let is_mark = mark.is_some_and(|(mark, _)| {
        mark.len() == MARK_CHARS && mark.bytes().all(|symbol| symbol.is_ascii_hexdigit())
    });
    if is_mark { Owner::Rehearsal } else { Owner::Foreign }
}

/// Why something is not needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// Its task has ended.
    Ended,
    /// Its task waits for its next attempt, which makes a set of its own.
    Over,
    /// The job has no such task.
    NoTask,
    /// No job of these control tables; it may be another installation's.
    UnknownJob,
    /// A plan that was being made, long ago.
    Rehearsal,
    /// The job that read or filled it is over.
    JobOver,
}

impl Why {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "its task has ended",
            Self::Over => "an attempt that is over",
            Self::NoTask => "the job has no such task",
            Self::UnknownJob => "no job of these control tables",
            Self::Rehearsal => "a plan that was given up",
            Self::JobOver => "its job is over",
        }
    }
}

/// Is a staging table of a task left over?
pub(crate) fn why(task: Option<(StateName, Epoch)>, epoch: Epoch) -> Option<Why> {
    match task {
        None => Some(Why::NoTask),
        // A newer epoch than the row's means that the row was read before a claim.
        Some((_, now)) if epoch > now => None,
        Some((StateName::Done | StateName::Failed, _)) => Some(Why::Ended),
        Some((StateName::Pending, _)) => Some(Why::Over),
        // A worker acts on it, or a person must: evidence.
        Some((StateName::Claimed | StateName::Publishing | StateName::Quarantined, _)) => None,
    }
}

/// Is a snapshot left over? That of a job that failed stays: its tasks may be tried again.
pub(crate) fn snapshot_why(job: Option<JobState>) -> Option<Why> {
    match job {
        None => Some(Why::UnknownJob),
        Some(JobState::Completed | JobState::Cancelled | JobState::Deleting) => Some(Why::JobOver),
        Some(_) => None,
    }
}

/// A staging table or view clone that nobody needs.
#[derive(Debug, Clone)]
pub(crate) struct Leftover {
    /// The database that it is in.
    pub(crate) database: String,
    pub(crate) staged: Staged,
    pub(crate) owner: Owner,
    pub(crate) why: Why,
}

impl Leftover {
    /// Is it left to a person? It stands under a shadow's name, no job is known that filled it, and
    /// it may hold the only copy of a user's rows.
    pub(crate) fn needs_a_person(&self) -> bool {
        let Owner::Shadow(shadow) = &self.owner else { return false };
        self.why == Why::UnknownJob && !shadow.is_empty()
    }

    /// Its name, with the database of a shadow: those may be anywhere.
    pub(crate) fn table(&self) -> String {
        match self.owner {
            Owner::Shadow(_) => format!("{}.{}", self.database, self.staged.name),
            _ => self.staged.name.clone(),
        }
    }
}

/// What is in the staging database.
pub(crate) struct Found {
    /// Nobody needs these.
    pub(crate) leftovers: Vec<Leftover>,
    /// Tables whose names are not ours.
    pub(crate) foreign: Vec<String>,
}

/// Looks through the staging database. A rehearsal counts when it is older than `age`, and so
/// does a set of an unknown job.
pub(crate) async fn staging(session: &Session, age: Duration) -> Stored<Found> {
    let server = &session.server;
    let all: Vec<Staged> =
        read(|| server.call(sql::LIST_LEFTOVERS).param("staging", server.staging()).fetch_all())
            .await?;
    let mut found = Found { leftovers: shadows::find(session, age).await?, foreign: Vec::new() };
    let mut of_tasks: Vec<(Staged, TaskId, Epoch)> = Vec::new();
    let mut of_jobs: Vec<(Staged, JobId)> = Vec::new();
    let is_old = |staged: &Staged| staged.age_secs >= age.as_secs();
    for staged in all {
        match owner(&staged.name) {
            // They are found in all databases at once.
            Owner::Foreign if ShadowName::parse(&staged.name).is_some() => {}
            Owner::Foreign => found.foreign.push(staged.name),
            Owner::Rehearsal if is_old(&staged) => {
                let (owner, why) = (Owner::Rehearsal, Why::Rehearsal);
                let database = server.staging().to_owned();
                found.leftovers.push(Leftover { database, staged, owner, why });
            }
            Owner::Shadow(_) | Owner::Rehearsal => {}
            Owner::Snapshot(job) => of_jobs.push((staged, job)),
            Owner::Task(task, epoch) => of_tasks.push((staged, task, epoch)),
        }
    }
    if of_tasks.is_empty() && of_jobs.is_empty() {
        return Ok(found);
    }
    // Tasks are read after the list: whatever has ended by then was over when it was listed.
    let ids: Vec<TaskId> = of_tasks.iter().map(|(_, task, _)| task.clone()).collect();
    let tasks = tasks(session, ids).await?;
    let jobs = jobs(session).await?;
    let mut evidence: HashSet<TaskId> = HashSet::new();
    let known: HashSet<&JobId> = of_tasks.iter().map(|(_, task, _)| &task.job).collect();
    for job in known.into_iter().filter_map(|job| jobs.get(job)) {
        evidence.extend(ledger::unsettled_tasks(server, &job.id).await?);
    }
    for (staged, task, epoch) in of_tasks {
        // Whatever its row says: rows of it may be in a target.
        if evidence.contains(&task) && !planted(Bug::SweepEvidence) {
            continue;
        }
        let why = match jobs.get(&task.job) {
            None => Some(Why::UnknownJob).filter(|_| is_old(&staged)),
            // A task that should be there is not: a person looks first.
            Some(job) if task.ordinal < job.tasks && !tasks.contains_key(&task) => None,
            Some(_) => why(tasks.get(&task).map(|b| (b.state, Epoch(b.epoch))), epoch),
        };
        if let Some(why) = why {
            let (database, owner) = (server.staging().to_owned(), Owner::Task(task, epoch));
            found.leftovers.push(Leftover { database, staged, owner, why });
        }
    }
    for (staged, job) in of_jobs {
        let why = snapshot_why(jobs.get(&job).map(|job| job.state));
        if let Some(why) = why.filter(|why| *why != Why::UnknownJob || is_old(&staged)) {
            let (database, owner) = (server.staging().to_owned(), Owner::Snapshot(job));
            found.leftovers.push(Leftover { database, staged, owner, why });
        }
    }
    Ok(found)
}

/// Some tasks by key.
pub(crate) async fn tasks(
    session: &Session,
    mut ids: Vec<TaskId>,
) -> Stored<HashMap<TaskId, TaskBrief>> {
    ids.sort();
    ids.dedup();
    let mut found = HashMap::new();
    for page in ids.chunks(PAGE) {
        let briefs = session.store.briefs(page).await?;
        found.extend(briefs.into_iter().map(|brief| (brief.id.clone(), brief)));
    }
    Ok(found)
}

/// All jobs by id.
pub(crate) async fn jobs(session: &Session) -> Stored<HashMap<JobId, Job>> {
    Ok(session.store.jobs().await?.into_iter().map(|job| (job.id.clone(), job)).collect())
}

/// Workers whose lease lapsed longer ago than `age`: they died, and nobody signed them off.
pub(crate) async fn workers(session: &Session, age: Duration) -> Stored<Vec<WorkerRecord>> {
    let mut workers = session.store.workers().await?;
    workers.retain(|worker| is_stale(worker, age));
    workers.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(workers)
}

/// Did this worker die long ago?
pub(crate) fn is_stale(worker: &WorkerRecord, age: Duration) -> bool {
    worker.has_lapsed() && u128::try_from(worker.age_ms).unwrap_or(0) > age.as_millis()
}

/// A running statement of a task.
#[derive(Debug, Clone, Deserialize, Row)]
pub(crate) struct Running {
    pub(crate) query_id: String,
    #[allow(dead_code)]
    pub(crate) user: String,
    pub(crate) elapsed: f64,
    pub(crate) read_rows: u64,
    pub(crate) written_rows: u64,
}

/// Running statements whose id begins so; all of Longshore's with an empty prefix.
pub(crate) async fn running(server: &Server, prefix: &str) -> Result<Vec<Running>, Failure> {
    read(|| server.call(sql::LIST_OWN_QUERIES).param("prefix", prefix).fetch_all()).await
}

/// Running statements of this installation's tasks that belong to no live worker's epoch. Another
/// installation on the same server has tasks of its own: they are not known here and not ours to judge.
pub(crate) async fn ownerless(session: &Session) -> Stored<Vec<Running>> {
    let running = running(&session.server, "").await?;
    if running.is_empty() {
        return Ok(running);
    }
    let ids = running.iter().filter_map(|query| TaskId::of_query(&query.query_id));
    let tasks = tasks(session, ids.map(|(task, _, _)| task).collect()).await?;
    let workers: HashMap<String, bool> = session
        .store
        .workers()
        .await?
        .into_iter()
        .map(|worker| (worker.id.0.clone(), !worker.has_lapsed()))
        .collect();
    let is_live = |query: &Running| {
        let Some((task, epoch, _)) = TaskId::of_query(&query.query_id) else { return true };
        tasks.get(&task).is_none_or(|brief| {
            let lives = workers.get(&brief.worker.0).copied().unwrap_or(false);
            brief.state.is_owned() && brief.epoch == epoch.0 && lives
        })
    };
    Ok(running.into_iter().filter(|query| !is_live(query)).collect())
}

#[derive(Deserialize, Row)]
struct JobRows {
    job: String,
    rows: u64,
}

/// Jobs that have rows in `tasks` or `cursors` and none in `jobs`, with the number of task rows.
/// Lists every task key when `deep`.
pub(crate) async fn unknown_rows(
    session: &Session,
    jobs: &HashMap<JobId, Job>,
    deep: bool,
) -> Result<BTreeMap<String, u64>, Failure> {
    let server = &session.server;
    let mut unknown = BTreeMap::new();
    for statement in [Some(sql::COUNT_CURSOR_ROWS), deep.then_some(sql::COUNT_TASK_ROWS)] {
        let Some(statement) = statement else { continue };
        let rows: Vec<JobRows> =
            read(|| server.call(statement).name("control", server.control()).fetch_all()).await?;
        let is_known =
            |row: &JobRows| row.job.parse::<JobId>().is_ok_and(|id| jobs.contains_key(&id));
        let counts = statement.name == sql::COUNT_TASK_ROWS.name;
        for row in rows.into_iter().filter(|row| !is_known(row)) {
            let count = unknown.entry(row.job).or_insert(0);
            *count += if counts { row.rows } else { 0 };
        }
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_is_left_over() {
        let at = |state, now, epoch| why(Some((state, Epoch(now))), Epoch(epoch));
        assert_eq!(at(StateName::Done, 2, 2), Some(Why::Ended));
        assert_eq!(at(StateName::Failed, 2, 1), Some(Why::Ended));
        assert_eq!(at(StateName::Pending, 2, 2), Some(Why::Over));
        // A claim that we did not see yet.
        assert_eq!(at(StateName::Pending, 2, 3), None);
        assert_eq!(at(StateName::Done, 2, 3), None);
        for state in [StateName::Claimed, StateName::Publishing, StateName::Quarantined] {
            for epoch in 1..=3 {
                assert_eq!(at(state, 2, epoch), None, "{state:?} {epoch}");
            }
        }
        assert_eq!(why(None, Epoch(1)), Some(Why::NoTask));
    }

    #[test]
    fn names_of_others_are_never_ours() {
        assert_eq!(owner("rehearsal_0123456789ab_0_events"), Owner::Rehearsal);
        assert_eq!(owner("rehearsal_0123456789ab_snapshot"), Owner::Rehearsal);
        let job = "0123456789abcdef".parse().unwrap();
        assert_eq!(owner("0123456789abcdef_snapshot_0"), Owner::Snapshot(job));
        for foreign in ["rehearsal_of_my_band", "rehearsal_0123456789ab", "events", "0123_0_e1_0_x"]
        {
            assert_eq!(owner(foreign), Owner::Foreign, "{foreign}");
        }
        assert!(matches!(owner("0123456789abcdef_0000001_e1_v0_mv"), Owner::Task(_, Epoch(1))));
    }
}
