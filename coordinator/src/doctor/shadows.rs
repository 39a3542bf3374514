//! Shadows that nobody needs: of jobs that have ended, and of no known job.
//!
//! A shadow of a job that goes on, or whose last task is quarantined, is never left over, and
//! neither is an old table that an exchange has just put under the shadow's name.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent, uuid_text};
use longshore_shared::sql;
use longshore_shared::store::{Stored, TaskStore};
use longshore_shared::task::{Job, JobId, JobState, ShadowName, StateName, TaskId};
use serde::Deserialize;
use uuid::Uuid;

use super::owners::{Leftover, Owner, Shadow, Staged, Why, jobs};
use crate::session::Session;

#[derive(Deserialize, Row)]
struct Listed {
    database: String,
    name: String,
    engine: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
    rows: Option<u64>,
    age_secs: u64,
}

/// All that are left over. One of an unknown job counts when it is older than `age`.
pub(crate) async fn find(session: &Session, age: Duration) -> Stored<Vec<Leftover>> {
    let server = &session.server;
    let all = list(server).await?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let jobs = jobs(session).await?;
    // Of unknown jobs only those where jobs of ours work too: others may be another installation's.
    let tables = jobs.values().flat_map(|job| &job.spec.graph.tables);
    let mut ours: HashSet<&str> = tables.map(|table| table.name.database.as_str()).collect();
    ours.insert(server.staging());
    let mut found = Vec::new();
    for listed in all {
        let Some(name) = ShadowName::parse(&listed.name) else { continue };
        let shadow = listed.shadow(name);
        let why = match why(session, &jobs, &shadow).await? {
            Some(Why::UnknownJob)
                if listed.age_secs < age.as_secs() || !ours.contains(&*listed.database) =>
            {
                None
            }
            why => why,
        };
        let Listed { database, name, engine, age_secs, .. } = listed;
        let staged = Staged { name, engine, age_secs };
        let owner = Owner::Shadow(shadow);
        found.extend(why.map(|why| Leftover { database, staged, owner, why }));
    }
    Ok(found)
}

async fn list(server: &Server) -> Result<Vec<Listed>, Failure> {
    retry_idempotent(|| server.call(sql::LIST_SHADOWS).fetch_all()).await
}

impl Listed {
    fn shadow(&self, name: ShadowName) -> Shadow {
        Shadow { name, uuid: self.uuid, rows: self.rows }
    }
}

/// Is it still left over, for the same reason, and as empty as it was?
pub(crate) async fn is_still(session: &Session, left: &Leftover, shadow: &Shadow) -> Stored<bool> {
    let all = list(&session.server).await?;
    let is_it = |now: &Listed| now.database == left.database && now.name == left.staged.name;
    let now = all.into_iter().find(is_it).map(|now| now.shadow(shadow.name.clone()));
    let may_go = |now: &Shadow| left.why != Why::UnknownJob || now.is_empty();
    if !now.is_some_and(|now| now.uuid == shadow.uuid && may_go(&now)) {
        return Ok(false);
    }
    let job = session.store.job(&shadow.name.job).await?;
    let jobs = job.into_iter().map(|job| (job.id.clone(), job)).collect();
    Ok(why(session, &jobs, shadow).await? == Some(left.why))
}

async fn why(
    session: &Session,
    jobs: &HashMap<JobId, Job>,
    shadow: &Shadow,
) -> Stored<Option<Why>> {
    let Some(job) = jobs.get(&shadow.name.job) else { return Ok(Some(Why::UnknownJob)) };
    let planned = job.spec.graph.tables.get(shadow.name.position);
    let planned = planned.and_then(|table| table.shadow.as_ref());
    // A failed job keeps them: it can be retried, or given up with `cancel`.
    let is_over =
        matches!(job.state, JobState::Completed | JobState::Cancelled | JobState::Deleting);
    if !is_over || planned.is_none_or(|planned| planned.uuid != shadow.uuid) {
        return Ok(None);
    }
    let last = TaskId { job: job.id.clone(), ordinal: job.tasks.saturating_sub(1) };
    let state = session.store.briefs(std::slice::from_ref(&last)).await?;
    let state = state.first().map(|brief| brief.state);
    let is_over = matches!(state, Some(StateName::Done | StateName::Failed | StateName::Pending));
    Ok(is_over.then_some(Why::JobOver))
}
