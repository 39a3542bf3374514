//! A load into the target itself, for targets that cannot be staged.
//!
//! The guarantee is the target's: a chunk is one block with a deduplication token of its own, made
//! the same way each time, so a repeated insert adds nothing while the target remembers the token. A target that remembers none
//! gets the rows of an interrupted chunk again. What can be known is used before anything is sent
//! again: an insert of an older epoch is waited for, never killed, and one that finished is not
//! repeated.

use longshore_shared::clickhouse::{Ending, Summary, settle, settled};
use longshore_shared::faults;
use longshore_shared::source::{LoadStatement, Reading};
use longshore_shared::task::{Chunk, Epoch, Manifest};

use super::durable::{self, Round};
use super::source::{self, Held};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;
use crate::{drift, server_clock};

/// Older epochs whose insert is looked for: what came before has shown in the last ones.
const EPOCHS_SEEN: u64 = 3;

/// Loads the chunk into the target. The manifest names no parts: there is nothing left to move.
pub(crate) async fn load(worker: &Worker, claim: &Claim) -> Result<Manifest, AttemptError> {
    drift::schema(claim).await?;
    let slot = super::load::slot(worker, claim).await?;
    source::unchanged(worker, claim).await?;
    let clock = server_clock::clock(&claim.server).await?;
    let earlier = earlier(worker, claim).await?;
    let is_first = earlier.is_none() && claim.epoch() == Epoch(1);
    durable::settled(worker, claim).await?;
    let mut round = Round::begin();
    let loaded = match earlier {
        Some(summary) => {
            durable::refuse_restarted(claim).await?;
            summary
        }
        None => insert(worker, claim).await?,
    };
    if !round.is_synced(worker, claim).await? {
        return Err(durable::lost(claim));
    }
    drop(slot);
    claim.is_loaded();
    worker.edge(faults::LOAD_AFTER).await?;
    let base = claim.job.spec.graph.base();
    let held = source::count(worker, claim).await?;
    // A repetition writes nothing, and views write rows of their own: then nothing can be compared.
    if let (Held::Exactly(rows), true, true) = (held, is_first, base.dependents.is_empty())
        && rows != loaded.written_rows
    {
        return Err(AttemptError::Count(format!(
            "the source holds {rows} rows, but {} were written",
            loaded.written_rows
        )));
    }
    let rows_read = match held {
        Held::Exactly(rows) | Held::Read(rows) => rows,
        Held::AtLeast(_) | Held::Share { .. } | Held::Unknown => loaded.read_rows,
    };
    let rows = if let Held::Exactly(rows) = held { rows } else { loaded.written_rows };
    Ok(Manifest {
        taken_ms: clock.now_ms,
        rows,
        rows_read,
        tables: Vec::new(),
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    })
}

/// How an insert of an older epoch ended, if one finished.
async fn earlier(worker: &Worker, claim: &Claim) -> Result<Option<Summary>, AttemptError> {
    let current = claim.epoch().0;
    for epoch in (1..current).rev().take(usize::try_from(EPOCHS_SEEN).unwrap_or(usize::MAX)) {
        worker.lease.check()?;
        let id = claim.task.id.query(Epoch(epoch), "load");
        if let Ending::Finished(summary) =
            settle(&claim.server, &id, claim.job.submitted_ms).await?
        {
            tracing::info!(query_id = %id, "an insert of an older epoch had finished");
            return Ok(Some(summary));
        }
    }
    Ok(None)
}

async fn insert(worker: &Worker, claim: &Claim) -> Result<Summary, AttemptError> {
    let chunk = Chunk::decode(&claim.task.chunk)?;
    super::schemas::expected(worker, claim).await?;
    let reading = Reading::of(&claim.job.spec, &chunk, &worker.keys)?;
    let statement = LoadStatement::direct(&claim.job.spec, &reading, &claim.task.id);
    let id = claim.task.id.query(claim.epoch(), "load");
    let send = async |statement: LoadStatement| {
        settled(&claim.server, statement.call(&claim.server), &id, claim.job.submitted_ms).await
    };
    Ok(statement.send_known(&claim.server, send).await?)
}
