//! The fence: after it, nothing that acted in an older epoch can change anything any more.
//!
//! The epoch is one more in the task row already, by the claim. Of a task that was loading, queries
//! of older epochs are killed and waited for, then their staging sets are dropped. Of a publishing
//! task the staging tables first get the name of the new epoch, so that a MOVE of a woken zombie,
//! sent under the old name, finds no table; then what still runs is waited for.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server};
use longshore_shared::faults;
use longshore_shared::ledger::{self, Attempt};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::StagingNames;
use longshore_shared::sql;
use longshore_shared::task::{Epoch, Manifest, Mode, TaskEvent, TaskState};
use serde::Deserialize;

use super::staging;
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::handover::shadows;
use crate::worker::Worker;

const WAIT_PAUSE: Duration = Duration::from_millis(100);
/// Each round is lost to one late RENAME of an earlier owner, and there are few of those.
const RENAME_TRIES: u32 = 5;

#[derive(Deserialize, Row)]
struct Running {
    running: u64,
}

/// Makes sure that no older epoch of this task can act.
pub(crate) async fn fence(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    if claim.epoch() <= Epoch(1) || planted(Bug::SkipFence) {
        return Ok(());
    }
    // An insert into the target itself is waited for: half of it would stay if it was killed.
    if claim.job.spec.mode == Mode::Direct {
        return Ok(());
    }
    worker.edge(faults::FENCE_BEFORE).await?;
    if let TaskState::Publishing { manifest, .. } = &claim.task.progress.state {
        rename_set(worker, claim, manifest).await?;
        shadows::rename_shadows(worker, claim, manifest).await?;
        worker.edge(faults::FENCE_RENAMED).await?;
        stop_older(worker, claim).await?;
    } else {
        stop_older(worker, claim).await?;
        staging::drop_older(worker, claim).await?;
    }
    if claim.task.progress.deaths > 0 {
        let task = &claim.task;
        let attempts = task.progress.attempts;
        let note = Attempt::now(&task.id, claim.epoch(), attempts, &worker.id, "taken over");
        ledger::note(&claim.server, note).await;
    }
    worker.edge(faults::FENCE_AFTER).await
}

/// Deaths of workers and restarts of the server after which a task is loaded alone.
const SUSPECT_DEATHS: u32 = 3;

/// May this task be what kills its workers, or the server? Then it is loaded once more, alone.
pub(crate) fn is_suspect(deaths: u32) -> bool {
    deaths >= SUSPECT_DEATHS
}

/// A task that was loaded alone, and its worker or the server died even so, is not tried again.
pub(crate) async fn check_deaths(worker: &Worker, claim: &mut Claim) -> Result<(), AttemptError> {
    let (deaths, limit) = (claim.task.progress.deaths, claim.job.spec.limits.deaths_max);
    let limit = limit.min(SUSPECT_DEATHS);
    if deaths <= limit {
        return Ok(());
    }
    let error = format!(
        "its worker died or the server restarted {deaths} times while it was loaded, the last time alone"
    );
    let epoch = claim.epoch();
    claim.advance(worker, &TaskEvent::GaveUp { epoch, error }).await?;
    Err(AttemptError::NotOurs)
}

/// Ends everything this epoch has running: before the task is given back. Not an insert into the
/// target itself: half of it would stay, so the next epoch waits for its end.
pub(crate) async fn kill_own(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    if claim.job.spec.mode == Mode::Direct {
        return Ok(());
    }
    let prefix = claim.task.id.epoch_prefix(claim.epoch());
    kill(worker, &claim.server, &prefix, claim.epoch().next()).await
}

async fn stop_older(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    let prefix = claim.task.id.query_prefix();
    kill(worker, &claim.server, &prefix, claim.epoch()).await
}

/// Kills and waits: a MOVE cannot be killed, it ends by itself.
async fn kill(
    worker: &Worker,
    server: &Server,
    prefix: &str,
    below: Epoch,
) -> Result<(), AttemptError> {
    loop {
        worker.lease.check()?;
        let call = || server.call(sql::COUNT_QUERIES);
        let running: Running = longshore_shared::clickhouse::retry_idempotent(|| {
            call().param("prefix", prefix).param("below", below).fetch_one()
        })
        .await?;
        if running.running == 0 {
            return Ok(());
        }
        server
            .call(sql::KILL_QUERIES)
            .param("prefix", prefix)
            .param("below", below)
            .execute()
            .await?;
        tokio::time::sleep(WAIT_PAUSE).await;
    }
}

/// Gives the staging tables of a publishing task the names of this epoch, and drops the clones.
async fn rename_set(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
) -> Result<(), AttemptError> {
    let mut tries = 0;
    while let Err(failure) = rename_older(worker, claim, manifest).await? {
        tries += 1;
        if tries == RENAME_TRIES {
            return Err(failure.into());
        }
        // A late RENAME of an owner in between came first: the table has another older name now.
        tracing::info!(error = %failure, "a staging table was renamed meanwhile, looking again");
    }
    Ok(())
}

/// One round over the staging tables; the inner error is that of a table that was gone.
async fn rename_older(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
) -> Result<Result<(), Failure>, AttemptError> {
    let server = &claim.server;
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    for found in staging::list_own(claim, &claim.task.id.staging_prefix()).await? {
        if claim.task.id.staging_epoch(&found.name).is_none_or(|epoch| epoch >= claim.epoch()) {
            continue;
        }
        worker.lease.check()?;
        if found.engine == "MaterializedView" {
            staging::drop_one(server, &found).await?;
            continue;
        }
        let Some(table) = manifest.tables.iter().find(|table| table.uuid == found.uuid) else {
            continue;
        };
        let name = names.named(&table.suffix).table;
        if found.name == name {
            continue;
        }
        let renamed = server
            .call(sql::RENAME_TABLE)
            .name("database", server.staging())
            .name("from", &found.name)
            .name("to", &name)
            .execute()
            .await;
        match renamed {
            Err(failure) if failure.code() == Some(Code::UNKNOWN_TABLE) => return Ok(Err(failure)),
            renamed => drop(renamed?),
        }
    }
    Ok(Ok(()))
}
