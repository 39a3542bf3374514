//! The worker, top down: a life, a slot, a task. [`attempt`] is the protocol.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Server, task_delay};
use longshore_shared::config::Config;
use longshore_shared::ledger::{self, Attempt};
use longshore_shared::source::SourceKeys;
use longshore_shared::store::{TaskStore, environment};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::attempt::outcome::end_badly;
use crate::attempt::{attempt, blame};
use crate::board::{self, Board, Found};
use crate::claim::Claim;
use crate::crowd;
use crate::error::{AttemptError, StartError};
use crate::heartbeat;
use crate::servers::Endpoints;
use crate::waits::outage;
use crate::worker::{Options, Worker};

/// First pause of an idle slot; it grows to the configured maximum.
const POLL_MIN: Duration = Duration::from_millis(50);

/// Runs a worker until it is asked to stop, or nothing is left to do.
pub(crate) async fn worker(
    config: Config,
    options: Options,
    drain: CancellationToken,
) -> Result<(), StartError> {
    let keys = SourceKeys::load(options.keys_file.as_deref(), |name| std::env::var(name).ok())?;
    let server = Server::new(config.connection.clone())?;
    let mut facts = server.facts().await?;
    environment(&server).await?;
    let endpoints = Endpoints::new(config.connection.clone(), config.lease);
    loop {
        let slots = match config.slots {
            Some(slots) => slots,
            None => crowd::share_of_cores(&server, &facts, options.together).await,
        };
        let life = Arc::new(Worker::new(
            server.clone(),
            facts.clone(),
            keys.clone(),
            (&config, slots),
            options.clone(),
            drain.clone(),
            Arc::clone(&endpoints),
        ));
        match live(life).await {
            Ok(ControlFlow::Break(())) => return Ok(()),
            Ok(ControlFlow::Continue(())) => tracing::warn!("begins a new life"),
            // The server or Keeper is away: a worker outlives that, but not a missing grant.
            Err(error) => {
                if let Some(failure) = error.needs_operator() {
                    return Err(StartError::Server(failure));
                }
                tracing::warn!(%error, "cannot register, trying again");
            }
        }
        if drain.is_cancelled() {
            return Ok(());
        }
        tokio::time::sleep(task_delay(2)).await;
        // The control database may have been made again meanwhile.
        facts = server.facts().await.unwrap_or(facts);
    }
}

/// One life: registered, beating, with all slots at work. Goes on with a new life when the lease was lost.
async fn live(worker: Arc<Worker>) -> Result<ControlFlow<()>, AttemptError> {
    let asked = Instant::now();
    worker.store.register(&worker.record()).await?;
    worker.lease.renewed(asked);
    tracing::info!(worker = %worker.id, slots = worker.slots, "at work");
    let board = Arc::<Mutex<Board>>::default();
    let heart = tokio::spawn(heartbeat::keep(Arc::clone(&worker), Arc::clone(&board)));
    let watch = tokio::spawn(watch(Arc::clone(&worker)));
    let mut lanes = tokio::task::JoinSet::new();
    let lanes_a_slot = if worker.load_ahead { 2 } else { 1 };
    for _ in 0..worker.slots * lanes_a_slot {
        lanes.spawn(lane(Arc::clone(&worker), Arc::clone(&board)));
    }
    let mut fatal = None;
    while let Some(ended) = lanes.join_next().await {
        if let Ok(Some(failure)) = ended {
            fatal = Some(failure);
            continue;
        }
        // A panic ends one attempt, not the slot: the task it held is found again and taken over,
        // and a task that does so every time is given up after some deaths.
        if ended.is_err_and(|error| error.is_panic()) {
            tracing::error!("a slot panicked; its task is taken over");
            lanes.spawn(lane(Arc::clone(&worker), Arc::clone(&board)));
        }
    }
    heart.abort();
    watch.abort();
    if let Some(failure) = fatal {
        // Others need not wait until its lease lapses, where that can still be written.
        worker.store.remove_worker(&worker.id).await.ok();
        return Err(failure.into());
    }
    if worker.lease.is_lost() {
        *worker.options.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        tracing::warn!(worker = %worker.id, "the lease is lost; its tasks are left to others");
        return Ok(ControlFlow::Continue(()));
    }
    if let Err(error) = worker.store.remove_worker(&worker.id).await {
        tracing::warn!(%error, "could not sign off; the lease lapses by itself");
    }
    tracing::info!(worker = %worker.id, "leaves");
    Ok(ControlFlow::Break(()))
}

/// Looks whether jobs in hand were cancelled or halted meanwhile.
async fn watch(worker: Arc<Worker>) {
    loop {
        tokio::time::sleep(worker.poll_max).await;
        if let Err(error) = worker.look_after_jobs().await {
            tracing::debug!(%error, "looking after the jobs in hand failed");
        }
    }
}

