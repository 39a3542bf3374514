//! The lease: the right of one worker life to act, trusted by its own monotonic clock.
//!
//! The server stamps the heartbeat and decides when it has lapsed. The worker trusts itself only
//! until `moment before the request + ttl - margin`: a heartbeat that took long or whose answer was
//! lost counts from its beginning, so the worker stops before anybody may take over.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::AttemptError;

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
    pub(crate) fn shaken(&self) {
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

    /// Until when the last heartbeat holds.
    pub(crate) fn trusted_until(&self) -> Option<Instant> {
        *self.trusted_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// May the worker still act?
    pub(crate) fn check(&self) -> Result<(), AttemptError> {
        let trusted = self.trusted_until().is_some_and(|until| Instant::now() < until);
        if trusted && !self.lost.is_cancelled() {
            return Ok(());
        }
        self.lost.cancel();
        Err(AttemptError::NotOurs)
    }

    /// Gives the lease up: the server has said that it lapsed.
    pub(crate) fn lose(&self) {
        self.lost.cancel();
    }

    /// Ends when the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}
