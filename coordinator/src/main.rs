//! `longshore`: plans loads, hands them to workers and shows how they go.

mod alter;
mod choice;
mod cli;
mod commands;
mod contents;
mod doctor;
mod dry_run;
mod ending;
mod exit;
mod filter;
#[cfg(test)]
mod fixture;
mod gone;
mod history;
mod in_flight;
mod last;
mod logs;
mod output;
mod overlap;
mod plan;
mod plan_file;
mod policy;
mod progress;
mod reach;
mod reasons;
mod reopen;
mod replayable;
mod report;
mod session;
mod signals;
mod statement;
mod supervise;
mod text;
mod timeline;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.run().await,
        Err(error) => ending::usage(&error),
    }
}
