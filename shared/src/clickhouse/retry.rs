//! The schedules of pauses between tries: of statements that may be repeated, and before a task's next attempt. Loops
//! elsewhere look at what happened between two tries, and take their pauses from here.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};

use super::{Failure, Kind, Policy, policy};

/// Tries of a control read or compare-and-set before its failure is passed on.
pub const CONTROL_ATTEMPTS: usize = 6;
const CONTROL_PAUSE_MIN: Duration = Duration::from_millis(50);
const CONTROL_PAUSE_MAX: Duration = Duration::from_secs(2);

const TASK_PAUSE_MIN: Duration = Duration::from_millis(500);
const TASK_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pauses between tries of a control statement: exponential with jitter.
pub fn control_schedule() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(CONTROL_PAUSE_MIN)
        .with_max_delay(CONTROL_PAUSE_MAX)
        .with_max_times(CONTROL_ATTEMPTS - 1)
        .with_jitter()
}

/// Sends a statement, and sends it again while the failure is one that passes.
///
/// Only for statements that leave the same behind whether they are applied once or several times: a
/// SELECT, DROP … IF EXISTS or CREATE … IF NOT EXISTS of a name that is used once, a DELETE, a note of the
/// same words, SYSTEM SYNC, and an INSERT of rows that replace those of the same key (receipts, manifests).
/// Every other write is sent once and resolved by looking at what it did.
///
/// # Errors
/// The last failure.
pub async fn retry_idempotent<T, F, R>(run: R) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
    R: FnMut() -> F,
{
    run.retry(control_schedule())
        .when(passes)
        .notify(|failure, pause| tracing::debug!(error = %failure, ?pause, "sending again"))
        .await
}

fn passes(failure: &Failure) -> bool {
    match failure.kind {
        Kind::Unknown | Kind::Unreachable => true,
        Kind::Reply | Kind::Tls => false,
        Kind::Server(_) | Kind::Unlisted(_) => {
            matches!(policy(failure), Policy::Retry | Policy::Outage)
        }
    }
}

/// How long a task waits before attempt number `attempts + 1`: exponential with full jitter.
pub fn task_delay(attempts: u32) -> Duration {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(TASK_PAUSE_MIN)
        .with_max_delay(TASK_PAUSE_MAX)
        .without_max_times()
        .build();
    let pause = pauses.nth(attempts.saturating_sub(1).min(16) as usize).unwrap_or(TASK_PAUSE_MAX);
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    #[test]
    fn the_pause_grows_and_has_a_bound() {
        assert!(task_delay(1) <= TASK_PAUSE_MIN);
        assert!(task_delay(5) > TASK_PAUSE_MIN);
        assert!(task_delay(1_000) <= TASK_PAUSE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_repeated_until_it_succeeds_and_a_refusal_is_not() {
        let mut calls = 0;
        let answer =
            retry_idempotent(|| {
                calls += 1;
                let turn = calls;
                async move {
                    if turn < 3 { Err(Failure::unknown("x", "cut".to_owned())) } else { Ok(turn) }
                }
            })
            .await;
        assert_eq!(answer.unwrap(), 3);

        let mut calls = 0;
        let answer: Result<(), _> = retry_idempotent(|| {
            calls += 1;
            async { Err(Failure::server("x", Code::ACCESS_DENIED, "not enough privileges")) }
        })
        .await;
        assert_eq!((answer.unwrap_err().code(), calls), (Some(Code::ACCESS_DENIED), 1));
    }
}
