//! The end of an attempt that did not go well: the task is given back, or up, or left as it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_shared::clickhouse::{Kind, task_delay};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{StoreError, TaskStore};
use longshore_shared::task::{Manifest, Mode, StateName, TaskEvent};

use super::{fence, recall, staging};
use crate::claim::Claim;
use crate::error::{AttemptError, Remedy};
use crate::job_change;
use crate::waits::outage;
use crate::worker::Worker;

/// Between two looks at a server that is away.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// A worker that ends waits so long for what the server says of parts.
const EVIDENCE_MAX: Duration = Duration::from_secs(20);

/// In the history: the task is left as it is, and whoever owns it acts.
const ABANDONED: &str = "let go";

/// Gives a task back, or up, or leaves it as it is. Returns what happened, for the history.
pub(crate) async fn end_badly(
    worker: &Worker,
    claim: &mut Claim,
    error: &AttemptError,
) -> &'static str {
    if let Some(event) = quarantine(claim, error) {
        return match claim.advance(worker, &event).await {
            Ok(()) => "quarantined",
            Err(_) => ABANDONED,
        };
    }
    // A worker that was fenced off finds its tables gone: that is no fault of the job.
    if worker.lease.check().is_err() {
        return ABANDONED;
    }
    let is_away = matches!(error, AttemptError::Away { .. });
    let remedy = remedy(claim, error);
    if remedy == Remedy::Abandon && is_away {
        claim.release(worker).await;
    }
    match carry_out(worker, claim, error, remedy).await {
        Some((event, word)) => Box::pin(give_back(worker, claim, &event, word, is_away)).await,
        None => ABANDONED,
    }
}

/// What a person has to decide: nobody can prove what was moved, or when.
fn quarantine(claim: &Claim, error: &AttemptError) -> Option<TaskEvent> {
    let epoch = claim.epoch();
    match (claim.task.progress.state.name(), error) {
        (StateName::Publishing, AttemptError::Unprovable(evidence)) => {
            Some(TaskEvent::Unprovable { epoch, evidence: evidence.clone() })
        }
        (StateName::Claimed, AttemptError::Recalled { manifest, past, .. }) => {
            let (manifest, past) = (Manifest::clone(manifest), *past);
            Some(TaskEvent::Recalled { epoch, manifest, past, evidence: error.to_string() })
        }
        _ => None,
    }
}

fn remedy(claim: &Claim, error: &AttemptError) -> Remedy {
    match error.remedy() {
        remedy if is_loading(claim) => remedy,
        // Published or publishing: nothing to give back. A fault of the whole job still pauses it.
        Remedy::PauseJob => Remedy::PauseJob,
        _ => Remedy::Abandon,
    }
}

/// Nothing of the task is in any target yet.
fn is_loading(claim: &Claim) -> bool {
    claim.task.progress.state.name() == StateName::Claimed
}

/// Pauses the job or waits, where the remedy says so. Then the event that ends the attempt, with its
/// word in the history; none when the task stays as it is.
async fn carry_out(
    worker: &Worker,
    claim: &Claim,
    error: &AttemptError,
    remedy: Remedy,
) -> Option<(TaskEvent, &'static str)> {
    let epoch = claim.epoch();
    match remedy {
        Remedy::Abandon => None,
        Remedy::HandBack => Some((TaskEvent::HandedBack { epoch }, "handed back")),
        Remedy::Wait => {
            let event = interrupted(worker, claim, error).await.ok()?;
            Some((event, "interrupted"))
        }
        // A worker that was fenced off and has not heard of it finds its tables gone: no fault of the job.
        Remedy::PauseJob if !is_still_ours(worker, claim).await => None,
        Remedy::PauseJob => {
            if let Err(error) = job_change::pause(worker, &claim.job, error).await {
                tracing::warn!(%error, "could not pause the job");
            }
            is_loading(claim).then_some((TaskEvent::HandedBack { epoch }, "handed back"))
        }
        Remedy::Retry if !claim.is_used_up() => {
            let delay = task_delay(claim.task.progress.attempts);
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(0);
            Some((TaskEvent::Retried { epoch, delay_ms, error: words(error) }, "retried"))
        }
        Remedy::Retry | Remedy::Fail => {
            Some((TaskEvent::GaveUp { epoch, error: words(error) }, "failed"))
        }
    }
}

/// Does the row of the task say what this worker wrote last? Where it cannot be read nothing speaks against it.
async fn is_still_ours(worker: &Worker, claim: &Claim) -> bool {
    match worker.store.task(&claim.task.id).await {
        Ok(Some(task)) => task.stamp == claim.task.stamp,
        Ok(None) | Err(_) => true,
    }
}

