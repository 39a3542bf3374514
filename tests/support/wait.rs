//! Waiting for a condition, never for a length of time.

use std::thread;
use std::time::{Duration, Instant};

/// What a test waits for happens in seconds; a machine under load may need minutes. The end of a test
/// that hangs (`.config/nextest.toml`) comes later, so that the message of the wait is seen.
pub const DEADLINE: Duration = Duration::from_secs(540);
const POLL: Duration = Duration::from_millis(20);
/// What does not come at once is asked for less often: each look is a statement that the server works on
/// beside those of all other tests.
const POLL_MAX: Duration = Duration::from_millis(250);
/// What comes after a minute, and costs a started program at each look, is asked for only so often.
const POLL_SELDOM: Duration = Duration::from_secs(3);

/// Asks until there is an answer.
///
/// # Panics
/// After [`DEADLINE`]; the message says what was awaited.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    let answer = pausing(DEADLINE, |pause| (pause * 5 / 4).min(POLL_MAX), ask);
    answer.unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// The same for what comes after a minute: it is asked for every few seconds.
///
/// # Panics
/// After [`DEADLINE`]; the message says what was awaited.
pub fn wait_for_seldom<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    let answer = seldom(DEADLINE, ask);
    answer.unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// Asks every few seconds until there is an answer or the time is over.
pub(crate) fn seldom<T>(limit: Duration, ask: impl FnMut() -> Option<T>) -> Option<T> {
    pausing(limit, |_| POLL_SELDOM, ask)
}

/// Asks until there is an answer or the time is over: always at the same short pace, for what a test must
/// not miss.
pub fn within<T>(limit: Duration, ask: impl FnMut() -> Option<T>) -> Option<T> {
    pausing(limit, |pause| pause, ask)
}

/// Asks until there is an answer or the time is over; `next` makes each pause of the one before.
fn pausing<T>(
    limit: Duration,
    next: impl Fn(Duration) -> Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let (end, mut pause) = (Instant::now() + limit, POLL);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(pause);
        pause = next(pause);
    }
}
