//! Something that every task needs is away: it is waited for, and said since when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_shared::clickhouse::{Policy, policy};
use longshore_shared::store::StoreError;
use tokio::time::Instant;

use crate::error::AttemptError;

/// Between two words about the same outage.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Without a failure for so long an outage is over.
const OVER_AFTER: Duration = Duration::from_secs(120);

/// Before a load is sent again to a store that was away.
const TRY_PAUSE: Duration = Duration::from_secs(5);

struct Since {
    began: jiff::Timestamp,
    last: Instant,
    told: Option<Instant>,
}

/// What a worker waits for.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<Since>>);

impl Outage {
    /// Notes a failure; since when they come, as a clock shows it, and whether it is time to tell.
    pub(crate) fn meets(&self) -> (String, bool) {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if outage.as_ref().is_some_and(|since| since.last.elapsed() > OVER_AFTER) {
            *outage = None;
        }
        let since =
            outage.get_or_insert(Since { began: jiff::Timestamp::now(), last: now, told: None });
        since.last = now;
        let is_due = since.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if is_due {
            since.told = Some(now);
        }
        (since.began.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), is_due)
    }

    /// It works again: for how long it did not, in seconds.
    pub(crate) fn passes(&self) -> Option<i64> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = outage.take()?;
        Some(jiff::Timestamp::now().as_second() - since.began.as_second())
    }
}

/// Is this the trouble of everybody, and not of the task or the job?
pub(crate) fn is_outage(error: &AttemptError) -> bool {
    match error {
        AttemptError::Failure(failure) | AttemptError::Store(StoreError::Failure(failure)) => {
            policy(failure) == Policy::Outage
        }
        AttemptError::Away { .. } => true,
        _ => false,
    }
}

/// The pause before a load is tried again, so that many slots do not come at once.
pub(crate) fn pause() -> Duration {
    TRY_PAUSE.mul_f64(rand::random_range(0.5..=1.0))
}
