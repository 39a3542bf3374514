//! `longshore run`: submits a job, works on it with local workers, and ends when it does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use longshore_shared::clickhouse::{Policy, policy};
use longshore_shared::config::{Config, WorkerArgs};
use longshore_shared::faults;
use longshore_shared::store::StoreError;
use longshore_shared::task::{JobId, JobState, StateName};
use serde::Serialize;

use super::status::{self, JobStatus};
use super::submit::{Begun, LimitArgs, Submitted, begin};
use super::tasks::TaskLine;
use crate::census::find_tasks;
use crate::job::admission::ForceArgs;
use crate::local::dead_workers;
use crate::local::progress::{Progress, read_progress};
use crate::local::signals::Signals;
use crate::local::supervisor::Supervisor;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Problem tasks shown in the summary.
const PROBLEMS_MAX: usize = 10;
/// The server may be away for so long before the run is given up; workers wait by themselves.
const AWAY_MAX: Duration = Duration::from_mins(10);
/// Pause between two looks for dead workers of this machine: they miss a heartbeat first.
const DEAD_PAUSE: Duration = Duration::from_secs(1);
/// More local processes than this are a slip of the finger.
const WORKERS_MAX: u64 = 256;

/// Submit a job, work on it with local worker processes, and end when it does
///
/// The exit code says how the job ended: 0 completed, 3 with failed or quarantined tasks, or
/// paused. Ctrl-C lets the workers hand back their tasks; the job stays as it is, and running it
/// again goes on. A second Ctrl-C kills the workers; that is safe too.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Job id, or the first digits of it
    job: String,

    #[command(flatten)]
    workers: LocalWorkersArgs,

    /// Check everything and say what would happen, but change nothing
    ///
    /// The exit code is 8 when something is in the way.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    limit: LimitArgs,

    #[command(flatten)]
    force: ForceArgs,
}

/// Local workers of a command.
#[derive(Debug, Args)]
pub(crate) struct LocalWorkersArgs {
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX))]
    pub(crate) workers: u64,

    /// Loads that each worker runs at the same time [env: LONGSHORE_SLOTS]
    #[arg(long, value_name = "K")]
    slots: Option<u32>,

    /// Folder for the workers' logs, instead of a temporary one
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

impl LocalWorkersArgs {
    /// Settings of the workers.
    pub(crate) fn worker_args(&self) -> WorkerArgs {
        WorkerArgs { slots: self.slots, ..WorkerArgs::default() }
    }
}

impl RunArgs {
    /// Settings of the workers.
    pub(crate) fn worker_args(&self) -> WorkerArgs {
        self.workers.worker_args()
    }
}

/// How the watch over a job ended.
enum End {
    /// Nothing of the job goes on by itself.
    Settled,
    Signal(u8),
}

#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    status: JobStatus,
    /// The first tasks that are not done.
    problems: Vec<TaskLine>,
    /// Folder of the workers' logs, where they were kept.
    logs: Option<PathBuf>,
}

pub(crate) async fn run(args: RunArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let begun = begin(&session, &args.job, args.dry_run, (args.limit, args.force), output).await?;
    let (job, submitted) = match begun {
        Begun::Submitted(job, submitted, _) => (job, submitted),
        Begun::DryRun(exit) => return Ok(exit),
    };
    let job = *job;
    let id = job.id;
    if submitted == Submitted::Ended {
        output.note(&format!("Job {id} has ended before; nothing is left to do."));
        return summary(&session, &id, None, output).await;
    }
    let (tasks, target) = (job.tasks, job.spec.target);
    let words = format!("Job {id}: {} for {target}", text::plural(tasks.into(), "task"));
    work(&session, &id, &words, &args.workers, config, output).await
}

/// Works on a running job with local workers until it ends, or a signal ends that.
pub(crate) async fn work(
    session: &Session,
    id: &JobId,
    words: &str,
    args: &LocalWorkersArgs,
    config: &Config,
    output: Output,
) -> Result<Exit, Error> {
    let mut signals = Signals::listen()?;
    let count = usize::try_from(args.workers).unwrap_or(1);
    let mut supervisor = Supervisor::start(id, count, config, args.log_dir.as_deref())?;
    faults::pass(faults::RUN_STARTED).await?;
    output.note(&format!(
        "{words}, {}. Their logs are in {}.",
        text::plural(args.workers, "worker"),
        supervisor.logs().display()
    ));
    let mut progress = Progress::new(output);
    let end = watch(session, id, &mut supervisor, &mut signals, &mut progress).await;
    progress.finish();
    match end {
        Ok(End::Settled) => {
            faults::pass(faults::RUN_SETTLED).await?;
            let is_well = session.job(id.as_str()).await?.state == JobState::Completed;
            if is_well {
                // Nothing is left for them; by themselves they would find that out later.
                supervisor.drain(&mut signals).await;
            } else {
                supervisor.leave(config.lease, &mut signals).await;
            }
            // What the workers said is wanted most when the job did not end well.
            summary(session, id, supervisor.tidy(is_well), output).await
        }
        Ok(End::Signal(signal)) => {
            output.note(
                "Stopping: the workers finish or hand back their tasks. Once more kills them.",
            );
            supervisor.drain(&mut signals).await;
            supervisor.tidy(false);
            output.note(&format!(
                "Stopped. Job {id} goes on with: longshore run {id} --workers {count}\n\
                 The workers' logs are in {}.",
                supervisor.logs().display()
            ));
            Ok(Exit::Signal(signal))
        }
        Err(error) => {
            supervisor.drain(&mut signals).await;
            supervisor.tidy(false);
            output.note(&format!("The workers' logs are in {}.", supervisor.logs().display()));
            Err(error)
        }
    }
}