/// One lane: one task after the other. Two lanes share a slot, so that one loads while the other
/// counts and publishes, or has staged its next task. Returns what kept it from looking for work, if
/// that stays until a person mends it: the control tables are gone, or this user was shut out.
async fn lane(worker: Arc<Worker>, board: Arc<Mutex<Board>>) -> Option<Failure> {
    loop {
        // As many lanes look for work as there are slots.
        let looks = tokio::select! {
            looks = worker.looks.acquire() => looks.ok()?,
            () = worker.drain.cancelled() => return None,
            () = worker.lease.lost() => return None,
        };
        match look_for_work(&worker, &board).await {
            ControlFlow::Continue(claim) => {
                drop(looks);
                work(&worker, claim).await;
            }
            ControlFlow::Break(fatal) => return fatal,
        }
    }
}

/// Looks until there is a task, or no reason to look any more.
async fn look_for_work(
    worker: &Worker,
    board: &Mutex<Board>,
) -> ControlFlow<Option<Failure>, Claim> {
    let mut pause = POLL_MIN;
    while !worker.drain.is_cancelled() && worker.lease.check().is_ok() {
        let found = tokio::select! {
            found = board::find_work(worker, board, pause / 2) => found,
            // Keeper may hang: a life without a lease has nothing to look for.
            () = worker.lease.lost() => return ControlFlow::Break(None),
        };
        if let (true, Some(seconds)) = (found.is_ok(), worker.blind.passes()) {
            tracing::info!(seconds, "the server and its Keeper answer again");
        }
        match found {
            Ok(Found::Task(claim)) => return ControlFlow::Continue(*claim),
            Ok(Found::Ending(ending)) => {
                let closed = tokio::select! {
                    closed = board::close(worker, board, ending) => closed,
                    () = worker.lease.lost() => return ControlFlow::Break(None),
                };
                if let Err(error) = closed
                    && let Some(fatal) = cannot_look(worker, &error)
                {
                    return ControlFlow::Break(Some(fatal));
                }
            }
            Ok(Found::NoJob) if worker.options.exit_when_idle => return ControlFlow::Break(None),
            Ok(Found::Nothing | Found::NoJob) => {}
            Err(error) => {
                if let Some(fatal) = cannot_look(worker, &error) {
                    return ControlFlow::Break(Some(fatal));
                }
            }
        }
        // Workers that woke together spread out.
        let wait = pause.mul_f64(rand::random_range(0.5..=1.0));
        pause = (pause * 3 / 2).min(worker.poll_max);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = worker.drain.cancelled() => {}
            () = worker.lease.lost() => {}
            // A slot is free, or a task has ended: it may have been the last one, and its job is to be closed.
            () = worker.moved.told() => pause = POLL_MIN,
        }
    }
    ControlFlow::Break(None)
}

/// Tells why a look for work failed. What stays so until a person mends it comes back.
fn cannot_look(worker: &Worker, error: &AttemptError) -> Option<Failure> {
    if outage::is_outage(error) {
        let (since, is_due) = worker.blind.meets();
        if is_due {
            tracing::warn!(%error, since, "waits for the server and its Keeper");
        }
        return None;
    }
    tracing::warn!(%error, "looking for work failed");
    error.needs_operator()
}

/// One claimed task to its end, whatever that is.
async fn work(worker: &Worker, mut claim: Claim) {
    let span = tracing::info_span!("task", task = %claim.task.id, epoch = %claim.epoch());
    finish_work(worker, &mut claim).instrument(span).await;
    drop(claim);
    worker.moved.tell();
}

/// Runs the attempt, ends it, and notes it in the history.
async fn finish_work(worker: &Worker, claim: &mut Claim) {
    let claim_gone = claim.endpoint.gone.clone();
    let outcome = tokio::select! {
        outcome = Box::pin(attempt(worker, claim)) => outcome,
        // Dropping the attempt sends nothing: whoever takes over fences what it left.
        () = worker.lease.lost() => Err(AttemptError::NotOurs),
        () = claim_gone.cancelled() => Err(claim.away()),
    };
    let (event, message) = match outcome {
        Ok(()) => {
            if let Some(seconds) = worker.outage.passes() {
                tracing::info!(seconds, "loads work again");
            }
            ("done", claim.remarks())
        }
        Err(error) => {
            let error = claim.judged(worker, error).await;
            let blame = async { Ok(blame::attributed(worker, claim, error).await) };
            let error = Box::pin(claim.while_there(blame)).await.unwrap_or_else(|away| away);
            (end_badly(worker, claim, &error).await, error.to_string())
        }
    };
    let attempts = claim.task.progress.attempts;
    let elapsed = claim.began.elapsed();
    tracing::info!(event, attempts, elapsed_ms = elapsed.as_millis(), "{message}");
    let note = Attempt {
        message,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        ..Attempt::now(&claim.task.id, claim.epoch(), attempts, &worker.id, event)
    };
    // What happened to a task is written on its server, while there is one.
    if claim.endpoint.gone.is_cancelled() {
        return ledger::note(&worker.server, note).await;
    }
    let noted = async {
        ledger::note(&claim.server, note).await;
        Ok(())
    };
    if let Err(away) = claim.while_there(noted).await {
        tracing::warn!(%away, "the history of attempts has a gap");
    }
}
