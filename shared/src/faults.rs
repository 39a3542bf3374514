//! Named points at the edges of the protocol where a test makes the program die, wait or fail.
//!
//! Compiled to nothing without the feature `faults`. With it, `LONGSHORE_FAULTS` is read once:
//! `point=action;point=action`, where an action is `[N*]exit` (SIGKILL to itself), `[N*]error`,
//! `[N*]sleep(milliseconds)` or `[N*]off`; `N*` limits how often it fires, and `->` puts another
//! behind it: `2*off->exit` dies at the third pass.

/// A point in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point(pub &'static str);

macro_rules! points {
    ($($(#[$doc:meta])* $constant:ident = $name:literal),* $(,)?) => {
        $($(#[$doc])* pub const $constant: Point = Point($name);)*
        /// Every point, so that a test can visit each.
        pub const ALL: &[Point] = &[$($constant),*];
    };
}

points! {
    /// Before the claim is written.
    CLAIM_BEFORE = "claim.before",
    /// The claim is written and proved.
    CLAIM_AFTER = "claim.after",
    /// The staging set is made.
    STAGE_AFTER = "stage.after",
    /// Between two statements that make the staging set.
    STAGE_BETWEEN = "stage.between",
    /// The load has ended, nothing is counted.
    LOAD_AFTER = "load.after",
    /// Counted; the manifest is not written.
    MANIFEST_BEFORE = "manifest.before",
    /// The manifest is written; nothing is moved.
    MANIFEST_AFTER = "manifest.after",
    /// Before one move.
    MOVE_BEFORE = "move.before",
    /// After one move.
    MOVE_AFTER = "move.after",
    /// All moves are proved; no receipt is written.
    RECEIPT_BEFORE = "receipt.before",
    /// Receipts are written; the task is not done.
    RECEIPT_AFTER = "receipt.after",
    /// The task is done; its staging set is still there.
    DONE_AFTER = "done.after",
    /// The staging set is dropped.
    DROP_AFTER = "drop.after",
    /// All segments are finished; the job is not.
    FINISH_BEFORE = "finish.before",
}

/// Points that only a worker which takes over passes.
pub const TAKE_OVER: &[Point] = &[FENCE_BEFORE, FENCE_RENAMED, FENCE_AFTER];
/// The take-over is written; nothing of the old epoch is fenced.
pub const FENCE_BEFORE: Point = Point("fence.before");
/// Staging tables of a publishing task have their new names.
pub const FENCE_RENAMED: Point = Point("fence.renamed");
/// Nothing of the old epoch can act any more.
pub const FENCE_AFTER: Point = Point("fence.after");

/// An error that a test asked for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("fault injected at {0}")]
pub struct Injected(pub &'static str);

/// Reads `LONGSHORE_FAULTS` and arms the points. Does nothing without the feature.
pub fn arm(plan: Option<String>) {
    #[cfg(feature = "faults")]
    armed::arm(plan);
    #[cfg(not(feature = "faults"))]
    drop(plan);
}

/// Passes a point.
///
/// # Errors
/// [`Injected`] when a test asked for an error here.
#[cfg_attr(not(feature = "faults"), allow(clippy::unused_async))]
pub async fn pass(point: Point) -> Result<(), Injected> {
    #[cfg(feature = "faults")]
    return armed::pass(point).await;
    #[cfg(not(feature = "faults"))]
    {
        let _ = point;
        Ok(())
    }
}

#[cfg(feature = "faults")]
mod armed {
    use super::{Injected, Point};
    use std::time::Duration;

    pub(super) fn arm(plan: Option<String>) {
        for entry in plan.unwrap_or_default().split(';').filter(|entry| !entry.trim().is_empty()) {
            let (point, action) = entry.split_once('=').unwrap_or((entry, "exit"));
            let action = action.split("->").map(term).collect::<Vec<_>>().join("->");
            if let Err(error) = fail::cfg(point.trim(), &action) {
                eprintln!("LONGSHORE_FAULTS: {entry}: {error}");
                std::process::exit(2);
            }
        }
    }

    /// One term in the words of the `fail` crate, which hands our own action back at the point.
    fn term(term: &str) -> String {
        let (times, action) = match term.split_once('*') {
            Some((times, action)) => (format!("{}*", times.trim()), action.trim()),
            None => (String::new(), term.trim()),
        };
        if action == "off" { format!("{times}off") } else { format!("{times}return({action})") }
    }

    pub(super) async fn pass(point: Point) -> Result<(), Injected> {
        let Some(action) = fail::eval(point.0, Option::unwrap_or_default) else {
            return Ok(());
        };
        tracing::warn!(point = point.0, action, "fault");
        match action.as_str() {
            "error" => Err(Injected(point.0)),
            "exit" => {
                // SIGKILL, not exit(): no destructor and no buffer gets a last chance.
                let pid = std::process::id().to_string();
                let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
                std::process::abort();
            }
            action => {
                let ms = action.trim_start_matches("sleep(").trim_end_matches(')').parse();
                tokio::time::sleep(Duration::from_millis(ms.unwrap_or(0))).await;
                Ok(())
            }
        }
    }
}
