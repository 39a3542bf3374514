//! What the last task asks before it publishes: is everything loaded, and is the target as planned?

use std::collections::BTreeMap;

use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{GraphTable, Placed, placed, table_now};
use longshore_shared::store::{TaskStore, segment_tasks};
use longshore_shared::task::{
    Handover, HandoverPartition, LateRows, Manifest, OtherPartitions, PublishMode, TableName,
    Tally, kept_name,
};

use super::{late_rows, unfinished};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;
use crate::{drift, server_clock};

/// Partitions named in a message.
const SHOWN_MAX: usize = 5;

/// Checks that everything is loaded and the targets are those of the plan; the manifest of swaps.
pub(crate) async fn make_manifest(
    worker: &Worker,
    claim: &Claim,
) -> Result<Manifest, AttemptError> {
    let tally = others(worker, claim).await?;
    drift::schema(claim).await?;
    let clock = server_clock::clock(&claim.server).await?;
    let job = &claim.job;
    let mut handovers = Vec::new();
    for (position, table) in job.spec.graph.tables.iter().enumerate() {
        let Some(shadow) = &table.shadow else { continue };
        // In every job, so that a missing right shows before a take-over needs it.
        ledger::wait_for_parts(&claim.server, &[&shadow.name]).await?;
        if let Some(words) = lost(claim, table, &shadow.name).await? {
            return Err(AttemptError::NotPublished(format!("{words}. Nothing is published")));
        }
        let filled = placed(&claim.server, &shadow.name).await?;
        let rows: u64 = filled.iter().map(|block| block.rows).sum();
        if position == 0 {
            check_rows(&table.engine, &table.definition, rows, &tally, &shadow.name)?;
        }
        let mode = job.spec.publish.mode;
        if rows == 0 && mode == PublishMode::Exchange {
            return Err(AttemptError::NotPublished(format!(
                "nothing was loaded for {}: an exchange would leave it empty. Nothing is published",
                table.name
            )));
        }
        if mode == PublishMode::Exchange {
            refuse_kept(claim, &table.name).await?;
        }
        // Before the parts are listed: a change that is finished by then shows there.
        unfinished::refuse(&claim.server, &table.name).await?;
        let there = placed(&claim.server, &table.name).await?;
        let late = late_rows::since(&shadow.marks, &there);
        if late.is_some() && job.spec.publish.late_rows == LateRows::Refuse {
            return Err(late_rows::refusal(late, &table.name, mode));
        }
        if let Some(words) = late.told(&table.name) {
            claim.remark(words);
        }
        if job.spec.publish.other_partitions == OtherPartitions::Refuse {
            refuse_others(&table.name, &filled, &there)?;
        }
        handovers.push(Handover {
            mode,
            target: table.name.clone(),
            target_uuid: table.own_uuid()?,
            position,
            database: shadow.name.database.clone(),
            shadow_uuid: shadow.uuid,
            rows,
            partitions: partitions(&filled, &there),
        });
    }
    Ok(Manifest {
        taken_ms: clock.now_ms,
        rows: 0,
        rows_read: 0,
        tables: Vec::new(),
        handovers,
        doubted: false,
        partial: false,
    })
}

/// What a shadow has lost since the tasks filled it: its server was started again, and parts of it are gone.
async fn lost(
    claim: &Claim,
    table: &GraphTable,
    shadow: &TableName,
) -> Result<Option<String>, AttemptError> {
    if planted(Bug::ReplaceBlindly) {
        return Ok(None);
    }
    let found = ledger::lost_in_table(&claim.server, &claim.job.id, table, shadow).await?;
    Ok(found.into_iter().find(|loss| loss.is_certain).map(|loss| loss.words))
}

/// The server may have been started again since the manifest was taken: a shadow that has lost rows since does
/// not take the place of its target.
pub(crate) async fn refuse_lost(
    claim: &Claim,
    handover: &Handover,
    shadow: &TableName,
) -> Result<(), AttemptError> {
    let Some(table) = claim.job.spec.graph.tables.get(handover.position) else { return Ok(()) };
    match lost(claim, table, shadow).await? {
        Some(words) => Err(AttemptError::Unprovable(words)),
        None => Ok(()),
    }
}

