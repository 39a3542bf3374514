//! Publishing: the moves of the manifest, each proved, forward only.
//!
//! A MOVE is never sent blindly. OK proves nothing (a missing partition answers OK), an error
//! proves nothing (it may go on in the server), and a server killed inside a MOVE leaves parts in
//! both tables. So each staging table is reconciled by part identity until it is empty:
//! a staged part whose identity is in the target is dropped, what is left is moved.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Ending, Failure, Policy, policy, read, settle, task_delay};
use longshore_shared::faults;
use longshore_shared::ledger;
use longshore_shared::schema::{StagingNames, identities};
use longshore_shared::sql;
use longshore_shared::task::{Manifest, Part, Receipt, StagedTable, TableName, TaskState};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::context::Worker;
use crate::staging;
use crate::trouble::Trouble;

/// Part identities asked for in one statement.
const IDENTITIES_MAX: usize = 2_000;
/// Kept from the time in which a merged part is still listed: the server cleans up in rounds.
const EVIDENCE_MARGIN: Duration = Duration::from_secs(60);

#[derive(Deserialize, Row)]
struct PartRow {
    partition_id: String,
    name: String,
    uuid: String,
    #[allow(dead_code)]
    hash: String,
    #[allow(dead_code)]
    rows: u64,
}

#[derive(Deserialize, Row)]
struct Identity {
    uuid: String,
}

#[derive(Deserialize, Row)]
struct Clock {
    now_ms: i64,
    parts_lifetime_secs: u64,
}

/// Moves every line of the manifest, proves them all, writes the receipts. Returns the base rows.
pub(crate) async fn forward(worker: &Worker, claim: &Claim) -> Result<u64, Trouble> {
    let TaskState::Publishing { manifest, .. } = &claim.task.progress.state else {
        return Err(Trouble::NotOurs);
    };
    let mut tries = 0;
    loop {
        match publish(worker, claim, manifest).await {
            Err(Trouble::Failure(failure)) if policy(&failure) != Policy::StopJob => {
                // Only forward: wait until the server is well again, for as long as we are trusted.
                tries += 1;
                tracing::warn!(error = %failure, tries, "publishing goes on after a pause");
                tokio::time::sleep(task_delay(tries).min(Duration::from_secs(5))).await;
                worker.lease.check()?;
            }
            outcome => {
                outcome?;
                break;
            }
        }
    }
    worker.edge(faults::RECEIPT_BEFORE).await?;
    let receipts = receipts(worker, claim, manifest);
    read(|| ledger::append(&worker.server, &receipts)).await?;
    worker.edge(faults::RECEIPT_AFTER).await?;
    Ok(manifest.rows)
}

async fn publish(worker: &Worker, claim: &Claim, manifest: &Manifest) -> Result<(), Trouble> {
    let server = &worker.server;
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    let there = staging::list(worker, names.prefix()).await?;
    let mut step = 0;
    let targets: Vec<TableName> = manifest.tables.iter().map(|t| t.target.clone()).collect();
    let identities = identities(server, &targets).await?;
    for table in &manifest.tables {
        refuse_another(table, &identities)?;
        let twin = names.named(&table.suffix);
        if !there.iter().any(|staged| staged.uuid == table.uuid && staged.name == twin.table) {
            // Without the twin only the identities in the target can prove the moves.
            prove_by_identity(worker, table, "its staging table is gone").await?;
            continue;
        }
        move_table(worker, claim, table, &twin, manifest.taken_ms, &mut step).await?;
    }
    Ok(())
}

/// A target that was dropped, exchanged or made again since the manifest was written is another
/// table: what was moved into the first is not in it, and nothing may be moved into it by guess.
fn refuse_another(table: &StagedTable, now: &[(TableName, Uuid)]) -> Result<(), Trouble> {
    match now.iter().find(|(name, _)| *name == table.target) {
        Some((_, uuid)) if *uuid == table.target_uuid => Ok(()),
        found => Err(Trouble::Unprovable(format!(
            "{} {} after the rows of this task were staged for it",
            table.target,
            if found.is_some() { "was replaced by another table" } else { "is gone" },
        ))),
    }
}

