//! REPLACE PARTITION from a shadow, partition by partition.
//!
//! A REPLACE may be repeated while the shadow is unchanged, and a server that was killed in one
//! leaves old and new rows until it is. But a repetition takes away what others wrote into the
//! partition since, so one that is proved is not repeated.

use std::collections::HashSet;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, policy, retry_idempotent, task_delay};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Placed, placed};
use longshore_shared::sql;
use longshore_shared::task::{Handover, HandoverPartition, TableName};
use serde::Deserialize;

use super::{preflight, shadows, unfinished};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

#[derive(Deserialize, Row)]
struct Content {
    hash: String,
    is_active: u8,
}

/// Replaces every partition of the manifest.
pub(crate) async fn partitions(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    is_first: bool,
    step: &mut usize,
) -> Result<(), AttemptError> {
    let shadow = shadows::shadow_of(claim, handover);
    preflight::refuse_lost(claim, handover, &shadow).await?;
    for partition in &handover.partitions {
        let mut is_doubtful = !is_first;
        loop {
            worker.lease.check()?;
            let staged = contents(&claim.server, &shadow, &partition.id).await?;
            if !staged.iter().any(|part| part.is_active == 1) {
                // An older server would take the target's rows away without a word.
                return Err(AttemptError::Unprovable(format!(
                    "partition {} of {shadow} is gone: it held rows of this job",
                    partition.id
                )));
            }
            if is_doubtful && is_replaced(&claim.server, handover, partition, &staged).await? {
                break;
            }
            worker.edge(faults::REPLACE_BEFORE).await?;
            unfinished::refuse(&claim.server, &handover.target).await?;
            worker.lease.check()?;
            *step += 1;
            if replace(worker, claim, handover, &shadow, &partition.id, *step).await? {
                worker.edge(faults::REPLACE_AFTER).await?;
                break;
            }
            is_doubtful = true;
        }
    }
    Ok(())
}

/// Is it certain that this partition was replaced? The old parts are gone, and those of the shadow
/// were there.
async fn is_replaced(
    server: &Server,
    handover: &Handover,
    partition: &HandoverPartition,
    staged: &[Content],
) -> Result<bool, AttemptError> {
    let there = contents(server, &handover.target, &partition.id).await?;
    let Some(block) = partition.block else {
        // Nothing was there to be taken away: every part of the shadow must be seen.
        let active: HashSet<&str> = active(&there);
        return Ok(self::active(staged).is_subset(&active));
    };
    let blocks = placed(server, &handover.target).await?;
    let is_old = |b: &Placed| b.partition == partition.id && b.first_block <= block;
    if blocks.iter().any(is_old) && !planted(Bug::ReplaceOnce) {
        return Ok(false);
    }
    Ok(staged.iter().any(|part| there.iter().any(|seen| seen.hash == part.hash)))
}

fn active(parts: &[Content]) -> HashSet<&str> {
    parts.iter().filter(|part| part.is_active == 1).map(|part| part.hash.as_str()).collect()
}

async fn contents(
    server: &Server,
    table: &TableName,
    partition: &str,
) -> Result<Vec<Content>, AttemptError> {
    let call = || server.call(sql::LIST_HASHES).param("database", &table.database);
    let call = || call().param("table", &table.table).param("partition", partition);
    Ok(retry_idempotent(|| call().fetch_all()).await?)
}

/// Sends one REPLACE. False when it gave an error: then everything is looked at again.
async fn replace(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    shadow: &TableName,
    partition: &str,
    step: usize,
) -> Result<bool, AttemptError> {
    let id = claim.task.id.query(claim.epoch(), format_args!("replace-{step}"));
    let answer = claim
        .server
        .call(sql::REPLACE_PARTITION)
        .name("database", &handover.target.database)
        .name("target", &handover.target.table)
        .literal("partition", partition)
        .name("shadow_database", &shadow.database)
        .name("shadow", &shadow.table)
        .id(&id)
        .execute()
        .await;
    let Err(failure) = answer else { return Ok(true) };
    if failure.is_unknown() {
        // It may act later: the next epoch shuts it out, or waits for its end.
        return Err(AttemptError::Unsettled);
    }
    if policy(&failure).needs_operator() {
        return Err(failure.into());
    }
    claim.hindrance.meets(&worker.store, &claim.task, &failure.message).await;
    tracing::warn!(error = %failure, "a replacement gave an error, looking again");
    tokio::time::sleep(task_delay(1)).await;
    Ok(false)
}
