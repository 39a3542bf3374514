//! Changes a job by an event, whoever else changes it meanwhile.

use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Job, JobEvent, Stamp};

use crate::exit::{Error, Kind, Report};

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: usize = 10;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Altered {
    /// The job as it is now, by our event.
    Now(Job),
    /// The event does not belong in the state that the job is in.
    Refused(Job),
}

/// Applies the event to the job as it is in force.
pub(crate) async fn alter(
    store: &impl TaskStore,
    mut job: Job,
    event: JobEvent,
    reason: &str,
) -> Result<Altered, Error> {
    for _ in 0..TRIES_MAX {
        match once(store, job, event, reason).await? {
            Once::Ended(altered) => return Ok(altered),
            Once::Lost(now) => job = now,
        }
    }
    Err(restless(&job))
}

enum Once {
    Ended(Altered),
    /// Somebody else changed it: this is in force.
    Lost(Job),
}

async fn once(
    store: &impl TaskStore,
    job: Job,
    event: JobEvent,
    reason: &str,
) -> Result<Once, Error> {
    let Ok(state) = job.state.next(event) else { return Ok(Once::Ended(Altered::Refused(job))) };
    let next = Job {
        state,
        epoch: job.epoch.next(),
        stamp: Stamp::fresh(),
        reason: reason.to_owned(),
        ..job.clone()
    };
    match store.swap_job(&job, &next).await? {
        Swap::Won => Ok(Once::Ended(Altered::Now(next))),
        Swap::Lost(Some(now)) => Ok(Once::Lost(now)),
        Swap::Lost(None) => Err(restless(&job)),
    }
}

fn restless(job: &Job) -> Error {
    let message = format!("job {} keeps changing, or is gone", job.id);
    Report::new(Kind::Conflict, message).help("look at it: longshore status").into()
}
