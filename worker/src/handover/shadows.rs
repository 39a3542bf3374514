//! The shadows of a job that publishes at its end: their names in an epoch, where they are, and their end.

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Server, retry_idempotent, uuid_text};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::table_now;
use longshore_shared::sql;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Epoch, Handover, Job, Manifest, ShadowName, StateName, TableName};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Each round is lost to one late RENAME of an earlier owner, and there are few of those.
const RENAME_TRIES: u32 = 5;

#[derive(Deserialize, Row)]
struct Named {
    database: String,
    name: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
}

/// The shadow's name in this epoch.
pub(crate) fn shadow_of(claim: &Claim, handover: &Handover) -> TableName {
    let epoch = if planted(Bug::ExchangeUnfenced) { Epoch(0) } else { claim.epoch() };
    handover.shadow(&claim.job.id, epoch)
}

/// Gives the tables that stand under a shadow's name the name of this epoch: a late EXCHANGE or
/// REPLACE of an older epoch finds no table then.
pub(crate) async fn rename_shadows(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
) -> Result<(), AttemptError> {
    for handover in manifest.handovers.iter().filter(|_| !planted(Bug::ExchangeUnfenced)) {
        let mut tries = 0;
        while !rename_older(worker, claim, handover).await? {
            tries += 1;
            if tries == RENAME_TRIES {
                return Err(AttemptError::Unsettled);
            }
        }
    }
    Ok(())
}

/// One look; false when a table was renamed by somebody else meanwhile.
async fn rename_older(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
) -> Result<bool, AttemptError> {
    let (job, epoch) = (&claim.job.id, claim.epoch());
    for found in find(&claim.server, handover).await? {
        let shadow = ShadowName::parse(&found.table);
        let is_older = found.database == handover.database
            && shadow.is_some_and(|name| {
                name.job == *job && name.position == handover.position && name.epoch < epoch
            });
        if !is_older {
            continue;
        }
        worker.lease.check()?;
        let name = handover.shadow(job, epoch);
        match rename(claim, &found, &name, "rename").await {
            Err(AttemptError::Failure(failure)) if failure.code() == Some(Code::UNKNOWN_TABLE) => {
                return Ok(false);
            }
            renamed => renamed?,
        }
    }
    Ok(true)
}

/// The names of the two tables of a handover, with their UUIDs.
pub(crate) async fn find(server: &Server, handover: &Handover) -> Result<Vec<Found>, AttemptError> {
    let databases = [&handover.target.database, &handover.database];
    let uuids = [handover.target_uuid.to_string(), handover.shadow_uuid.to_string()];
    let call = || server.call(sql::FIND_TABLES).list("databases", &databases);
    let rows: Vec<Named> = retry_idempotent(|| call().list("uuids", &uuids).fetch_all()).await?;
    Ok(rows
        .into_iter()
        .map(|row| Found {
            is_shadow: row.uuid == handover.shadow_uuid,
            name: TableName { database: row.database, table: row.name },
        })
        .collect())
}

/// Where a table of a handover is.
pub(crate) struct Found {
    pub(crate) name: TableName,
    pub(crate) is_shadow: bool,
}

impl std::ops::Deref for Found {
    type Target = TableName;
    fn deref(&self) -> &TableName {
        &self.name
    }
}

pub(crate) async fn rename(
    claim: &Claim,
    from: &TableName,
    to: &TableName,
    step: &str,
) -> Result<(), AttemptError> {
    let id = claim.task.id.query(claim.epoch(), step);
    let answer = claim
        .server
        .call(sql::MOVE_TABLE)
        .name("database", &from.database)
        .name("from", &from.table)
        .name("to_database", &to.database)
        .name("to", &to.table)
        .id(&id)
        .execute()
        .await;
    match answer {
        Err(failure) if failure.is_unknown() => Err(AttemptError::Unsettled),
        answer => Ok(answer.map(drop)?),
    }
}

/// Drops the shadows when the last task is over: after a replacement they hold copies, and those of
/// a cancelled job are of no use. A failed job keeps them, so that it can be retried.
pub(crate) async fn drop_shadows(
    worker: &Worker,
    server: &Server,
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<(), AttemptError> {
    let Some(last) = job.last_task() else { return Ok(()) };
    let task = worker.store.task(&last).await?;
    let Some(task) = task.filter(|task| is_over(task.progress.state.name())) else {
        return Ok(());
    };
    for (position, table) in job.spec.graph.tables.iter().enumerate() {
        let Some(shadow) = &table.shadow else { continue };
        // Only the very table that tasks filled, and only under a shadow's name: an exchanged one is the target.
        for epoch in [task.progress.epoch, Epoch(0)] {
            let name = ShadowName::full(&job.id, position, &table.name.table, epoch);
            let name = TableName { database: shadow.name.database.clone(), table: name };
            let found = table_now(server, &name).await?;
            if found.is_some_and(|found| found.uuid == Some(shadow.uuid)) {
                let call = || server.call(sql::DROP_TABLE).name("database", &name.database);
                retry_idempotent(|| call().name("table", &name.table).execute()).await?;
            }
        }
    }
    Ok(())
}
