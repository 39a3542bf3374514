//! Publishing: the moves of the manifest, each proved, forward only.
//!
//! A MOVE is never sent blindly. OK proves nothing (a missing partition answers OK), an error
//! proves nothing (it may go on in the server), and a server killed inside a MOVE leaves parts in
//! both tables. So each staging table is reconciled by part identity until it is empty:
//! a staged part whose identity is in the target is dropped, what is left is moved.

use std::time::Duration;

use longshore_shared::clickhouse::{policy, retry_idempotent, task_delay};
use longshore_shared::faults;
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{StagingNames, identities};
use longshore_shared::task::{JobState, Manifest, StagedTable, TableName, TaskState};
use uuid::Uuid;

use super::durable::Round;
use super::moves::{self, Staged};
use super::proof::{Claimed, PartNames, Proved};
use super::{proof, receipt, staging};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::handover::{self, shadows};
use crate::worker::Worker;

/// Without its staging table only the identities in the target can prove the moves of a table.
const GONE: &str = "its staging table is gone";

/// Moves every line of the manifest, proves them all, writes the receipts. Returns the base rows.
pub(crate) async fn publish_manifest(worker: &Worker, claim: &Claim) -> Result<u64, AttemptError> {
    let TaskState::Publishing { manifest, .. } = &claim.task.progress.state else {
        return Err(AttemptError::NotOurs);
    };
    if manifest.partial {
        return Err(AttemptError::Unprovable(
            "only a part of what this task was to move is known: nothing proves the rest. Compare its rows with \
             the targets"
                .to_owned(),
        ));
    }
    // Receipts are written after every part was proved: an earlier owner died between them and its last word.
    let mut round = Round::begin();
    while !claim.loaded_here && ledger::is_received(&claim.server, &claim.task.id, manifest).await?
    {
        if round.is_synced(worker, claim).await? {
            return Ok(manifest.rows);
        }
    }
    announce(worker, claim, manifest).await?;
    let mut round = Round::begin();
    let names = loop {
        let names = move_all(worker, claim, manifest, round.is_first()).await?;
        if planted(Bug::ReceiptBeforeSync) || round.is_synced(worker, claim).await? {
            break names;
        }
    };
    let receipts = receipt::of(worker, claim, manifest, &names).await?;
    worker.edge(faults::RECEIPT_BEFORE).await?;
    let mut round = Round::begin();
    loop {
        retry_idempotent(|| ledger::append(&claim.server, &receipts)).await?;
        if round.is_synced(worker, claim).await? {
            break;
        }
    }
    worker.edge(faults::RECEIPT_AFTER).await?;
    Ok(manifest.rows)
}

/// Moves every line of the manifest and proves them all, however often the server has to be waited for.
/// Returns the names that the parts have in their targets.
async fn move_all(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
    is_first: bool,
) -> Result<Proved, AttemptError> {
    let mut tries = 0;
    loop {
        // Only right after our own load is it certain that nothing was moved yet.
        let is_fresh = claim.loaded_here && is_first && tries == 0;
        match publish(worker, claim, manifest, is_fresh).await {
            Err(AttemptError::Failure(failure)) if !policy(&failure).needs_operator() => {
                // Only forward: wait until the server is well again, for as long as we are trusted.
                tries += 1;
                tracing::warn!(error = %failure, tries, "publishing goes on after a pause");
                claim.hindrance.meets(&worker.store, &claim.task, &failure.message).await;
                tokio::time::sleep(task_delay(tries).min(Duration::from_secs(5))).await;
                worker.lease.check()?;
            }
            outcome => return outcome,
        }
    }
}

/// Writes down in ClickHouse what is about to be moved, before the first MOVE.
async fn announce(worker: &Worker, claim: &Claim, manifest: &Manifest) -> Result<(), AttemptError> {
    if manifest.lines() == 0 || planted(Bug::ForgetManifest) {
        return Ok(());
    }
    let (server, task) = (&claim.server, &claim.task.id);
    retry_idempotent(|| ledger::announce(server, task, claim.epoch(), &worker.id, manifest))
        .await?;
    worker.edge(faults::ANNOUNCE_AFTER).await
}

