//! `--durable`: what a receipt proves is on disk before the receipt is written.
//!
//! No setting of a table syncs all of a MOVE: the folder of the target, in which the part gets its
//! name, is synced by none of them. `sync(2)` on the server's machine covers files and folders of
//! every table at once, whatever their settings and the profile say
//! ([decision 30](../../../docs/decisions/0030-durable-jobs.md)).
//!
//! A sync after a power loss is of no use to what was seen before it. So a step and its sync count
//! only when the server has run through both; else the step is done again.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::retry_idempotent;
use longshore_shared::sql;
use serde::Deserialize;
use tokio::time::Instant;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::server_clock::{START_MARGIN_MS, Started};
use crate::worker::Worker;

/// The server counts whole seconds, and its clock may be set.
const MARGIN: Duration = Duration::from_secs(3);
/// Before a server that has just been started is looked at again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize, Row)]
struct Uptime {
    seconds: u64,
}

/// Everything that was written on the server's machine so far, when the job is durable. Doing it again
/// is harmless, so it may be sent as a read is.
pub(crate) async fn sync(claim: &Claim) -> Result<(), AttemptError> {
    if claim.job.spec.durable {
        retry_idempotent(|| claim.server.call(sql::SYNC_DISKS).deadline(None).execute()).await?;
    }
    Ok(())
}

/// A step that may be repeated, and the sync of what it did or saw.
pub(crate) struct Round {
    began: Instant,
    is_first: bool,
}

impl Round {
    /// Right before the step.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), is_first: true }
    }

    /// Is the step done for the first time?
    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }

    /// Right after the step: syncs, and says whether the server has run since before it. Else the step
    /// must be done again. Of a job that is not durable every step counts.
    pub(crate) async fn is_synced(
        &mut self,
        worker: &Worker,
        claim: &Claim,
    ) -> Result<bool, AttemptError> {
        if !claim.job.spec.durable {
            return Ok(true);
        }
        sync(claim).await?;
        let runs = running(claim).await?;
        if runs >= self.began.elapsed() + MARGIN {
            return Ok(true);
        }
        tracing::warn!(
            uptime = runs.as_secs(),
            "the server was started a moment ago: it is looked at again"
        );
        worker.lease.check()?;
        tokio::time::sleep(PAUSE).await;
        *self = Self { began: Instant::now(), is_first: false };
        Ok(false)
    }
}

/// How long the server has been running.
async fn running(claim: &Claim) -> Result<Duration, AttemptError> {
    let Uptime { seconds } =
        retry_idempotent(|| claim.server.call(sql::SERVER_UPTIME).fetch_one()).await?;
    Ok(Duration::from_secs(seconds))
}

/// Waits until the server has run for so long that a restart after this would show. For a step that
/// cannot be done again.
pub(crate) async fn settled(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    while claim.job.spec.durable && running(claim).await? < MARGIN + PAUSE {
        worker.lease.check()?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// An insert into the target itself that an earlier owner saw the end of may have been lost since.
pub(crate) async fn refuse_restarted(claim: &Claim) -> Result<(), AttemptError> {
    if !claim.job.spec.durable {
        return Ok(());
    }
    let Started { started_ms } =
        retry_idempotent(|| claim.server.call(sql::SERVER_STARTED).fetch_one()).await?;
    if started_ms + START_MARGIN_MS < claim.job.submitted_ms {
        return Ok(());
    }
    Err(lost(claim))
}

/// The server was started again beside an insert into the target itself.
pub(crate) fn lost(claim: &Claim) -> AttemptError {
    AttemptError::Lost(format!(
        "the server was started again after this chunk was inserted into {}, and nothing proves that its rows are on \
         disk: compare them with the source",
        claim.job.spec.target
    ))
}
