//! Named points at the edges of the protocol where a test makes the program die, wait or fail.
//!
//! Compiled to nothing without the feature `faults`. With it, `LONGSHORE_FAULTS` is read once:
//! `point=action;point=action`, where an action is one of
//!
//! | action | what happens |
//! |---|---|
//! | `exit` | SIGKILL to itself |
//! | `panic` | a panic of the thread that passes |
//! | `error` | the step ends with an error before anything else is done |
//! | `sleep(milliseconds)` | the step waits |
//! | `until(file)` | the step waits until the file is there |
//! | `do-then-error` | only at `answer.STATEMENT`: the server did it, and the answer is taken for lost |
//! | `off` | nothing |
//!
//! `N*` in front limits how often it fires, and `->` puts another behind it: `2*off->exit` dies at
//! the third pass. `batch=N` makes a plan write its tasks N at a time, so that a small plan has
//! several batches.
//!
//! A worker that loads a task passes `task.ID`. Every statement has two points of its own: `send.STATEMENT` before it is sent and
//! `answer.STATEMENT` after its real answer, with the name that it has in the catalogue (`swap_task`,
//! `move_partition`, …; `load` and `create_staging` are made at run time).

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
    /// What is about to be moved is written down in ClickHouse.
    ANNOUNCE_AFTER = "announce.after",
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
    /// The closing audit is done; the job is not closed.
    FINISH_AUDITED = "finish.audited",
}

/// Points that only the last task of an exchange passes.
pub const EXCHANGE: &[Point] = &[EXCHANGE_BEFORE, EXCHANGE_AFTER, KEEP_BEFORE, KEEP_AFTER];
/// The shadow has the name of this epoch; it is not exchanged yet.
pub const EXCHANGE_BEFORE: Point = Point("exchange.before");
/// The target is exchanged; the old table stands under the shadow's name.
pub const EXCHANGE_AFTER: Point = Point("exchange.after");
/// Before the old table gets the name under which it is kept.
pub const KEEP_BEFORE: Point = Point("keep.before");
/// The old table has the name under which it is kept.
pub const KEEP_AFTER: Point = Point("keep.after");
/// Points that only the last task of a replacement passes.
pub const REPLACE: &[Point] = &[REPLACE_BEFORE, REPLACE_AFTER];
/// Before one partition is replaced.
pub const REPLACE_BEFORE: Point = Point("replace.before");
/// One partition is replaced.
pub const REPLACE_AFTER: Point = Point("replace.after");

/// Points that a worker passes when it closes a cancelled job.
pub const CANCEL: &[Point] = &[CANCEL_BEFORE, CANCEL_SWEPT];
/// Nothing of the cancelled job is in flight; nothing is swept.
pub const CANCEL_BEFORE: Point = Point("cancel.before");
/// Staging, shadows and snapshots are gone; the job is still being cancelled.
pub const CANCEL_SWEPT: Point = Point("cancel.swept");

/// Points of a command that lets ended tasks be done again.
pub const REOPEN: &[Point] = &[REOPEN_BEGUN, REOPEN_SEGMENT, REOPEN_TASK, REOPEN_DONE];
/// The job is marked; no task is changed.
pub const REOPEN_BEGUN: Point = Point("reopen.begun");
/// A segment of the cursor is open again; its tasks are not changed.
pub const REOPEN_SEGMENT: Point = Point("reopen.segment");
/// A task is changed.
pub const REOPEN_TASK: Point = Point("reopen.task");
/// All tasks are changed; the job does not run yet.
pub const REOPEN_DONE: Point = Point("reopen.done");

/// Points of the coordinator.
pub const COORDINATOR: &[Point] = &[
    PLAN_BEFORE,
    PLAN_BATCH,
    PLAN_TASKS,
    PLAN_CURSOR,
    PLAN_AFTER,
    SUBMIT_BEFORE,
    SUBMIT_AFTER,
    RUN_STARTED,
    RUN_SETTLED,
    DELETE_MARKED,
    DELETE_TABLES,
    DELETE_BATCH,
];
/// The plan is known; nothing of it is written.
pub const PLAN_BEFORE: Point = Point("plan.before");
/// A batch of tasks is written.
pub const PLAN_BATCH: Point = Point("plan.batch");
/// All tasks are written; the cursor is not.
pub const PLAN_TASKS: Point = Point("plan.tasks");
/// The cursor is written; the row that makes it a plan is not.
pub const PLAN_CURSOR: Point = Point("plan.cursor");
/// The plan is written; nobody was told.
pub const PLAN_AFTER: Point = Point("plan.after");
/// Before a plan is made a running job.
pub const SUBMIT_BEFORE: Point = Point("submit.before");
/// The job runs; nobody was told.
pub const SUBMIT_AFTER: Point = Point("submit.after");
/// Nobody can submit the plan any more; nothing of it is gone.
pub const DELETE_MARKED: Point = Point("delete.marked");
/// Its tables are gone, its rows are not.
pub const DELETE_TABLES: Point = Point("delete.tables");
/// A batch of its tasks is gone.
pub const DELETE_BATCH: Point = Point("delete.batch");
/// `run` has started its workers.
pub const RUN_STARTED: Point = Point("run.started");
/// The job that `run` follows has ended; its workers were not told.
pub const RUN_SETTLED: Point = Point("run.settled");

