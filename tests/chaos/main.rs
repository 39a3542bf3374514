//! `scripts/chaos`: jobs under random faults, checked row by row. See docs/testbed.md.

mod deeds;
mod ends;
mod kind;
mod known;
mod lane;
mod people;
mod record;
mod report;
mod request_faults;
mod schedule;
mod servers;
mod spoils;
mod supervisor;
mod tables;
mod verdict;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::kind::Kind;
use crate::lane::Campaign;
use crate::record::Record;

/// Load job after job while servers, workers, commands and connections fail at random, and compare
/// every row with the files
///
/// The schedule of faults follows from the seed alone; when they hit follows from the machine too.
/// Exit code 0: nothing was lost, doubled or left; 1: something was.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// How long new jobs are begun
    #[arg(long, value_name = "M", default_value_t = 5.0)]
    minutes: f64,
    /// Seed of the schedule [default: a random one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Beds with a job each at the same time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=16))]
    lanes: u64,
    /// Only these kinds of faults
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = kind)]
    faults: Vec<Kind>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write one line of JSON for each fault [default: a new file in the temporary folder]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// End with the first thing that is lost, doubled or left
    #[arg(long)]
    until_failure: bool,
    /// A further variable for every worker; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    worker_env: Vec<(String, String)>,
    /// Folder with the programs of another version: a worker and some commands are of that one
    #[arg(long, value_name = "FOLDER")]
    other_version: Option<PathBuf>,
    /// Replicated tables on two replicas with three Keepers: each is compared
    #[arg(long)]
    replicas: bool,
    /// Lease of the workers
    #[arg(long, value_name = "TIME", default_value = "2s")]
    lease: String,
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ");
    Kind::named(text).ok_or_else(|| format!("known kinds: {}", known()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Set by Ctrl-C or SIGTERM, so that beds are wiped and the report is written.
fn on_signal() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let set = interrupted.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let heard = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let mut term = signal(SignalKind::terminate())?;
                let mut int = signal(SignalKind::interrupt())?;
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                Ok(())
            })
        });
        match heard {
            Ok(()) => set.store(true, Ordering::Relaxed),
            Err(error) => eprintln!("chaos: signals are not listened to: {error}"),
        }
    });
    interrupted
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let log = arguments.log.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("longshore-chaos-{seed}-{}.jsonl", std::process::id()))
    });
    let record = match Record::new(seed, &log) {
        Ok(record) => Arc::new(record),
        Err(error) => {
            eprintln!("chaos: {}: {error}", log.display());
            return ExitCode::from(2);
        }
    };
    println!("seed {seed}, fault log {}", log.display());
    let campaign = Campaign {
        record: record.clone(),
        end: Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0),
        stop: Arc::default(),
        interrupted: on_signal(),
        until_failure: arguments.until_failure,
        only: arguments.faults,
        lease: arguments.lease,
        worker_env: arguments.worker_env,
        other_version: arguments.other_version,
        replicas: arguments.replicas,
    };
    let lost_lanes = thread::scope(|scope| {
        let lanes: Vec<_> = (0..arguments.lanes)
            .map(|lane| {
                let campaign = &campaign;
                scope.spawn(move || lane::run(campaign, lane))
            })
            .collect();
        lanes.into_iter().filter_map(|lane| lane.join().err()).count()
    });
    let mut sums = record.sums();
    if lost_lanes > 0 {
        sums.findings.push(format!("{lost_lanes} lanes ended with a panic"));
    }
    let is_well = report::tell(&sums, seed, record.seconds(), &log, arguments.report.as_deref());
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
