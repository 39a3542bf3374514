//! Publishing: the moves of the manifest, each proved, forward only.
//!
//! A MOVE is never sent blindly. OK proves nothing (a missing partition answers OK), an error
//! proves nothing (it may go on in the server), and a server killed inside a MOVE leaves parts in
//! both tables. So each staging table is reconciled by part identity until it is empty:
//! a staged part whose identity is in the target is dropped, what is left is moved.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Server, policy, retry_idempotent, task_delay};
use longshore_shared::faults;
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{StagingNames, identities};
use longshore_shared::sql;
use longshore_shared::task::{JobState, Manifest, StagedTable, TableName, TaskState};
use tokio::time::Instant;
use uuid::Uuid;

use super::durable::Round;
use super::staging::{self, StagedPart};
use super::{proof, receipt};
use crate::claim::Claim;
use crate::drift;
use crate::error::AttemptError;
use crate::handover::{self, shadows};
use crate::worker::Worker;

/// Between two looks for what a failed MOVE left. The server clears it after `cleanup_delay_period`
/// (30 s) at the earliest and `max_cleanup_delay_period` (5 minutes) at the latest.
const CLEANUP_PAUSE: Duration = Duration::from_secs(1);
/// A server may list merged parts for a minute only (`old_parts_lifetime`).
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Moves every line of the manifest, proves them all, writes the receipts. Returns the base rows.
pub(crate) async fn forward(worker: &Worker, claim: &Claim) -> Result<u64, AttemptError> {
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
    loop {
        move_all(worker, claim, manifest, round.is_first()).await?;
        if planted(Bug::ReceiptBeforeSync) || round.is_synced(worker, claim).await? {
            break;
        }
    }
    let receipts = receipt::of(worker, claim, manifest).await?;
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
async fn move_all(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
    is_first: bool,
) -> Result<(), AttemptError> {
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
) -> Result<(), AttemptError> {
    let server = &claim.server;
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    let there = staging::list_own(claim, names.prefix()).await?;
    let mut step = 0;
    let targets: Vec<TableName> = manifest.tables.iter().map(|t| t.target.clone()).collect();
    let identities = identities(server, &targets).await?;
    let tables = if planted(Bug::FirstTableOnly) { 1 } else { manifest.tables.len() };
    // One table that cannot be proved must not keep the others from being finished.
    let mut unproved: Vec<String> = Vec::new();
    for table in manifest.tables.iter().take(tables) {
        let finished = async {
            refuse_another(claim.job.state, table, &identities)?;
            let twin = names.named(&table.suffix);
            if !there.iter().any(|staged| staged.uuid == table.uuid && staged.name == twin.table) {
                // Without the twin only the identities in the target can prove the moves.
                let why = "its staging table is gone";
                return proof::everything(server, table, &HashSet::new(), why).await;
            }
            let mut staged = Staged {
                table,
                twin,
                taken_ms: manifest.taken_ms,
                in_doubt: !is_first,
                seen: HashSet::new(),
                looked: Instant::now(),
            };
            move_table(worker, claim, &mut staged, &mut step).await
        };
        match finished.await {
            Err(AttemptError::Unprovable(words)) => unproved.push(words),
            finished => finished?,
        }
    }
    if !unproved.is_empty() {
        return Err(AttemptError::Unprovable(unproved.join("; ")));
    }
    shadows::rename_shadows(worker, claim, manifest).await?;
    for handover in &manifest.handovers {
        handover::hand_over(worker, claim, handover, is_first, &mut step).await?;
    }
    Ok(())
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

/// A staging table that is being emptied into its target.
struct Staged<'a> {
    table: &'a StagedTable,
    twin: TableName,
    taken_ms: i64,
    /// A MOVE whose end nobody saw may have been sent.
    in_doubt: bool,
    /// Identities that were seen in the target: what has been seen there is moved, for good.
    seen: HashSet<Uuid>,
    /// When the target was last asked for them.
    looked: Instant,
}

impl Staged<'_> {
    /// Many moves may take longer than the server lists merged parts: what was moved so far is looked for.
    async fn look(&mut self, claim: &Claim) -> Result<(), AttemptError> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        let all = self.table.parts().map(|part| part.uuid);
        let unseen: Vec<Uuid> = all.filter(|uuid| !self.seen.contains(uuid)).collect();
        self.looked = Instant::now();
        self.seen.extend(proof::find(&claim.server, &self.table.target, &unseen).await?.published);
        Ok(())
    }
}

