//! `longshore submit`: hands a plan to the workers, or lets a paused job go on.

use std::num::NonZeroU32;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::faults;
use longshore_shared::task::{Job, JobEvent, JobState};
use serde::Serialize;

use super::scale;
use crate::job::admission::{self, ForceArgs};
use crate::job::alter::Altered;
use crate::job::dry_run;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Hand a plan to the workers, or let a paused job go on
///
/// Submitting twice is harmless. Workers that are running take the job up by themselves.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// Job id, or the first digits of it
    job: String,

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

/// How many loads a job may have.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct LimitArgs {
    /// Load at most so many tasks at the same time, over all workers; `longshore scale` changes it
    #[arg(long, value_name = "N")]
    max_loads: Option<NonZeroU32>,
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
    /// The closing audit has failed the job.
    #[serde(skip)]
    is_audit_failed: bool,
}

pub(crate) async fn run(args: SubmitArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let begun = begin(&session, &args.job, args.dry_run, (args.limit, args.force), output).await?;
    let (job, submitted, notes) = match begun {
        Begun::Submitted(job, submitted, notes) => (job, submitted, notes),
        Begun::DryRun(exit) => return Ok(exit),
    };
    let document = Document {
        job_id: job.id.as_str(),
        state: job.state,
        submitted,
        target: job.spec.target.to_string(),
        tasks: job.tasks,
        notes,
        is_audit_failed: job.spec.audit_failed.is_some(),
    };
    output.show(&document, words)?;
    Ok(if job.state == JobState::Failed { Exit::Unfinished } else { Exit::Done })
}

/// How `submit` and `run` begin.
pub(crate) enum Begun {
    /// The job, what the submit did, and what is worth knowing.
    Submitted(Box<Job>, Submitted, Vec<String>),
    /// Nothing was changed, and nothing follows.
    DryRun(Exit),
}

/// Submits the job of this id, or only says what a submit would do.
pub(crate) async fn begin(
    session: &Session,
    id: &str,
    is_dry_run: bool,
    (limit, force): (LimitArgs, ForceArgs),
    output: Output,
) -> Result<Begun, Error> {
    let job = session.job(id).await?;
    if is_dry_run {
        return dry_run::run(session, &job, force, output).await.map(Begun::DryRun);
    }
    // Before it runs, so that not one load too many begins.
    let job = match limit.max_loads {
        Some(_) => scale::set(session, job, limit.max_loads).await?.0,
        None => job,
    };
    let (job, submitted, notes) = submit(session, job, force).await?;
    output.notes(&notes);
    Ok(Begun::Submitted(Box::new(job), submitted, notes))
}

/// Makes the job run unless it does already or has ended, and says what is worth knowing.
pub(crate) async fn submit(
    session: &Session,
    job: Job,
    force: ForceArgs,
) -> Result<(Job, Submitted, Vec<String>), Error> {
    let (altered, notes) = admission::start(session, job, JobEvent::Submitted, "", force).await?;
    match altered {
        Altered::Now(job) => {
            faults::pass(faults::SUBMIT_AFTER).await?;
            Ok((job, Submitted::Now, notes))
        }
        Altered::Refused(job) => {
            let (job, submitted) = settled(job)?;
            Ok((job, submitted, notes))
        }
    }
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
        JobState::Planning => {
            let message = format!("plan {} is not whole yet", job.id);
            let help =
                "the longshore plan that makes it has to end first; if that was cut: give it again";
            Err(Report::new(Kind::Conflict, message).help(help).into())
        }
        JobState::Deleting => {
            let message = format!("plan {} is being deleted", job.id);
            let help = format!("longshore plan delete {} --yes, then plan it again", job.id);
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
        (Submitted::Ended, _) if document.is_audit_failed => format!(
            "Job {job_id} has ended, and the closing audit failed it.\n\n\
             Next: longshore doctor {job_id}"
        ),
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
                is_audit_failed: false,
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
