//! The moves of a task: staging tables are emptied into their targets, all of them together.
//!
//! It goes in rounds. One statement lists the parts that are left in all staging tables. If an earlier
//! MOVE may have been sent, the target is asked for these parts first. The parts that are not there are
//! moved. A table is finished when its staging table is empty.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Server, policy, task_delay};
use longshore_shared::faults;
use longshore_shared::ledger::Seen;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::replicas::unknown_to_keeper;
use longshore_shared::sql;
use longshore_shared::task::{StagedTable, TableName};
use tokio::time::Instant;
use uuid::Uuid;

use super::proof::{self, Claimed, PartNames};
use super::staging::{self, StagedPart};
use crate::claim::Claim;
use crate::drift;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Between two looks for what a failed MOVE left. The server clears it after `cleanup_delay_period`
/// (30 s) at the earliest and `max_cleanup_delay_period` (5 minutes) at the latest.
const CLEANUP_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for a part that Keeper does not know.
const KEEPER_PAUSE: Duration = Duration::from_secs(10);
/// A server may list merged parts for a minute only (`old_parts_lifetime`).
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// A staging table that is being emptied into its target.
pub(crate) struct Staged<'a> {
    table: &'a StagedTable,
    twin: TableName,
    taken_ms: i64,
    /// A MOVE whose end nobody saw may have been sent.
    in_doubt: bool,
    /// A part of it was listed.
    was_seen: bool,
    /// Names of parts in the target that Keeper did not know.
    doubted: BTreeSet<String>,
    /// Parts that were seen in the target, with their names there: what has been seen there is moved, for good.
    seen: PartNames,
}

impl<'a> Staged<'a> {
    pub(crate) fn new(
        table: &'a StagedTable,
        twin: TableName,
        taken_ms: i64,
        in_doubt: bool,
    ) -> Self {
        let (doubted, seen) = (BTreeSet::new(), PartNames::new());
        Self { table, twin, taken_ms, in_doubt, was_seen: false, doubted, seen }
    }

    fn unseen(&self) -> Vec<Uuid> {
        let all = self.table.parts().map(|part| part.uuid);
        all.filter(|uuid| !self.seen.contains_key(uuid)).collect()
    }
}

/// Tables that are being emptied, and those that are empty.
struct Rounds<'a> {
    open: Vec<Staged<'a>>,
    empty: Vec<Staged<'a>>,
    /// When the targets were last asked for what was moved.
    looked: Instant,
}

impl Rounds<'_> {
    /// Many moves may take longer than the server lists merged parts: what was moved so far is looked for.
    async fn find_moved(&mut self, claim: &Claim) -> Result<(), AttemptError> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let all = || self.open.iter().chain(&self.empty);
        let asked: Vec<_> = all().map(|staged| (&staged.table.target, staged.unseen())).collect();
        let found = proof::find_all(&claim.server, &asked).await?;
        for (staged, found) in self.open.iter_mut().chain(&mut self.empty).zip(found) {
            staged.seen.extend(found.published);
        }
        Ok(())
    }
}

/// Reconciles staging tables until they are empty. What is in them is to be proved then.
///
/// A table that cannot be emptied is told in `unproved`, and the others go on.
pub(crate) async fn empty<'a>(
    worker: &Worker,
    claim: &Claim,
    open: Vec<Staged<'a>>,
    unproved: &mut Vec<String>,
    step: &mut usize,
) -> Result<Vec<Claimed<'a>>, AttemptError> {
    let mut rounds = Rounds { open, empty: Vec::new(), looked: Instant::now() };
    while !rounds.open.is_empty() {
        let twins: Vec<&TableName> = rounds.open.iter().map(|staged| &staged.twin).collect();
        let listed = staging::parts(&claim.server, &twins).await?;
        let mut at = 0;
        while at < rounds.open.len() {
            let twin = &rounds.open[at].twin.table;
            let parts: Vec<&StagedPart> =
                listed.iter().filter(|part| part.table == *twin).collect();
            if parts.is_empty() {
                let staged = rounds.open.remove(at);
                rounds.empty.push(staged);
                continue;
            }
            match round(worker, claim, &mut rounds, at, &parts, step).await {
                Err(AttemptError::Unprovable(words)) => {
                    rounds.open.remove(at);
                    unproved.push(words);
                }
                outcome => {
                    outcome?;
                    at += 1;
                }
            }
        }
    }
    let claimed = |staged: Staged<'a>| Claimed {
        table: staged.table,
        seen: staged.seen,
        was_seen: staged.was_seen,
        why: "its staging table is empty",
    };
    Ok(rounds.empty.into_iter().map(claimed).collect())
}

