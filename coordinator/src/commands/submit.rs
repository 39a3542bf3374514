//! `longshore submit`: hands a plan to the workers, or lets a paused job go on.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::faults;
use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent, JobState, Stamp};
use serde::Serialize;

use crate::exit::{Error, Exit, Kind, Report};
use crate::output::Output;
use crate::overlap;
use crate::session::Session;
use crate::text;

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: usize = 10;

/// Hand a plan to the workers, or let a paused job go on
///
/// Submitting twice is harmless. Workers that are running take the job up by themselves.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// Job id, or the first digits of it
    job: String,

    #[command(flatten)]
    force: ForceArgs,
}

/// Checks that a job which is to run need not pass.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ForceArgs {
    /// Let it run although another job loads into the same table
    #[arg(long)]
    pub(crate) force_overlap: bool,
}

/// What a submit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Submitted {
    /// The job runs from now on.
    Now,
    /// It ran before.
    Before,
    /// It has ended.
    Ended,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    job_id: &'a str,
    state: JobState,
    submitted: Submitted,
    target: String,
    tasks: u32,
    /// What was allowed and is worth knowing.
    notes: Vec<String>,
}

pub(crate) async fn run(args: SubmitArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let (job, submitted, notes) = submit(&session, job, &args.force).await?;
    for note in &notes {
        output.note(note);
    }
    let document = Document {
        job_id: job.id.as_str(),
        state: job.state,
        submitted,
        target: job.spec.target.to_string(),
        tasks: job.tasks,
        notes,
    };
    output.show(&document, words)?;
    Ok(if job.state == JobState::Failed { Exit::Unfinished } else { Exit::Done })
}

/// Makes the job run unless it does already or has ended.
pub(crate) async fn submit(
    session: &Session,
    job: Job,
    force: &ForceArgs,
) -> Result<(Job, Submitted, Vec<String>), Error> {
    if job.spec.environment != session.environment {
        let message = format!("plan {} was made for another environment", job.id);
        let help = "plan it again here: longshore plan files …";
        return Err(Report::new(Kind::Conflict, message).help(help).into());
    }
    let mut job = job;
    for _ in 0..TRIES_MAX {
        let Ok(state) = job.state.next(JobEvent::Submitted) else {
            let (job, submitted) = settled(job)?;
            return Ok((job, submitted, Vec::new()));
        };
        let notes = overlap::acquire(session, &job, force.force_overlap).await?;
        let next = Job {
            state,
            epoch: job.epoch.next(),
            stamp: Stamp::fresh(),
            reason: String::new(),
            ..job.clone()
        };
        faults::pass(faults::SUBMIT_BEFORE).await?;
        match session.store.swap_job(&job, &next).await? {
            Swap::Won => {
                faults::pass(faults::SUBMIT_AFTER).await?;
                return Ok((next, Submitted::Now, notes));
            }
            Swap::Lost(Some(now)) => job = now,
            Swap::Lost(None) => break,
        }
    }
    let message = format!("job {} keeps changing, or is gone", job.id);
    Err(Report::new(Kind::Conflict, message).help("look at it: longshore status").into())
}

fn settled(job: Job) -> Result<(Job, Submitted), Error> {
    match job.state {
        JobState::Completed | JobState::Failed => Ok((job, Submitted::Ended)),
        JobState::Cancelling | JobState::Cancelled => {
            let message = format!("job {} was cancelled", job.id);
            let help = format!("to let it go on all the same: longshore resume {}", job.id);
            Err(Report::new(Kind::Conflict, message).help(help).into())
        }
        JobState::Reopening => {
            let message = format!("tasks of job {} are being opened again", job.id);
            let help = format!("if that was interrupted: longshore resume {}", job.id);
            Err(Report::new(Kind::Conflict, message).help(help).into())
        }
        JobState::Planned | JobState::Running | JobState::Paused | JobState::Halted => {
            Ok((job, Submitted::Before))
        }
    }
}

fn words(document: &Document<'_>) -> String {
    let Document { job_id, target, .. } = document;
    let tasks = text::plural(document.tasks.into(), "task");
    match (document.submitted, document.state) {
        (Submitted::Now, _) => format!(
            "Job {job_id} runs: {tasks} for {target}.\n\n\
             Next: start workers with `longshore-worker`, or `longshore run {job_id} --workers 4` here\n\
             {:6}watch it with `longshore status {job_id} --watch`",
            ""
        ),
        (Submitted::Before, _) => format!("Job {job_id} is already running."),
        (Submitted::Ended, JobState::Completed) => {
            format!("Job {job_id} is already completed: {tasks} for {target}.")
        }
        (Submitted::Ended, _) => format!(
            "Job {job_id} has ended, and some of its tasks are not done.\n\n\
             Next: longshore tasks {job_id} --state failed,quarantined"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_it_changed_anything() {
        let words = |submitted, state| {
            words(&Document {
                job_id: "0123456789abcdef",
                state,
                submitted,
                target: "db.t".into(),
                tasks: 40,
                notes: Vec::new(),
            })
        };
        insta::assert_snapshot!(words(Submitted::Now, JobState::Running), @"
        Job 0123456789abcdef runs: 40 tasks for db.t.

        Next: start workers with `longshore-worker`, or `longshore run 0123456789abcdef --workers 4` here
              watch it with `longshore status 0123456789abcdef --watch`
        ");
        insta::assert_snapshot!(words(Submitted::Before, JobState::Running), @"Job 0123456789abcdef is already running.");
        insta::assert_snapshot!(words(Submitted::Ended, JobState::Completed), @"Job 0123456789abcdef is already completed: 40 tasks for db.t.");
        insta::assert_snapshot!(words(Submitted::Ended, JobState::Failed), @"
        Job 0123456789abcdef has ended, and some of its tasks are not done.

        Next: longshore tasks 0123456789abcdef --state failed,quarantined
        ");
    }
}
