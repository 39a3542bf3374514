//! `longshore jobs`: the jobs of these control tables.

use clap::{Args, Subcommand};
use longshore_shared::config::Config;

use super::job_filter::JobFilter;
use super::status;
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;

/// List jobs
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs and plans, and how far they are
    List(ListArgs),
}

/// List jobs and plans, and how far they are
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: JobFilter,
}

pub(crate) async fn run(
    command: JobsCommand,
    config: &Config,
    output: Output,
) -> Result<Exit, Error> {
    let JobsCommand::List(args) = command;
    let session = Session::open(config).await?;
    let jobs = args.filter.jobs(&session).await?;
    output.show(&status::list(&session, jobs).await?, status::list_text)?;
    Ok(Exit::Done)
}
