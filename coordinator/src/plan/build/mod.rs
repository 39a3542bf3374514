//! The second stage of a plan: asks servers and stores what the input leaves open, and refuses what
//! cannot be loaded. Staging tables that are tried on the way are gone at the end; nothing else changes.

mod copy;
mod files;
mod replay;

use longshore_shared::config::Config;

use super::draft::Draft;
use super::input::PlanInput;
use crate::session::Session;
use crate::ui::error::Error;

pub(crate) use files::validate_files;

/// Makes the draft of what is asked for.
pub(crate) async fn build(
    session: &Session,
    config: &Config,
    input: PlanInput,
) -> Result<Draft, Error> {
    match input {
        PlanInput::Files(input) => Box::pin(files::build(session, config, input)).await,
        PlanInput::Copy(input) => Box::pin(copy::build(session, config, input)).await,
        PlanInput::Replay(input) => Box::pin(replay::build(session, config, input)).await,
    }
}
