//! What must hold before a job may fill its tables: its environment, a dry run, nobody else there.
//!
//! Every command that makes a job live goes through [`start`], so that no rule has a back door.

use clap::Args;
use longshore_shared::faults;
use longshore_shared::store::{LockStore, Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent, JobServer, JobState, Place, TaskId};

use super::alter::{Altered, keeps_changing};
use super::overlap;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: u32 = 10;

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
    for lost in 0..TRIES_MAX {
        match start_exactly(session, &job, event, reason, force, lost, |_| {}).await? {
            Started::Now(job, notes) => return Ok((Altered::Now(job), notes)),
            Started::Refused => return Ok((Altered::Refused(job), Vec::new())),
            Started::Changed(now) => job = now,
        }
    }
    Err(keeps_changing(&job))
}

/// What became of one try.
pub(crate) enum Started {
    /// The job as it is now, and what is worth knowing.
    Now(Job, Vec<String>),
    /// The event does not belong in the state that the job is in.
    Refused,
    /// Somebody else has changed the job since it was read: this is it now.
    Changed(Job),
}

/// Makes a job live by an event if it is still exactly the one that was read, so that whatever was
/// decided from that row is true. `lost` is the number of tries before this one.
///
/// # Errors
/// A conflict when a rule speaks against it.
pub(crate) async fn start_exactly(
    session: &Session,
    job: &Job,
    event: JobEvent,
    reason: &str,
    force: ForceArgs,
    lost: u32,
    change: impl FnOnce(&mut Job),
) -> Result<Started, Error> {
    let Ok(mut next) = job.after(event, reason) else { return Ok(Started::Refused) };
    change(&mut next);
    let mut notes = Vec::new();
    if !is_bound_here(session, job) && !force.force_environment {
        return Err(elsewhere(session, job).into());
    }
    if force.force_environment {
        notes.extend(rebind(session, &mut next, job.state).await?);
    }
    if job.state == JobState::Planned && !has_dry_run(session, job).await? {
        return Err(no_dry_run(job).into());
    }
    // A job that lives keeps its tables; others are refused, or were let in by an operator.
    if !job.state.is_live() {
        notes.extend(overlap::acquire(session, job, force.force_overlap, lost).await?);
    }
    if event == JobEvent::Submitted {
        faults::pass(faults::SUBMIT_BEFORE).await?;
    }
    match session.store.swap_job(job, &next).await? {
        Swap::Won => Ok(Started::Now(next, notes)),
        Swap::Lost(Some(now)) => Ok(Started::Changed(now)),
        Swap::Lost(None) => Err(keeps_changing(job)),
    }
}

/// Was the plan made for this environment?
pub(crate) fn is_bound_here(session: &Session, job: &Job) -> bool {
    job.spec.environment == session.environment
}

/// Binds the job to this environment and, while nothing of it was loaded, to this server.
async fn rebind(session: &Session, job: &mut Job, was: JobState) -> Result<Option<String>, Error> {
    let home = session.home().await?;
    let was_bound = job.spec.clone();
    match was {
        JobState::Planned => job.spec.rebind(&session.environment, &home.url, &home.uuid),
        _ => job.spec.environment.clone_from(&session.environment),
    }
    let is_new = job.spec != was_bound;
    Ok(is_new.then(|| format!("job {} is bound to this environment from now on", job.id)))
}

/// The server that the plan was made on, when workers that are at home here leave it alone.
pub(crate) fn other_server<'a>(job: &'a Job, home_uuid: &str) -> Option<&'a JobServer> {
    let first = TaskId { job: job.id.clone(), ordinal: 0 };
    match job.spec.place(&first, home_uuid) {
        Place::Elsewhere(server) => Some(server),
        Place::Home | Place::On(_) => None,
    }
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
    Ok(!asks_for_dry_run(session, job) || session.store.had_dry_run(&job.id).await?)
}

/// Must a dry run be done before this job is submitted?
pub(crate) fn asks_for_dry_run(session: &Session, job: &Job) -> bool {
    session.config.rules(&job.spec.target).require_dry_run
}

fn no_dry_run(job: &Job) -> Report {
    let (id, target) = (&job.id, &job.spec.target);
    let message =
        format!("policy.require_dry_run asks for a dry run before a job loads into {target}");
    Report::new(Kind::Conflict, message).help(format!("longshore submit {id} --dry-run"))
}