/// What the other tasks brought. All of them must be done.
async fn others(worker: &Worker, claim: &Claim) -> Result<Tally, AttemptError> {
    let job = &claim.job;
    let cursor = worker.store.cursor(&job.id).await?;
    let Some(cursor) = cursor else { return Err(AttemptError::TaskMissing(claim.task.id.clone())) };
    let own = job.segments().saturating_sub(1);
    let mut tally = cursor.tally;
    let mut open = (0..own).any(|segment| !cursor.is_finished(segment));
    for brief in worker.store.briefs(&segment_tasks(job, own)).await? {
        if brief.id != claim.task.id {
            open |= !tally.add(brief.state, brief.rows, brief.bytes);
        }
    }
    if tally.unfinished() > 0 && !planted(Bug::PublishPartly) {
        return Err(AttemptError::NotPublished(format!(
            "tasks failed: {}, quarantined: {}. Nothing is published: the target is as it was",
            tally.failed, tally.quarantined
        )));
    }
    if open || tally.done + tally.unfinished() + 1 != u64::from(job.tasks) {
        return Err(AttemptError::Count("not all other tasks have ended".to_owned()));
    }
    if let Some(expected) = job.spec.rows_expected().filter(|rows| *rows != tally.rows) {
        return Err(AttemptError::NotPublished(format!(
            "the source held {expected} rows when it was planned, and its chunks held {} together. \
             Nothing is published",
            tally.rows
        )));
    }
    Ok(tally)
}

/// A table that keeps every row holds exactly what the tasks brought.
fn check_rows(
    engine: &str,
    definition: &str,
    rows: u64,
    tally: &Tally,
    shadow: &TableName,
) -> Result<(), AttemptError> {
    // Other engines fold rows when they merge, and a TTL takes rows away.
    let folds = !matches!(engine, "MergeTree" | "ReplicatedMergeTree" | "SharedMergeTree");
    let may_shrink = folds || definition.contains(" TTL ");
    if rows == tally.rows || (may_shrink && rows < tally.rows) || planted(Bug::TrustLoad) {
        return Ok(());
    }
    Err(AttemptError::NotPublished(format!(
        "the tasks loaded {} rows, but {shadow} holds {rows}: somebody else wrote or deleted there. \
         Nothing is published",
        tally.rows
    )))
}

async fn refuse_kept(claim: &Claim, target: &TableName) -> Result<(), AttemptError> {
    let kept = kept_name(target, &claim.job.id);
    match table_now(&claim.server, &kept).await? {
        None => Ok(()),
        Some(_) => Err(AttemptError::NotPublished(format!(
            "the old table would be kept as {kept}, which is there already. Nothing is published"
        ))),
    }
}

/// A partition that the shadow does not have keeps its old rows. Of a table that takes its own place
/// they are in the new partitions too, or were to go.
fn refuse_others(
    table: &TableName,
    filled: &[Placed],
    there: &[Placed],
) -> Result<(), AttemptError> {
    let mut others: BTreeMap<&str, u64> = BTreeMap::new();
    for block in there.iter().filter(|block| !block.is_patch()) {
        if filled.iter().all(|new| new.partition != block.partition) {
            *others.entry(&block.partition).or_default() += block.rows;
        }
    }
    if others.is_empty() || planted(Bug::LeavePartitions) {
        return Ok(());
    }
    let shown = others.iter().take(SHOWN_MAX).map(|(id, rows)| format!("{id} ({rows} rows)"));
    let shown: Vec<String> = shown.collect();
    let more = if others.len() > SHOWN_MAX { ", …" } else { "" };
    Err(AttemptError::NotPublished(format!(
        "nothing was loaded for {} of the partitions of {table}, with {} rows: {}{more}. A replacement would \
         leave their old rows. Nothing is published. Plan again with --publish exchange to replace the table \
         as a whole, or with --other-partitions keep if these partitions are to stay as they are",
        others.len(),
        others.values().sum::<u64>(),
        shown.join(", ")
    )))
}

/// The partitions of a shadow, with the place where the target's stand.
fn partitions(filled: &[Placed], there: &[Placed]) -> Vec<HandoverPartition> {
    let mut partitions: Vec<HandoverPartition> = Vec::new();
    for block in filled {
        if partitions.last().is_some_and(|last| last.id == block.partition) {
            continue;
        }
        let old = there.iter().filter(|old| old.partition == block.partition);
        let block_now = old.map(|old| old.last_block).max();
        partitions.push(HandoverPartition { id: block.partition.clone(), block: block_now });
    }
    partitions
}