/// Follows the job and looks after its workers.
async fn watch(
    session: &Session,
    id: &JobId,
    supervisor: &mut Supervisor,
    signals: &mut Signals,
    progress: &mut Progress,
) -> Result<End, Error> {
    let mut away_since: Option<Instant> = None;
    let mut looked_for_dead = Instant::now();
    loop {
        match read_progress(&session.store, id).await {
            Ok(Some(look)) => {
                away_since = None;
                progress.show(&look);
                if look.job.state != JobState::Running {
                    return Ok(End::Settled);
                }
            }
            Ok(None) => return Err(Report::new(Kind::Conflict, format!("job {id} is gone")).into()),
            Err(StoreError::Failure(failure))
                if matches!(policy(&failure), Policy::Retry | Policy::Outage) =>
            {
                let since = *away_since.get_or_insert_with(|| {
                    progress.note(&format!("no answer from the server, waiting for it: {failure}"));
                    Instant::now()
                });
                if since.elapsed() > AWAY_MAX {
                    return Err(failure.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        for event in supervisor.poll()? {
            progress.note(&event);
        }
        // What is in the way of that goes the usual way: the lease lapses.
        if looked_for_dead.elapsed() >= DEAD_PAUSE {
            for worker in dead_workers::sign_off(&session.store).await.unwrap_or_default() {
                progress.note(&format!("worker {} is gone; its task is taken over", worker.id));
            }
            looked_for_dead = Instant::now();
        }
        tokio::select! {
            signal = signals.next() => return Ok(End::Signal(signal)),
            // A worker that ends may have closed the job.
            () = supervisor.changes() => {}
            () = tokio::time::sleep(progress.pause()) => {}
        }
    }
}

async fn summary(
    session: &Session,
    id: &JobId,
    logs: Option<PathBuf>,
    output: Output,
) -> Result<Exit, Error> {
    let job = session.job(id.as_str()).await?;
    let status = status::read(&session.store, &job).await?;
    let problem_states = [StateName::Failed, StateName::Quarantined];
    let problems = find_tasks(&session.store, &job, &problem_states, PROBLEMS_MAX).await?;
    let problems = problems.into_iter().map(TaskLine::from).collect();
    output.show(&Summary { status, problems, logs }, summary_text)?;
    Ok(if job.state == JobState::Completed { Exit::Done } else { Exit::Unfinished })
}

fn summary_text(summary: &Summary) -> String {
    let Summary { status, problems, logs } = summary;
    let id = &status.job_id;
    let tasks = &status.tasks;
    let mut lines = vec![match status.state {
        JobState::Completed => format!("Job {id} is completed: every row is in {}.", status.target),
        JobState::Failed => format!(
            "Job {id} has ended, and {} of {} are not done.",
            text::count(tasks.unfinished()),
            text::plural(tasks.total, "task")
        ),
        state => format!("Job {id} is {}.", state.as_str()),
    }];
    if !status.reason.is_empty() {
        lines.push(format!("  reason  {}", status.reason));
    }
    lines.push(format!(
        "  tasks   {} of {} done",
        text::count(tasks.done),
        text::count(tasks.total)
    ));
    lines.push(format!("  rows    {}", text::count(status.rows)));
    lines.push(format!(
        "  bytes   {} of {}",
        text::bytes(status.bytes),
        text::bytes(status.bytes_total)
    ));
    if let Some(elapsed_ms) = status.elapsed_ms.and_then(|ms| u64::try_from(ms).ok()) {
        let per_second = |amount: u64| amount.saturating_mul(1_000) / elapsed_ms.max(1);
        lines.push(format!(
            "  took    {} ({} rows/s, {}/s)",
            text::duration(Duration::from_millis(elapsed_ms)),
            text::count(per_second(status.rows)),
            text::bytes(per_second(status.bytes))
        ));
    }
    if !problems.is_empty() {
        lines.push(String::new());
        lines.extend(problems.iter().map(TaskLine::problem));
        let more = tasks.unfinished().saturating_sub(problems.len() as u64);
        if more > 0 {
            lines.push(format!(
                "… and {} more: longshore tasks {id} --state failed,quarantined",
                text::count(more)
            ));
        }
    }
    if let Some(logs) = logs {
        lines.push(format!("\nThe workers' logs are in {}.", logs.display()));
    }
    let next = match (status.state, problems.first()) {
        (JobState::Paused, _) => Some(format!("once the cause is gone: longshore run {id}")),
        (_, Some(problem)) => Some(format!("longshore task {}", problem.task_id())),
        (JobState::Completed, None) => {
            Some(format!("longshore task {id}-0000000 shows the proof of its first task"))
        }
        _ => None,
    };
    lines.extend(next.map(|next| format!("\nNext: {next}")));
    lines.join("\n")
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
