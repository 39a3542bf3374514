//! How a command ended, by what it says itself.

use longshore_tests::Finished;
use serde_json::Value;

use crate::kind::Kind;

/// The job ended, or was paused, with tasks that are not done: `run` has worked on it all the same.
const UNFINISHED: i32 = 3;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It has changed something.
    Done,
    /// It was killed.
    Cut,
    /// It ended well and has changed nothing.
    Vain,
    /// It was refused.
    Refused,
}

impl End {
    /// How many there are.
    pub(crate) const COUNT: usize = 4;
}

/// The end of a command that was given with `--json`.
pub(crate) fn of(kind: Kind, finished: &Finished) -> End {
    let is_well = match finished.code() {
        None => return End::Cut,
        Some(UNFINISHED) => kind == Kind::RunScaled,
        Some(code) => code == 0,
    };
    match (is_well, has_changed(kind, finished)) {
        (false, _) => End::Refused,
        (true, true) => End::Done,
        (true, false) => End::Vain,
    }
}

fn has_changed(kind: Kind, finished: &Finished) -> bool {
    let said: Value = serde_json::from_str(&finished.stdout).unwrap_or_default();
    let is = |key: &str| said[key] == true;
    let sum = |keys: &[&str]| keys.iter().filter_map(|key| said[key].as_u64()).sum::<u64>();
    let holds = |key: &str| said[key].as_array().is_some_and(|list| !list.is_empty());
    match kind {
        Kind::Pause | Kind::Cancel | Kind::CancelWait | Kind::Scale => is("changed"),
        Kind::Resume | Kind::ReplayDone | Kind::AuditAgain => {
            said["was"] != said["state"] || sum(&["failed_retried", "done_replayed"]) > 0
        }
        Kind::RetryFailed
        | Kind::RetryQuarantined
        | Kind::RetryReload
        | Kind::RetryAccept
        | Kind::RetryTask
        | Kind::RetryWhere => sum(&["failed", "quarantined", "done"]) > 0,
        // Given for people: a summary of a job is no short line.
        Kind::RunScaled => !finished.stderr.contains("has ended before"),
        Kind::Gc => ["staging", "workers", "keeper_paths"].into_iter().any(holds),
        Kind::Restore => sum(&["restored"]) > 0,
        Kind::PlanAgain | Kind::TwinPlan | Kind::PlanImport => {
            // Rows that somebody had deleted are told in the log only.
            is("created") || finished.stderr.contains("were missing and are written again")
        }
        Kind::PlanDelete => true,
        Kind::Init => !is("existed") || holds("were_lost"),
        // A file beside the servers is no change of anything on them.
        _ => false,
    }
}
