//! What nobody needs any more: found here, told by `doctor`, removed by `gc`.
//!
//! Nothing of a task in publishing, in quarantine or in a worker's hands is ever left over. A set of
//! an epoch that is over stays over: epochs only grow, so a name found dead never lives again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::store::{Stored, TaskBrief, TaskStore, WorkerRecord};
use longshore_shared::task::{Epoch, Job, JobId, JobState, ShadowName, StateName, TaskId};
use serde::Deserialize;

use super::owners::{Leftover, Owner, Staged, Why, jobs, owner};
use super::shadows;
use crate::session::Session;

/// Tasks asked for in one request.
const PAGE: usize = 500;

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
    let all: Vec<Staged> = retry_idempotent(|| {
        server.call(sql::LIST_LEFTOVERS).param("staging", server.staging()).fetch_all()
    })
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
    retry_idempotent(|| server.call(sql::LIST_OWN_QUERIES).param("prefix", prefix).fetch_all())
        .await
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
        let rows: Vec<JobRows> = retry_idempotent(|| {
            server.call(statement).name("control", server.control()).fetch_all()
        })
        .await?;
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
