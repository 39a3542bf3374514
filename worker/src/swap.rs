//! The last task of a job that publishes at its end: it puts the shadows in the place of their targets.
//!
//! It is a task like any other: claimed, fenced, taken over. Its manifest names each target and its
//! shadow by UUID. What a target is at a moment is read from those UUIDs alone, so it does not
//! matter what was answered, or how often this was begun.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, policy, read, task_delay};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::table_now;
use longshore_shared::sql;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{
    Epoch, Handover, Job, Manifest, PublishMode, ShadowName, StateName, TableName, TaskId,
    kept_name,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::context::Worker;
use crate::late;
use crate::replace;
use crate::trouble::Trouble;
use crate::unfinished;

/// UNKNOWN_TABLE.
const UNKNOWN_TABLE: i32 = 60;
/// Each round is lost to one late RENAME of an earlier owner, and there are few of those.
const RENAME_TRIES: u32 = 5;

/// The task that publishes what all others have loaded; none in a job whose tasks append.
pub(crate) fn last_of(job: &Job) -> Option<TaskId> {
    let ordinal = job.tasks.checked_sub(1)?;
    job.spec.publish.mode.has_last_task().then(|| TaskId { job: job.id.clone(), ordinal })
}

/// Is this the task that publishes?
pub(crate) fn is_last(claim: &Claim) -> bool {
    last_of(&claim.job).as_ref() == Some(&claim.task.id)
}

#[derive(Deserialize, Row)]
struct Named {
    database: String,
    name: String,
    uuid: String,
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
) -> Result<(), Trouble> {
    for handover in manifest.handovers.iter().filter(|_| !planted(Bug::ExchangeUnfenced)) {
        let mut tries = 0;
        while !rename_older(worker, claim, handover).await? {
            tries += 1;
            if tries == RENAME_TRIES {
                return Err(Trouble::Unsettled);
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
) -> Result<bool, Trouble> {
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
            Err(Trouble::Failure(failure)) if failure.code() == Some(UNKNOWN_TABLE) => {
                return Ok(false);
            }
            renamed => renamed?,
        }
    }
    Ok(true)
}

/// The names of the two tables of a handover, with their UUIDs.
async fn find(server: &Server, handover: &Handover) -> Result<Vec<Found>, Trouble> {
    let databases = [&handover.target.database, &handover.database];
    let uuids = [handover.target_uuid.to_string(), handover.shadow_uuid.to_string()];
    let call = || server.call(sql::FIND_TABLES).list("databases", &databases);
    let rows: Vec<Named> = read(|| call().list("uuids", &uuids).fetch_all()).await?;
    Ok(rows
        .into_iter()
        .map(|row| Found {
            is_shadow: Uuid::parse_str(&row.uuid).ok() == Some(handover.shadow_uuid),
            name: TableName { database: row.database, table: row.name },
        })
        .collect())
}

/// Where a table of a handover is.
struct Found {
    name: TableName,
    is_shadow: bool,
}

impl std::ops::Deref for Found {
    type Target = TableName;
    fn deref(&self) -> &TableName {
        &self.name
    }
}

async fn rename(
    claim: &Claim,
    from: &TableName,
    to: &TableName,
    step: &str,
) -> Result<(), Trouble> {
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
        Err(failure) if failure.is_unknown() => Err(Trouble::Unsettled),
        answer => Ok(answer.map(drop)?),
    }
}

/// Brings one target and its shadow to the end of their way.
pub(crate) async fn hand_over(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    is_first: bool,
    step: &mut usize,
) -> Result<(), Trouble> {
    match handover.mode {
        PublishMode::Exchange => exchange(worker, claim, handover, step).await,
        _ => replace::partitions(worker, claim, handover, is_first, step).await,
    }
}

/// Exchanges, then gives the old table the name under which it is kept. Every turn looks first.
async fn exchange(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    step: &mut usize,
) -> Result<(), Trouble> {
    let job = claim.job.id.clone();
    let shadow = shadow_of(claim, handover);
    let kept = kept_name(&handover.target, &job);
    loop {
        worker.lease.check()?;
        *step += 1;
        let found = find(&claim.server, handover).await?;
        let new = found.iter().find(|found| found.is_shadow).map(|found| &found.name);
        let old = found.iter().find(|found| !found.is_shadow).map(|found| &found.name);
        if new == Some(&handover.target) {
            match old {
                Some(name) if *name == shadow => {
                    worker.edge(faults::KEEP_BEFORE).await?;
                    rename(claim, &shadow, &kept, &format!("keep-{step}")).await?;
                    worker.edge(faults::KEEP_AFTER).await?;
                    continue;
                }
                Some(name) if *name != kept => claim.remark(format!("the old table is {name}")),
                Some(_) => {}
                None => claim.remark("the old table was dropped by somebody".to_owned()),
            }
            return late::after(claim, handover, old).await;
        }
        if old != Some(&handover.target) {
            return Err(Trouble::Unprovable(format!(
                "{} {} after the plan was made",
                handover.target,
                if table_now(&claim.server, &handover.target).await?.is_some() {
                    "was replaced by another table"
                } else {
                    "is gone"
                }
            )));
        }
        match new {
            Some(name) if *name == shadow => {
                worker.edge(faults::EXCHANGE_BEFORE).await?;
                unfinished::refuse(&claim.server, &handover.target).await?;
                worker.lease.check()?;
                send_exchange(claim, handover, &shadow, *step).await?;
                worker.edge(faults::EXCHANGE_AFTER).await?;
            }
            // A power cut took back the exchange and not the rename that followed.
            Some(name) if *name == kept => {
                rename(claim, &kept, &shadow, &format!("back-{step}")).await?;
            }
            _ => {
                return Err(Trouble::Unprovable(format!(
                    "the shadow of {} with all rows of the job is gone: {shadow}",
                    handover.target
                )));
            }
        }
    }
}

/// Sends one EXCHANGE. Whatever else than OK it answers: it may act later, and a second one would
/// swap back, so the task goes on in a new epoch, behind a rename of the shadow.
async fn send_exchange(
    claim: &Claim,
    handover: &Handover,
    shadow: &TableName,
    step: usize,
) -> Result<(), Trouble> {
    let id = claim.task.id.query(claim.epoch(), format_args!("exchange-{step}"));
    let answer = claim
        .server
        .call(sql::EXCHANGE_TABLES)
        .name("database", &handover.target.database)
        .name("target", &handover.target.table)
        .name("shadow_database", &shadow.database)
        .name("shadow", &shadow.table)
        .id(&id)
        .execute()
        .await;
    let Err(failure) = answer else { return Ok(()) };
    if !failure.is_unknown() && policy(&failure).is_lasting() {
        return Err(failure.into());
    }
    tracing::warn!(error = %failure, "an exchange gave no result");
    tokio::time::sleep(task_delay(1)).await;
    Err(Trouble::Unsettled)
}

/// Drops the shadows when the last task is over: after a replacement they hold copies, and those of
/// a cancelled job are of no use. A failed job keeps them, so that it can be retried.
pub(crate) async fn drop_shadows(
    worker: &Worker,
    server: &Server,
    job: &Job,
    is_over: impl Fn(StateName) -> bool,
) -> Result<(), Trouble> {
    let Some(last) = last_of(job) else { return Ok(()) };
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
            if found.is_some_and(|found| found.destination_uuid() == shadow.uuid) {
                let call = || server.call(sql::DROP_TABLE).name("database", &name.database);
                read(|| call().name("table", &name.table).execute()).await?;
            }
        }
    }
    Ok(())
}