async fn publish(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
    is_first: bool,
) -> Result<Proved, AttemptError> {
    let server = &claim.server;
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    let targets: Vec<TableName> = manifest.tables.iter().map(|t| t.target.clone()).collect();
    let listed = async {
        // Right after its own load a worker knows its staging tables by their parts alone.
        if is_first { Ok(None) } else { staging::list_own(claim, names.prefix()).await.map(Some) }
    };
    let now = async { Ok(identities(server, &targets).await?) };
    let (there, identities) = tokio::try_join!(listed, now)?;
    let is_there = |table: &StagedTable, twin: &TableName| {
        there.as_ref().is_none_or(|there| {
            there.iter().any(|staged| staged.uuid == table.uuid && staged.name == twin.table)
        })
    };
    // One table that cannot be proved must not keep the others from being finished.
    let mut unproved: Vec<String> = Vec::new();
    let (mut open, mut gone) = (Vec::new(), Vec::new());
    let tables = if planted(Bug::FirstTableOnly) { 1 } else { manifest.tables.len() };
    for table in manifest.tables.iter().take(tables) {
        let twin = names.named(&table.suffix);
        match refuse_another(claim.job.state, table, &identities) {
            Err(AttemptError::Unprovable(words)) => unproved.push(words),
            refused => {
                refused?;
                if is_there(table, &twin) {
                    open.push(Staged::new(table, twin, manifest.taken_ms, !is_first));
                } else {
                    let seen = PartNames::new();
                    gone.push(Claimed { table, seen, was_seen: false, why: GONE });
                }
            }
        }
    }
    let mut step = 0;
    let mut claimed = moves::empty(worker, claim, open, &mut unproved, &mut step).await?;
    if is_first && claimed.iter().any(|claimed| !claimed.was_seen && claimed.table.rows() > 0) {
        // Nothing of what was just staged is there, or another server has answered at the address.
        let there = staging::list_own(claim, names.prefix()).await?;
        for claimed in &mut claimed {
            if there.iter().all(|staged| staged.uuid != claimed.table.uuid) {
                claimed.why = GONE;
            }
        }
    }
    claimed.extend(gone);
    let proved_parts = match proof::prove_all(server, &claimed).await {
        Err(AttemptError::Unprovable(words)) => {
            unproved.push(words);
            Proved::default()
        }
        proved => proved?,
    };
    if !unproved.is_empty() {
        // Not by the word of another server that answers at the address.
        claim.endpoint.check(None).await?;
        return Err(AttemptError::Unprovable(unproved.join("; ")));
    }
    shadows::rename_shadows(worker, claim, manifest).await?;
    for handover in &manifest.handovers {
        handover::hand_over(worker, claim, handover, is_first, &mut step).await?;
    }
    Ok(proved_parts)
}

/// A target that was dropped, exchanged or made again since the manifest was written is another
/// table: what was moved into the first is not in it, and nothing may be moved into it by guess.
fn refuse_another(
    job: JobState,
    table: &StagedTable,
    now: &[(TableName, Uuid)],
) -> Result<(), AttemptError> {
    match now.iter().find(|(name, _)| *name == table.target) {
        Some((_, uuid)) if *uuid == table.target_uuid => Ok(()),
        Some(_) => Err(AttemptError::Unprovable(format!(
            "{} was replaced by another table after the rows of this task were staged for it",
            table.target,
        ))),
        // It may come back as the same table, and then everything is as it was.
        None if job == JobState::Running => Err(AttemptError::TargetGone(table.target.clone())),
        None => Err(AttemptError::Unprovable(format!(
            "{} is gone after the rows of this task were staged for it",
            table.target,
        ))),
    }
}
