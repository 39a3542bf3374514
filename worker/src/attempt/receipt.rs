//! What is written down of a task that is published: a receipt for each table.

use longshore_shared::clickhouse::retry_idempotent;
use longshore_shared::ledger;
use longshore_shared::sql;
use longshore_shared::task::{Handover, Manifest, Mode, Receipt};
use uuid::Uuid;

use super::proof::Proved;
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::server_clock::{START_MARGIN_MS, Started};
use crate::worker::Worker;

/// One for each table, with the names that the moved parts have there.
pub(crate) async fn of(
    worker: &Worker,
    claim: &Claim,
    manifest: &Manifest,
    proved: &Proved,
) -> Result<Vec<Receipt>, AttemptError> {
    if claim.job.spec.mode == Mode::Direct {
        return Ok(vec![of_direct(worker, claim, manifest)]);
    }
    let base = empty_receipt(worker, claim, manifest);
    let handed_over = |handover: &Handover| Receipt {
        query_id: claim.task.id.query(claim.epoch(), handover.mode.as_str()).to_string(),
        ..handover.receipt(&base)
    };
    let mut receipts: Vec<Receipt> = Vec::new();
    for table in &manifest.tables {
        let receipt = table.receipt(&base);
        let forgotten =
            receipt.part_uuids.iter().filter(|uuid| !proved.listed.contains_key(uuid)).count();
        if forgotten > 0 {
            refuse_lost(claim, manifest, &receipt.target, forgotten).await?;
        }
        // Those that are forgotten too: the audit looks for what a receipt names.
        let name = |uuid: &Uuid| proved.listed.get(uuid).or_else(|| proved.seen.get(uuid));
        let part_names =
            receipt.part_uuids.iter().map(|uuid| name(uuid).cloned().unwrap_or_default()).collect();
        receipts.push(Receipt { part_names, ..receipt });
    }
    receipts.extend(manifest.handovers.iter().map(handed_over));
    Ok(receipts)
}

/// What is known of a chunk that is in its target: no parts prove it.
fn of_direct(worker: &Worker, claim: &Claim, manifest: &Manifest) -> Receipt {
    Receipt {
        target: claim.job.spec.target.to_string(),
        rows_staged: manifest.rows,
        ..empty_receipt(worker, claim, manifest)
    }
}

/// A receipt of this task that names no table yet.
fn empty_receipt(worker: &Worker, claim: &Claim, manifest: &Manifest) -> Receipt {
    let task = &claim.task;
    Receipt {
        job_id: task.id.job.to_string(),
        task_id: task.id.to_string(),
        target: String::new(),
        epoch: claim.epoch().0,
        worker: worker.id.to_string(),
        query_id: task.id.query(claim.epoch(), "load").to_string(),
        files: task.files,
        bytes: task.bytes,
        rows_read: manifest.rows_read,
        rows_staged: 0,
        partitions: Vec::new(),
        part_uuids: Vec::new(),
        part_hashes: Vec::new(),
        published_at: ledger::now_ms(),
        part_names: Vec::new(),
        part_rows: Vec::new(),
        taken_at: manifest.taken_ms,
    }
}

/// Parts that were proved and are not listed any more were merged long ago, or went with the power.
async fn refuse_lost(
    claim: &Claim,
    manifest: &Manifest,
    target: &str,
    forgotten: usize,
) -> Result<(), AttemptError> {
    let Started { started_ms } =
        retry_idempotent(|| claim.server.call(sql::SERVER_STARTED).fetch_one()).await?;
    if started_ms + START_MARGIN_MS < manifest.taken_ms {
        return Ok(());
    }
    Err(AttemptError::Unprovable(format!(
        "{forgotten} parts are not found in {target} any more: the server was started again after their manifest was \
         taken"
    )))
}
