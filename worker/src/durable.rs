//! `--durable`: what a receipt proves is on disk before the receipt is written.
//!
//! No setting of a table syncs all of a MOVE: the folder of the target, in which the part gets its
//! name, is synced by none of them. `sync(2)` on the server's machine covers files and folders of
//! every table at once, whatever their settings and the profile say
//! ([decision 30](../../docs/decisions/0030-durable-jobs.md)).

use longshore_shared::clickhouse::read;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;

use crate::claim::Claim;
use crate::trouble::Trouble;

/// Staged rows, before their manifest is written: a MOVE renames and links, so their content must be there.
pub(crate) async fn staged(claim: &Claim) -> Result<(), Trouble> {
    sync(claim).await
}

/// Everything that was moved, before the receipts are written.
pub(crate) async fn moved(claim: &Claim) -> Result<(), Trouble> {
    if planted(Bug::ReceiptBeforeSync) {
        return Ok(());
    }
    sync(claim).await
}

/// The receipts, before the task is done. Another owner may have written them and died.
pub(crate) async fn received(claim: &Claim) -> Result<(), Trouble> {
    sync(claim).await
}

/// Doing it again is harmless, so it may be sent as a read is.
async fn sync(claim: &Claim) -> Result<(), Trouble> {
    if claim.job.spec.durable {
        read(|| claim.server.call(sql::SYNC_DISKS).execute()).await?;
    }
    Ok(())
}
