//! `longshore resume`: lets a job go on, whatever it stopped at.

use clap::Args;
use longshore_shared::config::{Config, WorkerArgs};
use longshore_shared::task::{Job, JobState};
use serde::Serialize;

use super::retry::{self, Opened, RetryRequest};
use super::run::{self, LocalWorkersArgs};
use super::submit::submit;
use crate::job::admission::ForceArgs;
use crate::job::audited::AuditArgs;
use crate::job::in_flight::{self, InFlight};
use crate::job::reopen::Counts;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Let a job go on: one that was paused, halted, cancelled, interrupted, or has failed tasks
///
/// Looks at the server first: what is in flight there, in whose hands. Tasks of workers of this
/// machine that are gone are taken over at once instead of after their lease. Failed tasks are tried
/// again from their beginning; quarantined ones wait for `longshore retry`. With --workers the job
/// is worked on here, as `run` does.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Load tasks that are done once more: only where the partitions they went into are empty now
    #[arg(long)]
    replay_done: bool,

    /// Work on it here, with local worker processes, until it ends
    #[arg(long)]
    here: bool,

    #[command(flatten)]
    workers: LocalWorkersArgs,

    #[command(flatten)]
    audit: AuditArgs,

    #[command(flatten)]
    force: ForceArgs,
}

impl ResumeArgs {
    /// Settings of the workers.
    pub(crate) fn worker_args(&self) -> WorkerArgs {
        self.workers.worker_args()
    }
}

#[derive(Debug, Serialize)]
struct Document {
    job_id: String,
    /// Where it stood.
    was: JobState,
    state: JobState,
    failed_retried: u64,
    done_replayed: u64,
    in_flight: Vec<InFlight>,
    /// What was allowed and is worth knowing.
    notes: Vec<String>,
}

pub(crate) async fn run(args: ResumeArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let was = job.state;
    let in_flight = in_flight::read_all(&session, &job).await?;
    let (job, counts, notes) = go_on(&session, job, &args).await?;
    output.notes(&notes);
    let document = Document {
        job_id: job.id.to_string(),
        was,
        state: job.state,
        failed_retried: counts.failed,
        done_replayed: counts.done,
        in_flight,
        notes,
    };
    if args.here && job.state == JobState::Running {
        let words = words(&document);
        output.note(words.split("\n\n").next().unwrap_or_default());
        let words = format!("Job {}", job.id);
        return run::work(&session, &job.id, &words, &args.workers, config, output).await;
    }
    output.show(&document, words)?;
    Ok(Exit::Done)
}

/// Makes it run again, by whatever that takes.
async fn go_on(
    session: &Session,
    job: Job,
    args: &ResumeArgs,
) -> Result<(Job, Counts, Vec<String>), Error> {
    let ResumeArgs { replay_done, audit, force, .. } = *args;
    let request =
        RetryRequest { failed: true, done: replay_done, audit, ..RetryRequest::default() };
    match job.state {
        JobState::Cancelling => {
            let message = format!("job {} is being cancelled", job.id);
            let help =
                format!("longshore cancel {} waits for its end; then it can be resumed", job.id);
            Err(Report::new(Kind::Conflict, message).help(help).into())
        }
        JobState::Completed if !replay_done => Ok((job, Counts::default(), Vec::new())),
        JobState::Planned | JobState::Paused | JobState::Halted | JobState::Running
            if !replay_done =>
        {
            let (job, _, notes) = submit(session, job, force).await?;
            Ok((job, Counts::default(), notes))
        }
        _ => {
            let Opened { job, counts, notes } = retry::open(session, job, &request, force).await?;
            Ok((job, counts, notes))
        }
    }
}

fn words(document: &Document) -> String {
    let Document { job_id, .. } = document;
    let mut lines = vec![match (document.was, document.state) {
        (JobState::Running, JobState::Running) => format!("Job {job_id} is running."),
        (_, JobState::Running) => format!("Job {job_id} goes on."),
        (_, JobState::Completed) => {
            format!("Job {job_id} is completed: there is nothing to resume.")
        }
        (_, state) => format!("Job {job_id} is {}.", state.as_str()),
    }];
    let retried =
        |count, what: &str| (count > 0).then(|| format!("{} {what}.", text::plural(count, "task")));
    lines.extend(retried(document.failed_retried, "that had failed will be tried again"));
    lines.extend(retried(document.done_replayed, "that were done will be loaded once more"));
    lines.extend(in_flight::words(&document.in_flight));
    if document.state == JobState::Running {
        lines.push(format!(
            "\nNext: longshore status {job_id} --watch\n{:6}or work on it here: longshore resume {job_id} --here --workers 4",
            ""
        ));
    }
    lines.join("\n")
}
