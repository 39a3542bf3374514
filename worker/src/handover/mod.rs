//! The last task of a job that publishes at its end: it puts the shadows in the place of their targets.
//!
//! It is a task like any other: claimed, fenced, taken over. Its manifest names each target and its
//! shadow by UUID. What a target is at a moment is read from those UUIDs alone, so it does not
//! matter what was answered, or how often this was begun.

mod exchange;
mod late_rows;
pub(crate) mod preflight;
mod replace;
pub(crate) mod shadows;
mod unfinished;

use longshore_shared::task::{Handover, PublishMode};

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Brings one target and its shadow to the end of their way.
pub(crate) async fn hand_over(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    is_first: bool,
    step: &mut usize,
) -> Result<(), AttemptError> {
    match handover.mode {
        PublishMode::Exchange => exchange::exchange(worker, claim, handover, step).await,
        _ => replace::partitions(worker, claim, handover, is_first, step).await,
    }
}
