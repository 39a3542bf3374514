//! The lease: one heartbeat for the whole worker, trusted by its own monotonic clock.
//!
//! The server stamps the heartbeat and decides when it has lapsed. The worker trusts itself only
//! until `moment before the request + ttl - margin`: a heartbeat that took long or whose answer was
//! lost counts from its beginning, so the worker stops before anybody may take over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_shared::store::TaskStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::Worker;
use crate::trouble::Trouble;

/// Rows of workers that lapsed longer ago are removed by whoever sees them.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The right of one worker life to act.
pub(crate) struct Lease {
    ttl: Duration,
    /// When the life began.
    began: Mutex<Option<Instant>>,
    /// Since when every heartbeat was answered in time.
    healthy_since: Mutex<Option<Instant>>,
    trusted_until: Mutex<Option<Instant>>,
    lost: CancellationToken,
}

impl Lease {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            began: Mutex::new(None),
            healthy_since: Mutex::new(None),
            trusted_until: Mutex::new(None),
            lost: CancellationToken::new(),
        }
    }

    /// How long a heartbeat holds.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    fn margin(&self) -> Duration {
        self.ttl / 5
    }

    /// Records a heartbeat that was asked for at `asked`.
    pub(crate) fn renewed(&self, asked: Instant) {
        let until = asked + self.ttl - self.margin();
        *self.trusted_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.began.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(asked);
        self.healthy_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(asked);
    }

    /// A heartbeat was not answered, or too late.
    fn shaken(&self) {
        *self.healthy_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How long this life has lasted.
    pub(crate) fn age(&self) -> Duration {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// For how long every heartbeat was answered in time.
    pub(crate) fn healthy_for(&self) -> Duration {
        let since = *self.healthy_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn trusted_until(&self) -> Option<Instant> {
        *self.trusted_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// May the worker still act?
    pub(crate) fn check(&self) -> Result<(), Trouble> {
        let trusted = self.trusted_until().is_some_and(|until| Instant::now() < until);
        if trusted && !self.lost.is_cancelled() {
            return Ok(());
        }
        self.lost.cancel();
        Err(Trouble::NotOurs)
    }

    /// Ends when the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Is it lost?
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

/// Renews the lease until it is lost or the worker ends.
pub(crate) async fn keep(worker: Arc<Worker>) {
    let lease = &worker.lease;
    let interval = lease.ttl / 3;
    loop {
        // First the own clock: a process that slept past its time must not renew a lease that
        // somebody may have acted on already.
        if lease.check().is_err() {
            return;
        }
        let asked = Instant::now();
        // A heartbeat that hangs must not keep the next one from being sent.
        let beat = worker.store.beat(&worker.id, worker.drain.is_cancelled());
        match tokio::time::timeout(interval, beat).await {
            Ok(Ok(true)) => lease.renewed(asked),
            Ok(Ok(false)) => {
                tracing::warn!(worker = %worker.id, "the lease has lapsed by the server's clock");
                lease.lost.cancel();
            }
            Ok(Err(error)) => {
                lease.shaken();
                tracing::warn!(%error, "heartbeat failed");
            }
            Err(_) => {
                lease.shaken();
                tracing::warn!("heartbeat had no answer in time");
            }
        }
        if lease.check().is_err() {
            return;
        }
        look_for_lapsed(&worker, interval).await;
        let next = asked + interval;
        let until = lease.trusted_until().map_or(next, |until| until.min(next));
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = lease.lost() => return,
        }
    }
}

/// Tells the board when a worker has lapsed, so that its tasks are looked for at the next claim.
async fn look_for_lapsed(worker: &Worker, deadline: Duration) {
    let Ok(Ok(workers)) = tokio::time::timeout(deadline, worker.store.workers()).await else {
        return;
    };
    let mut seen = false;
    for other in workers.iter().filter(|other| other.id != worker.id && other.has_lapsed()) {
        if u128::try_from(other.age_ms).unwrap_or(0) > FORGET_AFTER.as_millis() {
            let _ = worker.store.remove_worker(&other.id).await;
        }
        seen = true;
    }
    if seen && let Ok(mut board) = worker.board.try_lock() {
        board.forget_pages();
    }
}
