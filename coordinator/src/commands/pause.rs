//! `longshore pause`: no new claims of a job, until it is resumed.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::task::{JobEvent, JobState};
use serde::Serialize;

use crate::job::alter::{Altered, alter};
use crate::job::in_flight::{self, InFlight};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;

/// Stop a job from being worked on, until it is resumed
///
/// Workers claim none of its tasks any more; what is in flight goes on to its end. With --now loads
/// in flight are given back within seconds and begin anew later; only what is being moved into the
/// targets already is finished.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Give loads in flight back at once
    #[arg(long)]
    now: bool,

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
    reason: String,
    in_flight: Vec<InFlight>,
}

pub(crate) async fn run(args: PauseArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let (event, wanted) = if args.now {
        (JobEvent::Halted, JobState::Halted)
    } else {
        (JobEvent::Paused, JobState::Paused)
    };
    let reason = if args.reason.is_empty() { "paused by an operator" } else { &args.reason };
    let (job, changed) = match alter(&session.store, job, event, reason).await? {
        Altered::Now(job) => (job, true),
        Altered::Refused(job) if job.state == wanted || job.state == JobState::Halted => {
            (job, false)
        }
        Altered::Refused(job) => {
            let message =
                format!("job {} is {}: there is nothing to pause", job.id, job.state.as_str());
            return Err(Report::new(Kind::Conflict, message)
                .help(format!("look at it: longshore status {}", job.id))
                .into());
        }
    };
    let in_flight = in_flight::read_all(&session, &job).await?;
    let document = Document {
        job_id: job.id.to_string(),
        state: job.state,
        changed,
        reason: job.reason,
        in_flight,
    };
    output.show(&document, words)?;
    Ok(Exit::Done)
}

fn words(document: &Document) -> String {
    let Document { job_id, .. } = document;
    let mut lines = vec![match (document.changed, document.state) {
        (false, state) => format!("Job {job_id} is {} already.", state.as_str()),
        (true, JobState::Halted) => {
            format!("Job {job_id} is halted: loads in flight are given back.")
        }
        (true, _) => format!("Job {job_id} is paused: what is in flight goes on to its end."),
    }];
    lines.extend(in_flight::words(&document.in_flight));
    lines.push(format!("\nNext: longshore resume {job_id}"));
    lines.join("\n")
}
