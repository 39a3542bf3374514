//! An earlier life of a task's row: what ClickHouse remembers of a task that Keeper has forgotten.
//!
//! A row that says "nothing was ever moved" may be older than the truth: Keeper was restored from a
//! copy, or somebody deleted the row and planned again. The truth is in two tables of ClickHouse. A
//! receipt says that the task was published, a manifest that it was about to be. Parts of staging
//! sets that are found in a target tell the same, where an older version wrote no manifest.

use clickhouse::Row;
use longshore_shared::clickhouse::{retry_idempotent, uuid_text};
use longshore_shared::ledger::{self, Unsettled};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::task::{Epoch, Line, Manifest, Part, StagedTable, TaskId};
use serde::Deserialize;
use uuid::Uuid;

use super::proof;
use crate::claim::Claim;
use crate::error::AttemptError;

/// Refuses to load a task that was published, or was about to be, in an earlier life of its row.
pub(crate) async fn refuse(claim: &Claim) -> Result<(), AttemptError> {
    let (task, server) = (&claim.task.id, &claim.server);
    if !ledger::is_remembered(server, task).await? {
        return Ok(());
    }
    let (receipt, unsettled) =
        tokio::join!(ledger::published(server, task), ledger::unsettled(server, task));
    if let Some(before) = receipt? {
        return Err(AttemptError::Loaded(task.clone(), Epoch(before.epoch)));
    }
    if let Some(Unsettled { epoch, manifest }) = unsettled? {
        let evidence = words(claim, &manifest).await?;
        return Err(AttemptError::Recalled { manifest: Box::new(manifest), past: epoch, evidence });
    }
    Ok(())
}

/// The same, where staging sets of older epochs are about to be dropped: nothing of them may be in a target.
pub(crate) async fn refuse_sets(claim: &Claim) -> Result<(), AttemptError> {
    refuse(claim).await?;
    refuse_moved(claim).await
}

/// What a person should know of parts that were about to be moved.
async fn words(claim: &Claim, manifest: &Manifest) -> Result<String, AttemptError> {
    let (mut parts, mut there) = (0, 0);
    for table in &manifest.tables {
        let uuids: Vec<Uuid> = table.parts().map(|part| part.uuid).collect();
        parts += uuids.len();
        there += proof::find(&claim.server, &table.target, &uuids).await?.published.len();
    }
    Ok(format!("{there} of the {parts} parts that it was about to move are found in their targets"))
}

#[derive(Deserialize, Row)]
struct StagedIdentity {
    staged: String,
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    rows: u64,
}

/// Nothing of an older set may be in a target: by the task's row it was never published.
async fn refuse_moved(claim: &Claim) -> Result<(), AttemptError> {
    let (server, task) = (&claim.server, &claim.task.id);
    let prefix = task.staging_prefix();
    let call = || server.call(sql::LIST_STAGED_UUIDS).param("staging", server.staging());
    let found: Vec<StagedIdentity> =
        retry_idempotent(|| call().param("prefix", &prefix).fetch_all()).await?;
    if found.is_empty() || planted(Bug::HashesAsSet) {
        return Ok(());
    }
    let uuids: Vec<Uuid> = found.iter().map(|part| part.identity).collect();
    let mut tables = Vec::new();
    for table in claim.job.spec.graph.tables.iter().filter(|table| table.keeps_rows()) {
        let target = table.destination();
        let moved = proof::find_settled(server, target, &uuids).await?.published;
        let of_target: Vec<&StagedIdentity> =
            found.iter().filter(|part| moved.contains_key(&part.identity)).collect();
        if !of_target.is_empty() {
            tables.push(staged(task, target.clone(), table.destination_uuid()?, &of_target));
        }
    }
    if tables.is_empty() {
        return Ok(());
    }
    let moved: usize = tables.iter().map(|table| table.parts().count()).sum();
    let evidence = format!("{moved} parts of its staging tables are found in its targets");
    let past = found.iter().filter_map(|part| task.staging_epoch(&part.staged)).max();
    // What it was to move as a whole is not known.
    let manifest = Manifest { tables, partial: true, ..Manifest::empty() };
    let past = past.unwrap_or_default();
    Err(AttemptError::Recalled { manifest: Box::new(manifest), past, evidence })
}

fn staged(
    task: &TaskId,
    target: longshore_shared::task::TableName,
    target_uuid: Uuid,
    found: &[&StagedIdentity],
) -> StagedTable {
    let name = &found[0].staged;
    let suffix = task
        .staging_epoch(name)
        .and_then(|epoch| name.strip_prefix(&task.staging_set(epoch)))
        .unwrap_or(name);
    let part =
        |part: &&StagedIdentity| Part { uuid: part.identity, hash: String::new(), rows: part.rows };
    let parts = found.iter().map(part).collect();
    StagedTable {
        suffix: suffix.to_owned(),
        uuid: Uuid::nil(),
        target,
        target_uuid,
        lines: vec![Line { partition: String::new(), parts }],
    }
}
