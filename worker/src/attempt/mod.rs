//! One attempt at one task: the protocol, top down.
//!
//! Begin with [`attempt`] below: it is the whole protocol, one line a step and one file a step (`fence`,
//! `staging`, `load`, `verify`, `publish`, `receipt`). Then read `publish`, where rows become visible.
//!
//! Three rules hold everywhere. The fence comes first: nothing of an earlier epoch may act any more. Before
//! the manifest stands in the row of the task, every error leads back to the beginning in a fresh staging set;
//! after it the only way is forward. And no answer is believed where rows move: `proof` looks for parts by
//! their identity. How a bad end is written down says `outcome`; which file or view is at fault, `blame`.

pub(crate) mod blame;
mod direct;
mod durable;
pub(crate) mod fence;
mod load;
mod moves;
pub(crate) mod outcome;
mod proof;
mod publish;
mod recall;
mod receipt;
mod schemas;
pub(crate) mod source;
pub(crate) mod staging;
mod verify;
mod view_chunk;

use longshore_shared::faults;
use longshore_shared::task::{Manifest, Mode, StateName, TaskEvent};

use crate::claim::Claim;
use crate::drift;
use crate::error::AttemptError;
use crate::handover::{preflight, shadows};
use crate::worker::Worker;

/// One attempt at one task, from its claim to its receipt.
///
/// Up to `advance(Loaded)` nothing of the task is in any target, and every failure goes back to
/// the beginning in a fresh staging set. From there on the only way is forward.
pub(crate) async fn attempt(worker: &Worker, claim: &mut Claim) -> Result<(), AttemptError> {
    fence::fence(worker, claim).await?;
    if claim.task.progress.state.name() == StateName::Claimed {
        claim.ensure_running()?;
        fence::check_deaths(worker, claim).await?;
        faults::task(&claim.task.id).await?;
        let manifest = match claim.job.spec.mode {
            _ if claim.is_last() => {
                recall::refuse(claim).await?;
                let manifest = preflight::make_manifest(worker, claim).await?;
                claim.ensure_running()?;
                manifest
            }
            Mode::Staged => Box::pin(stage_and_load(worker, claim)).await?,
            Mode::Direct => {
                recall::refuse(claim).await?;
                direct::load(worker, claim).await?
            }
        };
        worker.edge(faults::MANIFEST_BEFORE).await?;
        let epoch = claim.epoch();
        claim.advance(worker, &TaskEvent::Loaded { epoch, manifest }).await?;
        worker.edge(faults::MANIFEST_AFTER).await?;
    }
    claim.is_loaded();
    let rows = publish::publish_manifest(worker, claim).await?;
    let epoch = claim.epoch();
    claim.advance(worker, &TaskEvent::Published { epoch, rows }).await?;
    worker.edge(faults::DONE_AFTER).await?;
    staging::drop_set(claim).await?;
    if claim.is_last() {
        shadows::drop_shadows(worker, &claim.server, &claim.job, |state| state == StateName::Done)
            .await?;
    }
    worker.edge(faults::DROP_AFTER).await
}

/// Loads into a fresh staging set and writes down what is in it.
async fn stage_and_load(worker: &Worker, claim: &Claim) -> Result<Manifest, AttemptError> {
    drift::schema(claim).await?;
    let (set, (), (), ()) = tokio::try_join!(
        staging::create(worker, claim),
        source::unchanged(worker, claim),
        schemas::expected(worker, claim),
        recall::refuse(claim)
    )?;
    let loaded = load::load_chunk(worker, claim, &set).await?;
    let counted = async {
        // A MOVE renames and links: what it links must be there. What a power loss took before, counts tell.
        durable::sync(claim).await?;
        verify::make_manifest(worker, claim, &set, loaded).await
    };
    let (unchanged, manifest, same_schema) =
        tokio::join!(source::unchanged(worker, claim), counted, drift::schema(claim));
    // A file that was changed says more than the numbers that differ for it.
    unchanged?;
    same_schema?;
    let manifest = manifest?;
    claim.ensure_running()?;
    Ok(manifest)
}
