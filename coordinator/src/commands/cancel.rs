//! `longshore cancel`: ends a job for good, and waits until nothing of it is in flight.

use std::time::Duration;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Job, JobEvent, JobState};
use serde::Serialize;

use crate::census::Census;
use crate::doctor::evidence;
use crate::job::alter::{Altered, alter};
use crate::local::dead_workers;
use crate::local::progress::read_progress;
use crate::local::signals::Signals;
use crate::local::supervisor::Supervisor;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Pause between two looks at a job that is being cancelled.
const LOOK_PAUSE: Duration = Duration::from_millis(300);

/// End a job: loads in flight are given back, what is being published is finished
///
/// What is done stays in the targets. Everything else of the job goes: staging tables, shadows of a
/// job that exchanges or replaces, snapshots. Waits until nothing is in flight; when no worker is
/// alive to see to that, one is started here. A cancelled job can be resumed unless it read a
/// snapshot or filled shadows.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Return at once: workers wind the job down by themselves
    #[arg(long)]
    no_wait: bool,

    /// Why, for whoever looks at the job
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Serialize)]
struct Document {
    job_id: String,
    state: JobState,
    /// False when it was so before.
    changed: bool,
    tasks: Census,
    rows: u64,
    /// Tasks that may have rows in the target although their rows in the task table say otherwise.
    unsettled: u64,
    target: String,
}

pub(crate) async fn run(args: CancelArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let reason = if args.reason.is_empty() { "cancelled by an operator" } else { &args.reason };
    let (job, changed) = match alter(&session.store, job, JobEvent::Cancelled, reason).await? {
        Altered::Now(job) => (job, true),
        Altered::Refused(job)
            if matches!(job.state, JobState::Cancelling | JobState::Cancelled) =>
        {
            (job, false)
        }
        Altered::Refused(job) => {
            let message =
                format!("job {} is {}: there is nothing to cancel", job.id, job.state.as_str());
            return Err(Report::new(Kind::Conflict, message).into());
        }
    };
    let exit = if args.no_wait { Exit::Done } else { wait(&session, &job, config, output).await? };
    let now = read_progress(&session.store, &job.id).await?;
    let Some(now) = now else {
        return Err(Report::new(Kind::Conflict, format!("job {} is gone", job.id)).into());
    };
    let document = Document {
        job_id: job.id.to_string(),
        state: now.job.state,
        changed,
        rows: now.census.rows,
        // A server that is away keeps its evidence.
        unsettled: evidence::of_job(&session, &job).await.map_or(0, |tasks| tasks.len() as u64),
        tasks: now.census,
        target: job.spec.target.to_string(),
    };
    output.show(&document, words)?;
    Ok(exit)
}

/// Until nothing is in flight. Somebody has to see to that: live workers, or one started here.
async fn wait(
    session: &Session,
    job: &Job,
    config: &Config,
    output: Output,
) -> Result<Exit, Error> {
    let mut signals = Signals::listen()?;
    let mut supervisor: Option<Supervisor> = None;
    let mut told = false;
    let end = loop {
        let now = session.store.job(&job.id).await?;
        if now.is_none_or(|now| now.state != JobState::Cancelling) {
            break Exit::Done;
        }
        dead_workers::sign_off(&session.store).await?;
        if let Some(supervisor) = &mut supervisor {
            for event in supervisor.poll()? {
                output.note(&event);
            }
        } else if !told {
            let words =
                format!("Job {} is being cancelled: waiting for what is in flight.", job.id);
            output.note(&words);
            told = true;
            // Whoever lives may be at work on other jobs only, so a worker of our own sees to it.
            match Supervisor::start(&job.id, 1, config, None) {
                Ok(started) => supervisor = Some(started),
                Err(error) if !is_anybody_alive(session).await? => return Err(error),
                Err(_) => output.note("No worker can be started here: others have to see to it."),
            }
        }
        tokio::select! {
            signal = signals.next() => break Exit::Signal(signal),
            () = tokio::time::sleep(LOOK_PAUSE) => {}
        }
    };
    if let Some(mut supervisor) = supervisor {
        supervisor.leave(config.lease, &mut signals).await;
        if let Some(logs) = supervisor.tidy(matches!(end, Exit::Done)) {
            output.note(&format!("The worker's log is in {}.", logs.display()));
        }
    }
    Ok(end)
}

async fn is_anybody_alive(session: &Session) -> Result<bool, Error> {
    Ok(session.store.workers().await?.iter().any(|worker| !worker.has_lapsed()))
}

fn words(document: &Document) -> String {
    let Document { job_id, tasks, target, .. } = document;
    let first = match (document.state, document.changed) {
        (JobState::Cancelled, true) => format!("Job {job_id} is cancelled."),
        (JobState::Cancelled, false) => format!("Job {job_id} was cancelled before."),
        (state, _) => format!("Job {job_id} is {}.", state.as_str()),
    };
    let done = match tasks.done {
        0 if document.unsettled > 0 => String::new(),
        0 => format!("Nothing of it is in {target}."),
        done => format!(
            "{} of {} are done: their {} are in {target}.",
            text::count(done),
            text::plural(tasks.total, "task"),
            text::plural(document.rows, "row")
        ),
    };
    let unsettled = match document.unsettled {
        0 => String::new(),
        count => format!(
            "{} may have rows in {target}: the task table was put back while they were published. Their staging \
             tables are kept. longshore resume {job_id} puts them in quarantine, to be looked at",
            text::plural(count, "task")
        ),
    };
    let sentences = [first, done, unsettled];
    sentences.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
}
