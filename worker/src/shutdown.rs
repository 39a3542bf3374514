//! Signals: the first asks for an orderly end, the second ends the program at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio_util::sync::CancellationToken;

/// Exit status of a program that was asked twice.
const EXIT_FORCED: i32 = 130;

/// A token that is cancelled by the first SIGINT or SIGTERM.
///
/// tokio's own handler would swallow the second signal, so the conditional shutdown of
/// `signal-hook` is armed by the first and acts on the second. Everything is recoverable then:
/// the lease lapses and another worker goes on.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn on_signal() -> std::io::Result<CancellationToken> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: at the first signal the flag is still off here, and set below.
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_FORCED, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    let token = CancellationToken::new();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let cancelled = token.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            cancelled.cancel();
        }
    })?;
    Ok(token)
}