/// What the row of the task says of the error. Of one that the list of codes lacks it says so: nobody has
/// decided what it means, and the task is tried again all the same (`docs/decisions/0033`).
fn words(error: &AttemptError) -> String {
    let (AttemptError::Failure(failure)
    | AttemptError::Store(StoreError::Failure(failure))
    | AttemptError::Data { source: failure, .. }) = error
    else {
        return error.to_string();
    };
    match failure.kind {
        Kind::Unlisted(number) => format!(
            "{error}. Longshore does not know this error of ClickHouse ({number}); please report it"
        ),
        _ => error.to_string(),
    }
}

/// Stops what runs of the attempt, changes the task, and drops the staging set. Returns what happened.
///
/// First nothing may write into the staging set, then the task changes, then the set goes: a crash in
/// between leaves a set that the next owner drops. On a server that is away the next owner does both,
/// before anything else.
async fn give_back(
    worker: &Worker,
    claim: &mut Claim,
    event: &TaskEvent,
    word: &'static str,
    is_away: bool,
) -> &'static str {
    if !is_away && let Err(error) = claim.while_there(fence::kill_own(worker, claim)).await {
        tracing::warn!(%error, "could not stop what runs of this attempt");
        return ABANDONED;
    }
    let evidence = if is_away { Ok(()) } else { claim.while_there(refuse_moved(claim)).await };
    if let Some(event) = evidence.as_ref().err().and_then(|error| quarantine(claim, error)) {
        return match claim.advance(worker, &event).await {
            Ok(()) => "quarantined",
            Err(_) => ABANDONED,
        };
    }
    let mut event = event.clone();
    if let Err(error @ AttemptError::Loaded(..)) = &evidence {
        // Its receipts say that it is done: no other end is true, and a person restores it.
        if let Err(error) = job_change::pause(worker, &claim.job, error).await {
            tracing::warn!(%error, "could not pause the job");
        }
        event = TaskEvent::HandedBack { epoch: claim.epoch() };
    }
    if let Err(error) = claim.advance(worker, &event).await {
        tracing::warn!(%error, "could not give the task back; it is taken over when needed");
        return ABANDONED;
    }
    let dropped = match evidence {
        Ok(()) if is_away => Ok(()),
        Ok(()) => claim.while_there(staging::drop_set(claim)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = dropped {
        tracing::warn!(%error, "a staging set is left; the next attempt or the job's end sweeps it");
    }
    word
}

/// By its row nothing of a task was ever published. The row may be wrong: it was deleted and written again while
/// an owner of its former life was at work, or a MOVE of that life came late and found tables of this one. What
/// that left is evidence, and is not dropped.
async fn refuse_moved(claim: &Claim) -> Result<(), AttemptError> {
    if claim.is_last() || claim.job.spec.mode == Mode::Direct || planted(Bug::DropEvidence) {
        return Ok(());
    }
    match tokio::time::timeout(EVIDENCE_MAX, recall::refuse_sets(claim)).await {
        Ok(looked) => looked,
        // The set stays, and whoever takes the task next looks before it drops it.
        Err(_) => Err(AttemptError::Unsettled),
    }
}

/// The task is pending again, without an attempt less. What was away is waited for first, so that it is
/// known whether the server restarted under this load.
async fn interrupted(
    worker: &Worker,
    claim: &Claim,
    error: &AttemptError,
) -> Result<TaskEvent, AttemptError> {
    let (since, _) = worker.outage.meets();
    let is_loading = claim.is_loading.load(Ordering::Relaxed);
    let died = match error {
        // Its server is another one: the load that it had may be what took it down.
        AttemptError::Away { is_loading, .. } => *is_loading,
        // The load has ended well.
        AttemptError::Restarted => false,
        _ => outlast(worker, claim).await? && is_loading,
    };
    let delay_ms = u64::try_from(outage::pause().as_millis()).unwrap_or(0);
    let error = format!("waits since {since}: {error}");
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

#[cfg(test)]
mod tests {
    use longshore_shared::clickhouse::{Code, Failure};

    use super::*;

    #[test]
    fn an_error_that_is_not_listed_is_told_as_such() {
        let unlisted = Failure::server("load", 424_242, "words of the server");
        for error in [
            AttemptError::Failure(unlisted.clone()),
            AttemptError::Store(StoreError::Failure(unlisted.clone())),
            AttemptError::Data { words: "file a".to_owned(), source: unlisted },
        ] {
            let told = words(&error);
            assert!(told.starts_with(&error.to_string()), "{told}");
            assert!(told.contains("does not know this error of ClickHouse (424242)"), "{told}");
        }
        let listed = Failure::server("load", Code::MEMORY_LIMIT_EXCEEDED, "words of the server");
        let listed = AttemptError::Failure(listed);
        assert_eq!(words(&listed), listed.to_string());
    }
}
