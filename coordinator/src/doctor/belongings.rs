//! The tables that belong to one job that is over: staging sets, snapshots and shadows.

use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::sql;
use longshore_shared::store::Stored;
use longshore_shared::task::Job;

use super::owners::{Owner, Staged, owner};
use super::shadows;
use crate::session::Session;
use crate::ui::error::Error;

/// What became of them.
pub(crate) struct Dropped {
    /// Names of the tables that are gone.
    pub(crate) tables: Vec<String>,
    /// Addresses of servers of the job that do not answer. Tables of the job on those servers are not dropped.
    pub(crate) away: Vec<String>,
}

/// Drops all of them on every server of a job, and tells their names. For a job on which nobody
/// acts any more.
pub(crate) async fn drop_all(session: &Session, job: &Job) -> Result<Dropped, Error> {
    let (others, away) = session.servers_beside(std::slice::from_ref(job)).await?;
    let mut tables = Vec::new();
    for session in std::iter::once(session).chain(&others) {
        tables.extend(drop_there(session, job).await?);
    }
    Ok(Dropped { tables, away })
}

async fn drop_there(session: &Session, job: &Job) -> Stored<Vec<String>> {
    let server = &session.server;
    let staged: Vec<Staged> = retry_idempotent(|| {
        server.call(sql::LIST_LEFTOVERS).param("staging", server.staging()).fetch_all()
    })
    .await?;
    let is_ours = |staged: &Staged| match owner(&staged.name) {
        Owner::Task(task, _) => task.job == job.id,
        Owner::Snapshot(of) => of == job.id,
        Owner::Rehearsal | Owner::Shadow(_) | Owner::Foreign => false,
    };
    let staging = server.staging().to_owned();
    let mut ours: Vec<(String, Staged)> =
        staged.into_iter().filter(is_ours).map(|staged| (staging.clone(), staged)).collect();
    // An old table that an exchange has put under a shadow's name is none of them.
    let shadows = shadows::find(session, Duration::ZERO).await?;
    ours.extend(
        shadows
            .into_iter()
            .filter(|left| matches!(&left.owner, Owner::Shadow(shadow) if shadow.is_of(&job.id)))
            .map(|left| (left.database, left.staged)),
    );
    // Views first: what they fire on goes after them.
    ours.sort_by_key(|(_, staged)| staged.engine != "MaterializedView");
    for (database, staged) in &ours {
        drop_staged(server, database, staged).await?;
    }
    Ok(ours.into_iter().map(|(database, staged)| format!("{database}.{}", staged.name)).collect())
}

/// Drops one table or view that belongs to nobody any more.
pub(crate) async fn drop_staged(
    server: &Server,
    database: &str,
    staged: &Staged,
) -> Result<(), Failure> {
    let is_view = staged.engine == "MaterializedView";
    let statement = if is_view { sql::DROP_VIEW } else { sql::DROP_TABLE };
    let call = || server.call(statement).name("database", database).name("table", &staged.name);
    retry_idempotent(|| call().execute()).await?;
    Ok(())
}