/// Statements that change something, whose answers a test lets get lost.
pub const CHANGES: &[&str] = &[
    "swap_task",
    "swap_cursor",
    "swap_job",
    "create_staging",
    "load",
    "move_partition",
    "drop_part",
    "drop_table",
    "drop_view",
    "rename_table",
    "kill_queries",
    "beat_worker",
];

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
pub fn arm() {
    #[cfg(feature = "faults")]
    armed::arm(std::env::var("LONGSHORE_FAULTS").ok());
}

/// Passes a point.
///
/// # Errors
/// [`Injected`] when a test asked for an error here.
#[cfg_attr(not(feature = "faults"), allow(clippy::unused_async))]
pub async fn pass(point: Point) -> Result<(), Injected> {
    #[cfg(feature = "faults")]
    return armed::act(point.0).await.map_err(|()| Injected(point.0));
    #[cfg(not(feature = "faults"))]
    {
        let _ = point;
        Ok(())
    }
}

/// Passes the point `task.ID` of one task.
///
/// # Errors
/// [`Injected`] when a test asked for an error here.
#[cfg_attr(not(feature = "faults"), allow(clippy::unused_async))]
pub async fn task(id: &crate::task::TaskId) -> Result<(), Injected> {
    #[cfg(feature = "faults")]
    return armed::act(&format!("task.{id}")).await.map_err(|()| Injected("task"));
    #[cfg(not(feature = "faults"))]
    {
        let _ = id;
        Ok(())
    }
}

/// Passes the point before a statement is sent.
///
/// # Errors
/// When a test asked for an error: the statement must not be sent then.
#[cfg_attr(not(feature = "faults"), allow(clippy::unused_async))]
pub(crate) async fn sending(statement: &'static str) -> Result<(), Injected> {
    #[cfg(feature = "faults")]
    return armed::act(&format!("send.{statement}")).await.map_err(|()| Injected(statement));
    #[cfg(not(feature = "faults"))]
    {
        let _ = statement;
        Ok(())
    }
}

/// Passes the point after the server has answered a statement.
///
/// # Errors
/// When a test asked for it: the answer must be taken for lost then.
#[cfg_attr(not(feature = "faults"), allow(clippy::unused_async))]
pub(crate) async fn answered(statement: &'static str) -> Result<(), Injected> {
    #[cfg(feature = "faults")]
    return armed::act(&format!("answer.{statement}")).await.map_err(|()| Injected(statement));
    #[cfg(not(feature = "faults"))]
    {
        let _ = statement;
        Ok(())
    }
}

/// How many tasks a plan writes at a time: `normal`, unless a test asked for less.
pub fn batch(normal: usize) -> usize {
    #[cfg(feature = "faults")]
    return armed::batch().unwrap_or(normal);
    #[cfg(not(feature = "faults"))]
    normal
}

#[cfg(feature = "faults")]
mod armed {
    use std::sync::OnceLock;
    use std::time::Duration;

    static BATCH: OnceLock<usize> = OnceLock::new();

    pub(super) fn batch() -> Option<usize> {
        BATCH.get().copied()
    }

    pub(super) fn arm(plan: Option<String>) {
        for entry in plan.unwrap_or_default().split(';').filter(|entry| !entry.trim().is_empty()) {
            if let Err(error) = arm_one(entry) {
                eprintln!("LONGSHORE_FAULTS: {entry}: {error}");
                std::process::exit(2);
            }
        }
    }

    fn arm_one(entry: &str) -> Result<(), String> {
        let (point, action) = entry.split_once('=').unwrap_or((entry, "exit"));
        if point.trim() == "batch" {
            let rows = action.trim().parse().map_err(|error| format!("{error}"))?;
            let _ = BATCH.set(std::cmp::max(rows, 1));
            return Ok(());
        }
        let terms = action.split("->").map(term).collect::<Result<Vec<_>, _>>()?;
        fail::cfg(point.trim(), &terms.join("->"))
    }

    /// One term in the words of the `fail` crate, which hands our own action back at the point.
    fn term(term: &str) -> Result<String, String> {
        let (times, action) = match term.split_once('*') {
            Some((times, action)) => (format!("{}*", times.trim()), action.trim()),
            None => (String::new(), term.trim()),
        };
        match action {
            "off" => Ok(format!("{times}off")),
            "exit" | "panic" | "error" | "do-then-error" => Ok(format!("{times}return({action})")),
            _ if sleep(action).is_some() || until(action).is_some() => {
                Ok(format!("{times}return({action})"))
            }
            _ => Err(format!("`{action}` is not an action")),
        }
    }

    fn sleep(action: &str) -> Option<Duration> {
        let ms = action.strip_prefix("sleep(")?.strip_suffix(')')?;
        Some(Duration::from_millis(ms.parse().ok()?))
    }

    fn until(action: &str) -> Option<&std::path::Path> {
        Some(std::path::Path::new(action.strip_prefix("until(")?.strip_suffix(')')?))
    }

    /// Does what a test asked for at this point; an error when it asked for one.
    pub(super) async fn act(point: &str) -> Result<(), ()> {
        let Some(action) = fail::eval(point, Option::unwrap_or_default) else {
            return Ok(());
        };
        tracing::warn!(point, action, "fault");
        match action.as_str() {
            "error" | "do-then-error" => Err(()),
            "panic" => panic!("a panic injected at {point}"),
            "exit" => {
                // SIGKILL, not exit(): no destructor and no buffer gets a last chance.
                let pid = std::process::id().to_string();
                let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
                std::process::abort();
            }
            action if let Some(file) = until(action) => {
                while !file.exists() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            }
            action => {
                tokio::time::sleep(sleep(action).unwrap_or_default()).await;
                Ok(())
            }
        }
    }
}
