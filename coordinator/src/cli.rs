//! The whole grammar on one page: what a user can say, and which command answers.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use longshore_shared::config::{CommonArgs, Config, WorkerArgs};
use longshore_shared::{faults, telemetry};

use crate::commands::{
    cancel, check, doctor, explain, gc, init, jobs, pause, plan, restore, resume, retry, run,
    scale, status, submit, task, tasks,
};
use crate::ui::ending;
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;

/// Messages of the log below this are not shown unless asked for.
const LOG_LEVEL: &str = "warn";

const EXAMPLES: &str = "\
Examples:
  longshore init
  longshore plan files --target db.table --url 's3://bucket/path/*.parquet'
  longshore run JOB --workers 4
  longshore status JOB --watch

Exit codes:
  0 ok
  1 error
  2 wrong usage, setting or input
  3 the job ended, or was paused, with tasks that are not done
  4 a person must allow it first: --yes
  5 the server, or its Keeper, cannot be reached
  6 the state of the job or of the control tables does not admit it
  8 `doctor`, `check` or a dry run found a problem, or `plan diff --exit-code` a difference
  129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM";

/// Load and re-load very large amounts of data into ClickHouse, exactly once
///
/// A plan cuts the work into chunks and writes them as tasks into ClickHouse. A submitted plan is
/// a job; any number of workers load its tasks, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print the result, and an error, as JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Doctor(doctor::DoctorArgs),
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    Submit(submit::SubmitArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    Tasks(tasks::TasksArgs),
    Task(task::TaskArgs),
    Explain(explain::ExplainArgs),
    Pause(pause::PauseArgs),
    Resume(resume::ResumeArgs),
    Retry(retry::RetryArgs),
    Scale(scale::ScaleArgs),
    Cancel(cancel::CancelArgs),
    Restore(restore::RestoreArgs),
    Check(check::CheckArgs),
    Gc(gc::GcArgs),
}

impl Cli {
    /// Runs the command and turns its end into an exit code.
    pub(crate) async fn run(self) -> ExitCode {
        let output = Output::new(self.json);
        let config = match self.config() {
            Ok(config) => config,
            Err(error) => return ending::failure(&error, None, output),
        };
        match Box::pin(self.command.run(&config, output)).await {
            Ok(exit) => exit.into(),
            Err(error) => ending::failure(&error, Some(&config), output),
        }
    }

    fn config(&self) -> Result<Config, Error> {
        let config = self.common.load_with(&self.command.worker_args())?;
        telemetry::init(&config, LOG_LEVEL)?;
        faults::arm();
        Ok(config)
    }
}

impl Command {
    async fn run(self, config: &Config, output: Output) -> Result<Exit, Error> {
        match self {
            Self::Init(args) => init::run(args, config, output).await,
            Self::Doctor(args) => doctor::run(args, config, output).await,
            Self::Plan(command) => plan::run(command, config, output).await,
            Self::Submit(args) => submit::run(args, config, output).await,
            Self::Run(args) => run::run(args, config, output).await,
            Self::Jobs(command) => jobs::run(command, config, output).await,
            Self::Status(args) => status::run(args, config, output).await,
            Self::Tasks(args) => tasks::run(args, config, output).await,
            Self::Task(args) => task::run(args, config, output).await,
            Self::Explain(args) => explain::run(args, config, output).await,
            Self::Pause(args) => pause::run(args, config, output).await,
            Self::Resume(args) => Box::pin(resume::run(args, config, output)).await,
            Self::Retry(args) => Box::pin(retry::run(args, config, output)).await,
            Self::Scale(args) => scale::run(args, config, output).await,
            Self::Cancel(args) => cancel::run(args, config, output).await,
            Self::Restore(args) => restore::run(args, config, output).await,
            Self::Check(args) => check::run(args, config, output).await,
            Self::Gc(args) => gc::run(args, config, output).await,
        }
    }

    /// Settings of the workers that a command starts.
    fn worker_args(&self) -> WorkerArgs {
        match self {
            Self::Run(args) => args.worker_args(),
            Self::Resume(args) => args.worker_args(),
            _ => WorkerArgs::default(),
        }
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