/// Reconciles one staging table until it is empty: a part leaves it only by a MOVE, or by us after
/// it was seen in the target, so an empty table proves every line.
async fn move_table(
    worker: &Worker,
    claim: &Claim,
    table: &StagedTable,
    twin: &TableName,
    taken_ms: i64,
    step: &mut usize,
) -> Result<(), Trouble> {
    let mut moved_here = false;
    loop {
        let staged = staged_parts(worker, twin).await?;
        if staged.is_empty() {
            return Ok(());
        }
        refuse_foreign(table, &staged, twin)?;
        let uuids: Vec<String> = staged.iter().map(|part| part.uuid.clone()).collect();
        let published = find(worker, &table.target, &uuids).await?;
        if !published.is_empty() {
            drop_published(worker, twin, &staged, &published).await?;
            continue;
        }
        if !moved_here {
            refuse_late(worker, claim, table, taken_ms).await?;
        }
        let partitions: BTreeSet<&str> =
            staged.iter().map(|part| part.partition_id.as_str()).collect();
        for partition in partitions {
            worker.edge(faults::MOVE_BEFORE).await?;
            *step += 1;
            moved_here = true;
            if !move_partition(worker, claim, table, twin, partition, *step).await? {
                break;
            }
            worker.edge(faults::MOVE_AFTER).await?;
        }
    }
}

/// Sends one MOVE. False when it gave an error: then everything is looked at again.
async fn move_partition(
    worker: &Worker,
    claim: &Claim,
    table: &StagedTable,
    twin: &TableName,
    partition: &str,
    step: usize,
) -> Result<bool, Trouble> {
    let id = claim.task.id.query(claim.epoch(), format_args!("move-{step}"));
    let answer = worker
        .server
        .call(sql::MOVE_PARTITION)
        .name("staging", &twin.database)
        .name("table", &twin.table)
        .literal("partition", partition)
        .name("database", &table.target.database)
        .name("target", &table.target.table)
        .id(&id)
        .execute()
        .await;
    let Err(failure) = answer else { return Ok(true) };
    if failure.is_unknown() {
        // It may still be running: wait for its end, then look again. One without a trace may be on
        // its way still, or half done by a server that died: only a new epoch shuts it out.
        match settle(&worker.server, &id).await {
            Ok(Ending::Finished(_) | Ending::Failed(_)) => {}
            Ok(Ending::NoTrace) | Err(_) => return Err(Trouble::Unsettled),
        }
    }
    wait_or_stop(worker, &failure).await?;
    Ok(false)
}

