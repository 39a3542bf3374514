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

/// Asks until there is an answer.
///
/// # Panics
/// After [`DEADLINE`]; the message says what was awaited.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let (end, mut pause) = (Instant::now() + DEADLINE, POLL);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(pause);
        pause = (pause * 5 / 4).min(POLL_MAX);
    }
}

/// Asks until there is an answer or the time is over: always at the same short pace, for what a test must
/// not miss.
pub fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(POLL);
    }
}
