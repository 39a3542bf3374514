//! `longshore`: plans loads, hands them to workers and shows how they go.

mod census;
mod cli;
mod commands;
mod doctor;
mod grants;
mod job;
mod local;
mod plan;
mod reach;
mod session;
mod ui;

#[cfg(test)]
mod fixture;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.run().await,
        Err(error) => ui::ending::usage(&error),
    }
}
