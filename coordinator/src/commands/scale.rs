//! `longshore scale`: how many tasks of a job may be loaded at the same time.

use std::num::NonZeroU32;
use std::str::FromStr;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Job, JobState};
use serde::Serialize;

use crate::job::alter::keeps_changing;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: usize = 10;

/// Change how many tasks of a job may be loaded at the same time, also while it runs
///
/// The number holds for all workers together. Loads that have begun go on to their end, and what is loaded
/// is published. Without a limit each worker loads as many tasks as it has slots.
#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Tasks at the same time, or `none` for no limit
    #[arg(long, value_name = "N|none")]
    loads: Loads,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loads(Option<NonZeroU32>);

impl FromStr for Loads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let number = text.parse().map_err(|_| {
            "it is a number from 1, or `none`; to stop a job: longshore pause".to_owned()
        })?;
        Ok(Self(Some(number)))
    }
}

#[derive(Debug, Serialize)]
struct Document {
    job_id: String,
    state: JobState,
    /// Tasks at the same time; null for no limit.
    loads_max: Option<u32>,
    /// False when it was so before.
    changed: bool,
}

pub(crate) async fn run(args: ScaleArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let (job, changed) = set(&session, job, args.loads.0).await?;
    let (job_id, state, loads_max) = (job.id.to_string(), job.state, job.spec.loads_max);
    output.show(&Document { job_id, state, loads_max, changed }, words)?;
    Ok(Exit::Done)
}

/// Writes the limit on the row of a job. False when it was there before.
///
/// # Errors
/// A conflict when the job has ended, is being ended, or is being changed by another command.
pub(crate) async fn set(
    session: &Session,
    mut job: Job,
    loads: Option<NonZeroU32>,
) -> Result<(Job, bool), Error> {
    let loads = loads.map(NonZeroU32::get);
    for _ in 0..TRIES_MAX {
        if job.spec.loads_max == loads {
            return Ok((job, false));
        }
        if !matches!(
            job.state,
            JobState::Planned | JobState::Running | JobState::Paused | JobState::Halted
        ) {
            let message =
                format!("job {} is {}: it has no loads to limit", job.id, job.state.as_str());
            return Err(Report::new(Kind::Conflict, message)
                .help(format!("look at it: longshore status {}", job.id))
                .into());
        }
        let mut next = job.changed();
        next.spec.loads_max = loads;
        match session.store.swap_job(&job, &next).await? {
            Swap::Won => return Ok((next, true)),
            Swap::Lost(Some(now)) => job = now,
            Swap::Lost(None) => break,
        }
    }
    Err(keeps_changing(&job))
}

fn words(document: &Document) -> String {
    let Document { job_id, loads_max, changed, .. } = document;
    let again = if *changed { "" } else { " already" };
    match loads_max {
        None => format!("Job {job_id} has no limit on loads{again}."),
        Some(limit) => format!(
            "Job {job_id} loads {} at a time{again}, over all workers.",
            text::plural(u64::from(*limit), "task")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_from_one_or_none() {
        assert_eq!("none".parse(), Ok(Loads(None)));
        assert_eq!("3".parse(), Ok(Loads(NonZeroU32::new(3))));
        for wrong in ["0", "-1", "", "all", "1.5"] {
            assert!(wrong.parse::<Loads>().unwrap_err().contains("longshore pause"), "{wrong}");
        }
    }
}
