//! `longshore plan`: makes plans, shows them, carries them elsewhere.

mod common;
mod copy;
mod delete;
mod diff;
mod export;
mod files;
mod import;
mod list;
mod replay;
mod show;

use clap::Subcommand;
use longshore_shared::config::Config;

use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;

/// Make plans, show them, carry them elsewhere
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    // Boxed: many flags.
    Files(Box<files::FilesArgs>),
    Copy(Box<copy::CopyArgs>),
    Replay(Box<replay::ReplayArgs>),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Diff(diff::DiffArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Delete(delete::DeleteArgs),
}

pub(crate) async fn run(
    command: PlanCommand,
    config: &Config,
    output: Output,
) -> Result<Exit, Error> {
    match command {
        PlanCommand::Files(args) => Box::pin(files::run(*args, config, output)).await,
        PlanCommand::Copy(args) => Box::pin(copy::run(*args, config, output)).await,
        PlanCommand::Replay(args) => replay::run(*args, config, output).await,
        PlanCommand::List(args) => list::run(args, config, output).await,
        PlanCommand::Diff(args) => diff::run(args, config, output).await,
        PlanCommand::Show(args) => show::run(args, config, output).await,
        PlanCommand::Export(args) => export::run(args, config, output).await,
        PlanCommand::Delete(args) => delete::run(args, config, output).await,
        PlanCommand::Import(args) => Box::pin(import::run(args, config, output)).await,
    }
}