/// Drops the staged twins of parts that are in the target already: a server was killed in a MOVE.
async fn drop_published(
    worker: &Worker,
    twin: &TableName,
    staged: &[PartRow],
    published: &HashSet<String>,
) -> Result<(), Trouble> {
    for part in staged.iter().filter(|part| published.contains(&part.uuid)) {
        tracing::warn!(part = part.name, "already in the target: its staged twin is dropped");
        worker.lease.check()?;
        worker
            .server
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
async fn wait_or_stop(worker: &Worker, failure: &Failure) -> Result<(), Trouble> {
    if policy(failure) == Policy::StopJob {
        return Err(failure.clone().into());
    }
    tracing::warn!(error = %failure, "a move gave an error, reconciling");
    tokio::time::sleep(task_delay(1)).await;
    worker.lease.check()
}

/// Nobody but this task writes into its twins; other parts there mean a foreign hand.
fn refuse_foreign(
    table: &StagedTable,
    staged: &[PartRow],
    twin: &TableName,
) -> Result<(), Trouble> {
    let known: HashSet<String> = table.parts().map(|part| part.uuid.to_string()).collect();
    match staged.iter().find(|part| !known.contains(&part.uuid)) {
        None => Ok(()),
        Some(part) => Err(Trouble::Unprovable(format!(
            "part {} of {twin} is not in the manifest: somebody else wrote or merged there",
            part.name
        ))),
    }
}

/// A MOVE of an earlier epoch may have been cut by a crash of the server, and the target may have
/// merged the part since. While the server still lists merged parts, an identity that is not found
/// proves that the part was not moved; after that it proves nothing.
async fn refuse_late(
    worker: &Worker,
    claim: &Claim,
    table: &StagedTable,
    taken_ms: i64,
) -> Result<(), Trouble> {
    if claim.loaded_here {
        return Ok(());
    }
    let clock: Clock = read(|| worker.server.call(sql::SERVER_CLOCK).fetch_one()).await?;
    let graph = &claim.job.spec.graph;
    let definition = graph.position(&table.target).map(|at| graph.tables[at].definition.as_str());
    let lifetime_secs = definition.and_then(own_lifetime).unwrap_or(clock.parts_lifetime_secs);
    let age_ms = u64::try_from(clock.now_ms - taken_ms).unwrap_or(0);
    let sure_ms = (lifetime_secs * 1_000)
        .saturating_sub(u64::try_from(EVIDENCE_MARGIN.as_millis()).unwrap_or(0));
    if age_ms <= sure_ms {
        return Ok(());
    }
    Err(Trouble::Unprovable(format!(
        "the manifest is {} s old and {} lists merged parts for {lifetime_secs} s only: whether the staged parts \
         were moved and merged before cannot be proved. Compare the rows of the staging tables of this task with {}",
        age_ms / 1_000,
        table.target,
        table.target,
    )))
}

/// `old_parts_lifetime = N` in a table's own settings.
fn own_lifetime(definition: &str) -> Option<u64> {
    let rest = definition.split("old_parts_lifetime = ").nth(1)?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

async fn prove_by_identity(worker: &Worker, table: &StagedTable, why: &str) -> Result<(), Trouble> {
    let uuids: Vec<String> = table.parts().map(|part| part.uuid.to_string()).collect();
    let found = find(worker, &table.target, &uuids).await?;
    let missing = uuids.iter().filter(|uuid| !found.contains(*uuid)).count();
    if missing == 0 {
        return Ok(());
    }
    Err(Trouble::Unprovable(format!(
        "{why}, and {missing} of {} parts are not found in {}",
        uuids.len(),
        table.target
    )))
}

async fn staged_parts(worker: &Worker, twin: &TableName) -> Result<Vec<PartRow>, Trouble> {
    let rows: Vec<PartRow> = read(|| {
        worker
            .server
            .call(sql::LIST_PARTS)
            .param("database", &twin.database)
            .param("table", &twin.table)
            .fetch_all()
    })
    .await?;
    Ok(rows)
}

async fn find(
    worker: &Worker,
    target: &TableName,
    uuids: &[String],
) -> Result<HashSet<String>, Trouble> {
    let mut found = HashSet::new();
    for page in uuids.chunks(IDENTITIES_MAX) {
        let rows: Vec<Identity> = read(|| {
            worker
                .server
                .call(sql::FIND_PARTS)
                .param("database", &target.database)
                .param("table", &target.table)
                .list("uuids", page)
                .fetch_all()
        })
        .await?;
        found.extend(rows.into_iter().map(|row| row.uuid));
    }
    Ok(found)
}

fn receipts(worker: &Worker, claim: &Claim, manifest: &Manifest) -> Vec<Receipt> {
    let task = &claim.task;
    let receipt = |table: &StagedTable| Receipt {
        job_id: task.id.job.to_string(),
        task_id: task.id.to_string(),
        target: table.target.to_string(),
        epoch: claim.epoch().0,
        worker: worker.id.to_string(),
        query_id: task.id.query(claim.epoch(), "load").to_string(),
        files: task.files,
        bytes: task.bytes,
        rows_read: manifest.rows_read,
        rows_staged: table.rows(),
        partitions: table.lines.iter().map(|line| line.partition.clone()).collect(),
        part_uuids: table.parts().map(|part: &Part| part.uuid).collect::<Vec<Uuid>>(),
        part_hashes: table.parts().map(|part| part.hash.clone()).collect(),
        published_at: ledger::now_ms(),
    };
    manifest.tables.iter().map(receipt).collect()
}

#[cfg(test)]
mod tests {
    use super::own_lifetime;

    #[test]
    fn reads_a_tables_own_lifetime() {
        let text = "CREATE TABLE a (x) ENGINE = MergeTree SETTINGS old_parts_lifetime = 60, index_granularity = 1";
        assert_eq!(own_lifetime(text), Some(60));
        assert_eq!(own_lifetime("CREATE TABLE a"), None);
    }
}
