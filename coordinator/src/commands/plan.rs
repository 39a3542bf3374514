//! `longshore plan`: makes plans, and shows them.

mod common;
mod copy;
mod files;
mod replay;
mod show;
mod window;

use clap::Subcommand;
use longshore_shared::config::Config;

use crate::exit::{Error, Exit};
use crate::output::Output;

/// Make a plan, or show one
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    // Boxed: many flags.
    Files(Box<files::FilesArgs>),
    Copy(Box<copy::CopyArgs>),
    Replay(Box<replay::ReplayArgs>),
    Show(show::ShowArgs),
}

pub(crate) async fn run(
    command: PlanCommand,
    config: &Config,
    output: Output,
) -> Result<Exit, Error> {
    match command {
        PlanCommand::Files(args) => files::run(*args, config, output).await,
        PlanCommand::Copy(args) => Box::pin(copy::run(*args, config, output)).await,
        PlanCommand::Replay(args) => replay::run(*args, config, output).await,
        PlanCommand::Show(args) => show::run(args, config, output).await,
    }
}
