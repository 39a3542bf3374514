//! `longshore-worker`: claims tasks and loads them exactly once.

mod attempt;
mod board;
mod claim;
mod close;
mod crowd;
mod drift;
mod error;
mod handover;
mod heartbeat;
mod job_change;
mod lease;
mod run;
mod server_clock;
mod servers;
mod shutdown;
mod waits;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use longshore_shared::config::{CommonArgs, WorkerArgs};
use longshore_shared::{faults, telemetry};

/// Claim tasks of submitted jobs and load them into ClickHouse, exactly once
///
/// A worker keeps no state: start as many as the server can feed, on any machine that reaches it,
/// and stop or kill any of them at any time. SIGTERM drains: tasks that are not published yet are
/// handed back, the others are finished. A second signal ends it at once; nothing is lost.
#[derive(Debug, Parser)]
#[command(name = "longshore-worker", version)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    /// Work on this job only
    #[arg(long, value_name = "JOB")]
    job: Option<longshore_shared::task::JobId>,
    /// End when no job is running any more, instead of waiting for the next one
    #[arg(long)]
    exit_when_idle: bool,
    /// Workers that one command starts together: they share the server's cores
    #[arg(long, hide = true, env = "LONGSHORE_TOGETHER", value_name = "N")]
    together: Option<u32>,
    /// Name shown for this worker [default: the host name]
    #[arg(long, env = "LONGSHORE_WORKER_NAME", value_name = "NAME")]
    name: Option<String>,
    /// File with the keys of the store as NAME=value lines, instead of the environment
    #[arg(long, env = "LONGSHORE_SOURCE_KEYS_FILE", value_name = "FILE")]
    source_keys_file: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("longshore-worker: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(arguments: Arguments) -> Result<(), crate::error::StartError> {
    let config = arguments.common.load_with(&arguments.worker)?;
    telemetry::init(&config, "info")?;
    faults::arm();
    let options = crate::worker::Options {
        job: arguments.job,
        exit_when_idle: arguments.exit_when_idle,
        name: arguments.name.unwrap_or_else(longshore_shared::machine::host_name),
        keys_file: arguments.source_keys_file,
        together: arguments.together,
        lost: std::sync::Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(crate::error::StartError::Runtime)?;
    let drain = shutdown::on_signal().map_err(crate::error::StartError::Runtime)?;
    runtime.block_on(crate::run::worker(config, options, drain))
}