/// Reconciles one staging table until it is empty, then asks the target for every part of it.
async fn move_table(
    worker: &Worker,
    claim: &Claim,
    staged: &mut Staged<'_>,
    step: &mut usize,
) -> Result<(), AttemptError> {
    loop {
        let parts = staging::parts(&claim.server, &staged.twin).await?;
        if parts.is_empty() {
            let why = "its staging table is empty";
            return proof::everything(&claim.server, staged.table, &staged.seen, why).await;
        }
        refuse_foreign(staged.table, &parts, &staged.twin)?;
        if staged.in_doubt && !planted(Bug::MoveBlindly) {
            let uuids: Vec<Uuid> = parts.iter().map(|part| part.uuid).collect();
            let seen = proof::find(&claim.server, &staged.table.target, &uuids).await?;
            staged.seen.extend(&seen.published);
            if !seen.published.is_empty() {
                drop_published(worker, &claim.server, &staged.twin, &parts, &seen.published)
                    .await?;
                continue;
            }
            if !seen.rolled_back.is_empty() {
                wait_for_cleanup(worker, claim, staged, &seen.rolled_back).await?;
                continue;
            }
            proof::refuse_late(claim, staged.table, staged.taken_ms).await?;
        }
        let partitions: BTreeSet<&str> =
            parts.iter().map(|part| part.partition_id.as_str()).collect();
        for partition in partitions {
            worker.edge(faults::MOVE_BEFORE).await?;
            *step += 1;
            // Whatever it answers: what is still staged afterwards is looked for before it is moved again.
            staged.in_doubt = true;
            if !move_partition(worker, claim, staged, partition, *step).await? {
                break;
            }
            worker.edge(faults::MOVE_AFTER).await?;
            staged.look(claim).await?;
        }
    }
}

/// Sends one MOVE. False when it gave an error: then everything is looked at again.
async fn move_partition(
    worker: &Worker,
    claim: &Claim,
    staged: &Staged<'_>,
    partition: &str,
    step: usize,
) -> Result<bool, AttemptError> {
    let id = claim.task.id.query(claim.epoch(), format_args!("move-{step}"));
    let (twin, target) = (&staged.twin, &staged.table.target);
    let answer = claim
        .server
        .call(sql::MOVE_PARTITION)
        .name("staging", &twin.database)
        .name("table", &twin.table)
        .literal("partition", partition)
        .name("database", &target.database)
        .name("target", &target.table)
        .id(&id)
        .execute()
        .await;
    let Err(failure) = answer else {
        claim.hindrance.passes(&worker.store, &claim.task).await;
        return Ok(true);
    };
    if failure.is_unknown() {
        // It may be running, on its way still, or half done by a server that died. The next epoch
        // waits for its end, and shuts out what arrives later.
        return Err(AttemptError::Unsettled);
    }
    if planted(Bug::DropOnFailure) {
        let call = claim.server.call(sql::DROP_TABLE);
        call.name("database", &twin.database).name("table", &twin.table).execute().await?;
    }
    wait_or_stop(worker, claim, &failure).await?;
    Ok(false)
}

/// Waits until the server has cleared what a failed MOVE left in the target.
///
/// A server that dies before would bring those parts back as parts of the target: while they are on
/// disk, moving the same rows again could publish them twice.
async fn wait_for_cleanup(
    worker: &Worker,
    claim: &Claim,
    staged: &Staged<'_>,
    remains: &HashSet<Uuid>,
) -> Result<(), AttemptError> {
    let (table, parts) = (&staged.table.target, remains.len());
    tracing::warn!(%table, parts, "a move was rolled back: waits until the server has cleared its parts");
    let remains: Vec<Uuid> = remains.iter().copied().collect();
    while !proof::find(&claim.server, table, &remains).await?.rolled_back.is_empty() {
        worker.lease.check()?;
        let cause = format!(
            "a move was rolled back, and the server has not cleared {parts} of its parts in {table} yet; \
             that takes five minutes at most"
        );
        claim.hindrance.meets(&worker.store, &claim.task, &cause).await;
        tokio::time::sleep(CLEANUP_PAUSE).await;
    }
    Ok(())
}

/// Drops the staged twins of parts that are in the target already: a server was killed in a MOVE.
async fn drop_published(
    worker: &Worker,
    server: &Server,
    twin: &TableName,
    staged: &[StagedPart],
    published: &HashSet<Uuid>,
) -> Result<(), AttemptError> {
    let all = planted(Bug::OnePartForAll);
    for part in staged.iter().filter(|part| all || published.contains(&part.uuid)) {
        tracing::warn!(part = part.name, "already in the target: its staged twin is dropped");
        worker.lease.check()?;
        server
            .call(sql::DROP_PART)
            .name("staging", &twin.database)
            .name("table", &twin.table)
            .literal("part", &part.name)
            .execute()
            .await?;
    }
    Ok(())
}

/// A failed MOVE is looked at again, unless the failure is one that a person has to mend.
async fn wait_or_stop(
    worker: &Worker,
    claim: &Claim,
    failure: &Failure,
) -> Result<(), AttemptError> {
    if policy(failure).needs_operator() {
        // "Tables have different structure" does not say what was altered.
        drift::schema(claim).await?;
        return Err(failure.clone().into());
    }
    tracing::warn!(error = %failure, "a move gave an error, reconciling");
    claim.hindrance.meets(&worker.store, &claim.task, &failure.message).await;
    tokio::time::sleep(task_delay(1)).await;
    worker.lease.check()
}

/// Nobody but this task writes into its twins; other parts there mean a foreign hand.
fn refuse_foreign(
    table: &StagedTable,
    staged: &[StagedPart],
    twin: &TableName,
) -> Result<(), AttemptError> {
    let known: HashSet<Uuid> = table.parts().map(|part| part.uuid).collect();
    match staged.iter().find(|part| !known.contains(&part.uuid)) {
        None => Ok(()),
        Some(part) => Err(AttemptError::Unprovable(format!(
            "part {} of {twin} is not in the manifest: somebody else wrote or merged there",
            part.name
        ))),
    }
}
