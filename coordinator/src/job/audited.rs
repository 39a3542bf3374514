//! A job that the closing audit has failed: what was found stays true until a person says otherwise.
//!
//! The server may not show it any more at the next audit: it lists merged parts for minutes, and what it set
//! aside can be removed. So the finding stands in the row of the job, whatever becomes of the job meanwhile,
//! and nothing of it runs again without `--audit-again`.

use clap::Args;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::task::{Job, JobState};

use crate::census::census;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// What a person says of a failed audit.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct AuditArgs {
    /// Let a job run again that the closing audit has failed, and audit it anew: only after the cause is mended
    #[arg(long)]
    pub(crate) audit_again: bool,
}

/// Refuses to let a job run again that the closing audit has failed, unless a person asks for it. `is_idle`: no task
/// of it would be loaded again.
///
/// # Errors
/// A conflict with what was found and the way out.
pub(crate) async fn refuse(
    session: &Session,
    job: &Job,
    is_idle: bool,
    args: AuditArgs,
) -> Result<(), Error> {
    if args.audit_again || planted(Bug::AuditUnasked) {
        return Ok(());
    }
    let found = match &job.spec.audit_failed {
        Some(found) => found,
        // Workers of earlier versions left the finding in the reason alone.
        None if is_idle && is_all_done(session, job).await? => &job.reason,
        None => return Ok(()),
    };
    Err(report(job, found).into())
}

/// Has the job failed although all of its tasks are done?
pub(crate) async fn is_all_done(session: &Session, job: &Job) -> Result<bool, Error> {
    if job.state != JobState::Failed {
        return Ok(false);
    }
    Ok(census(&session.store, job).await?.done == u64::from(job.tasks))
}

fn report(job: &Job, found: &str) -> Report {
    let message = format!("job {} stays as it is: {}", job.id, found.trim_end_matches('.'));
    Report::new(Kind::Conflict, message).help(format!(
        "docs/recovery.md says what each finding means: The closing audit failed a job\n\
         A second audit can miss what the first one found, because the server forgets merged parts.\n\
         When the cause is mended: longshore resume {} --audit-again",
        job.id
    ))
}
