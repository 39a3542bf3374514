//! What must hold before a job may fill its tables: its environment, a dry run, nobody else there.
//!
//! Every command that makes a job live goes through [`start`], so that no rule has a back door.

use clap::Args;
use longshore_shared::faults;
use longshore_shared::store::{LockStore, Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent, JobState, Stamp};

use crate::alter::Altered;
use crate::exit::{Error, Kind, Report};
use crate::overlap;
use crate::session::Session;

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: usize = 10;

/// Checks that a job which is to run need not pass.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ForceArgs {
    /// Let it run although another job loads into the same table
    #[arg(long)]
    pub(crate) force_overlap: bool,

    /// Let it run although the plan was made for another environment; it is bound to this one
    #[arg(long)]
    pub(crate) force_environment: bool,
}

/// Makes a job live by an event, and says what was allowed and is worth knowing.
///
/// # Errors
/// A conflict when a rule speaks against it.
pub(crate) async fn start(
    session: &Session,
    mut job: Job,
    event: JobEvent,
    reason: &str,
    force: ForceArgs,
) -> Result<(Altered, Vec<String>), Error> {
    for _ in 0..TRIES_MAX {
        let Ok(state) = job.state.next(event) else {
            return Ok((Altered::Refused(job), Vec::new()));
        };
        let mut next = Job {
            state,
            epoch: job.epoch.next(),
            stamp: Stamp::fresh(),
            reason: reason.to_owned(),
            ..job.clone()
        };
        let mut notes = Vec::new();
        if !is_bound_here(session, &job) {
            if !force.force_environment {
                return Err(elsewhere(session, &job).into());
            }
            notes.push(format!("job {} is bound to this environment from now on", job.id));
            next.spec.environment.clone_from(&session.environment);
        }
        if job.state == JobState::Planned && !has_dry_run(session, &job).await? {
            return Err(no_dry_run(&job).into());
        }
        // A job that lives keeps its tables; others are refused, or were let in by an operator.
        if !job.state.is_live() {
            notes.extend(overlap::acquire(session, &job, force.force_overlap).await?);
        }
        if event == JobEvent::Submitted {
            faults::pass(faults::SUBMIT_BEFORE).await?;
        }
        match session.store.swap_job(&job, &next).await? {
            Swap::Won => return Ok((Altered::Now(next), notes)),
            Swap::Lost(Some(now)) => job = now,
            Swap::Lost(None) => break,
        }
    }
    let message = format!("job {} keeps changing, or is gone", job.id);
    Err(Report::new(Kind::Conflict, message).help("look at it: longshore status").into())
}

/// Was the plan made for this environment?
pub(crate) fn is_bound_here(session: &Session, job: &Job) -> bool {
    job.spec.environment == session.environment
}

/// The error of a plan that was made for another environment.
pub(crate) fn elsewhere(session: &Session, job: &Job) -> Report {
    let message = format!(
        "plan {} was made for environment {}, and this is {}",
        job.id, job.spec.environment, session.environment
    );
    Report::new(Kind::Conflict, message).help(
        "check --server and --database, or plan it again here: longshore plan …\n\
         if the plan is meant for this environment all the same: --force-environment",
    )
}

/// Has the dry run that a policy asks for been done?
async fn has_dry_run(session: &Session, job: &Job) -> Result<bool, Error> {
    let is_asked = session.config.rules(&job.spec.target).require_dry_run;
    Ok(!is_asked || session.store.had_dry_run(&job.id).await?)
}

fn no_dry_run(job: &Job) -> Report {
    let (id, target) = (&job.id, &job.spec.target);
    let message =
        format!("policy.require_dry_run asks for a dry run before a job loads into {target}");
    Report::new(Kind::Conflict, message).help(format!("longshore submit {id} --dry-run"))
}
