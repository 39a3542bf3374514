//! The end of an attempt that did not go well: the task is given back, or up, or let go.

use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_shared::clickhouse::task_delay;
use longshore_shared::task::{Manifest, StateName, TaskEvent};

use super::{fence, staging};
use crate::claim::Claim;
use crate::error::{AttemptError, Remedy};
use crate::job_change;
use crate::waits::outage;
use crate::worker::Worker;

/// Between two looks at a server that is away.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Gives a task back, or up, or lets it go. Returns what happened, for the history.
pub(crate) async fn end_badly(
    worker: &Worker,
    claim: &mut Claim,
    trouble: &AttemptError,
) -> &'static str {
    let epoch = claim.epoch();
    let state = claim.task.progress.state.name();
    let remedy = match (state, trouble) {
        (StateName::Publishing, AttemptError::Unprovable(evidence)) => {
            let evidence = evidence.clone();
            let event = TaskEvent::Unprovable { epoch, evidence };
            return match claim.advance(worker, &event).await {
                Ok(()) => "quarantined",
                Err(_) => "let go",
            };
        }
        (StateName::Claimed, AttemptError::Recalled { manifest, past, .. }) => {
            let (manifest, past) = (Manifest::clone(manifest), *past);
            let event =
                TaskEvent::Recalled { epoch, manifest, past, evidence: trouble.to_string() };
            return match claim.advance(worker, &event).await {
                Ok(()) => "quarantined",
                Err(_) => "let go",
            };
        }
        (StateName::Claimed, trouble) => trouble.remedy(),
        // Published or publishing: nothing to give back. A fault of the whole job still pauses it.
        (_, trouble) => match trouble.remedy() {
            Remedy::PauseJob => Remedy::PauseJob,
            _ => Remedy::Abandon,
        },
    };
    // A worker that was fenced off finds its tables gone: that is no fault of the job.
    if worker.lease.check().is_err() {
        return "let go";
    }
    let attempts = claim.task.progress.attempts;
    let is_away = matches!(trouble, AttemptError::Away { .. });
    let (event, word) = match remedy {
        Remedy::Abandon => {
            if is_away {
                claim.release(worker).await;
            }
            return "let go";
        }
        Remedy::HandBack => (TaskEvent::HandedBack { epoch }, "handed back"),
        Remedy::Wait => {
            let Ok(event) = interrupted(worker, claim, trouble).await else { return "let go" };
            (event, "interrupted")
        }
        Remedy::PauseJob => {
            if let Err(error) = job_change::pause(worker, &claim.job, trouble).await {
                tracing::warn!(%error, "could not pause the job");
            }
            if state != StateName::Claimed {
                return "let go";
            }
            (TaskEvent::HandedBack { epoch }, "handed back")
        }
        Remedy::Retry if !claim.is_used_up() => {
            let delay_ms = u64::try_from(task_delay(attempts).as_millis()).unwrap_or(0);
            let error = trouble.to_string();
            (TaskEvent::Retried { epoch, delay_ms, error }, "retried")
        }
        Remedy::Retry | Remedy::Fail => {
            (TaskEvent::GaveUp { epoch, error: trouble.to_string() }, "failed")
        }
    };
    // First nothing may write into the staging set, then the task changes, then the set goes:
    // a crash in between leaves a set that the next owner drops.
    // On a server that is away the next owner does both, before anything else.
    if !is_away && let Err(error) = claim.while_there(fence::kill_own(worker, claim)).await {
        tracing::warn!(%error, "could not stop what runs of this attempt");
        return "let go";
    }
    if let Err(error) = claim.advance(worker, &event).await {
        tracing::warn!(%error, "could not give the task back; it is taken over when needed");
        return "let go";
    }
    if !is_away && let Err(error) = claim.while_there(staging::drop_set(claim)).await {
        tracing::warn!(%error, "a staging set is left; the job's end sweeps it");
    }
    word
}

/// The task is pending again, without an attempt less. What was away is waited for first, so that it is
/// known whether the server restarted under this load.
async fn interrupted(
    worker: &Worker,
    claim: &Claim,
    trouble: &AttemptError,
) -> Result<TaskEvent, AttemptError> {
    let (since, _) = worker.outage.meets();
    let is_loading = claim.is_loading.load(Ordering::Relaxed);
    let died = match trouble {
        // Its server is another one: the load that it had may be what took it down.
        AttemptError::Away { is_loading, .. } => *is_loading,
        _ => outlast(worker, claim).await? && is_loading,
    };
    let delay_ms = u64::try_from(outage::pause().as_millis()).unwrap_or(0);
    let error = format!("waits since {since}: {trouble}");
    Ok(TaskEvent::Interrupted { epoch: claim.epoch(), delay_ms, error, died })
}

/// Waits until the server of a task answers; whether it was started anew since the claim.
///
/// # Errors
/// When the lease is lost before: whoever takes the task over goes on.
async fn outlast(worker: &Worker, claim: &Claim) -> Result<bool, AttemptError> {
    loop {
        worker.lease.check()?;
        // Whoever finds that server again takes the task up; a worker that is to end does not wait.
        if claim.endpoint.gone.is_cancelled() || worker.drain.is_cancelled() {
            return Err(AttemptError::NotOurs);
        }
        if let Ok(facts) = claim.server.facts().await {
            return Ok(Duration::from_secs(facts.uptime_secs + 1) < claim.began.elapsed());
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}