/// One round of one table: what is in its target is dropped, or what is not is moved.
async fn round(
    worker: &Worker,
    claim: &Claim,
    rounds: &mut Rounds<'_>,
    at: usize,
    parts: &[&StagedPart],
    step: &mut usize,
) -> Result<(), AttemptError> {
    let staged = &mut rounds.open[at];
    staged.was_seen = true;
    refuse_foreign(staged.table, parts, &staged.twin)?;
    if staged.in_doubt && !planted(Bug::MoveBlindly) {
        let uuids: Vec<Uuid> = parts.iter().map(|part| part.uuid).collect();
        let found = proof::find_settled(&claim.server, &staged.table.target, &uuids).await?;
        if !is_known_to_keeper(worker, claim, staged, &found).await? {
            return Ok(());
        }
        let published: HashSet<Uuid> = found.published.keys().copied().collect();
        staged.seen.extend(found.published);
        if !published.is_empty() {
            return drop_published(worker, &claim.server, &staged.twin, parts, &published).await;
        }
        if !found.rolled_back.is_empty() {
            return wait_for_cleanup(worker, claim, staged, &found.rolled_back).await;
        }
        proof::refuse_late(claim, staged.table, staged.taken_ms).await?;
    }
    let partitions: BTreeSet<&str> = parts.iter().map(|part| part.partition_id.as_str()).collect();
    for partition in partitions {
        worker.edge(faults::MOVE_BEFORE).await?;
        *step += 1;
        // Whatever it answers: what is still staged afterwards is looked for before it is moved again.
        rounds.open[at].in_doubt = true;
        if !move_partition(worker, claim, &rounds.open[at], partition, *step).await? {
            break;
        }
        worker.edge(faults::MOVE_AFTER).await?;
        rounds.find_moved(claim).await?;
    }
    Ok(())
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

/// Of a replicated target: a part that only the disk of this server knows is not published, and its rows
/// are not moved once more beside it. False after a pause: then everything is looked at again.
async fn is_known_to_keeper(
    worker: &Worker,
    claim: &Claim,
    staged: &mut Staged<'_>,
    found: &Seen,
) -> Result<bool, AttemptError> {
    let names = found.published.values().cloned();
    if found.published.is_empty() || planted(Bug::TrustDisk) {
        return Ok(true);
    }
    let target = &staged.table.target;
    let unknown = unknown_to_keeper(&claim.server, target, names, &staged.doubted).await?;
    let Some(part) = unknown.first().cloned() else { return Ok(true) };
    staged.doubted.extend(unknown);
    let cause = format!(
        "part {part} of {target} is on the disk of this server and Keeper does not know it: other replicas never \
         get it. Somebody has to make the server put it aside: docs/replicas.md, A target stays read-only"
    );
    tracing::warn!("{cause}");
    claim.hindrance.meets(&worker.store, &claim.task, &cause).await;
    // It may take a person, and until tomorrow: a worker that is to end leaves the task to the next one.
    tokio::select! {
        () = tokio::time::sleep(KEEPER_PAUSE) => {}
        () = worker.drain.cancelled() => return Err(AttemptError::Draining),
    }
    worker.lease.check()?;
    Ok(false)
}

/// Drops the staged twins of parts that are in the target already: a server was killed in a MOVE.
async fn drop_published(
    worker: &Worker,
    server: &Server,
    twin: &TableName,
    staged: &[&StagedPart],
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
    staged: &[&StagedPart],
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
