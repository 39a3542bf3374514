//! What happened to a task, statement by statement: the history of its attempts together with what
//! the server knows of their statements.
//!
//! It explains and decides nothing: a server without a log, or one that this user may not read, leaves
//! the history alone.

use std::cmp::Reverse;

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, readable, retry_idempotent};
use longshore_shared::redact::scrub;
use longshore_shared::sql;
use longshore_shared::task::{Job, TaskId};
use serde::{Deserialize, Serialize};

use super::history::AttemptLine;
use crate::ui::output::{Side, table};
use crate::ui::text;

/// Statements shown of one task, the last ones.
const STATEMENTS_MAX: u32 = 300;
/// Clocks differ, and a plan is made before its first statement.
const SLACK_SECONDS: i64 = 3_600;
/// There is no log for us.
const NO_LOG: [Code; 2] = [Code::UNKNOWN_TABLE, Code::ACCESS_DENIED];

/// How a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The server works on it.
    Running,
    /// It ended well.
    Finished,
    /// It ended with an error.
    Failed,
    /// It began, and nothing is known of its end: the server died, or its log is behind.
    Lost,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Lost => "no end known",
        }
    }
}

/// A statement of the task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatementLine {
    pub(crate) query_id: String,
    pub(crate) epoch: u64,
    /// What it does: `stage-0`, `load`, `move-0`, …
    pub(crate) step: String,
    pub(crate) standing: Standing,
    pub(crate) started_at: Option<String>,
    #[serde(skip)]
    started_ms: i64,
    pub(crate) elapsed_ms: u64,
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_rows: u64,
    /// Most memory that it used.
    pub(crate) memory_bytes: u64,
    /// The server's words, when it failed.
    pub(crate) error: String,
    /// The text of a load.
    #[serde(skip)]
    pub(crate) text: String,
}

/// Statements of a task, the oldest first.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Statements {
    pub(crate) statements: Vec<StatementLine>,
    /// Why there may be more than are shown.
    pub(crate) statements_missing: Option<String>,
}

#[derive(Deserialize, Row)]
struct Logged {
    query_id: String,
    last_type: String,
    #[serde(deserialize_with = "readable")]
    last_exception: String,
    started_ms: i64,
    elapsed_ms: u64,
    rows_read: u64,
    bytes_read: u64,
    rows_written: u64,
    memory: u64,
    #[serde(deserialize_with = "readable")]
    text: String,
}

#[derive(Deserialize, Row)]
struct Process {
    query_id: String,
    elapsed_ms: u64,
    now_ms: i64,
    read_rows: u64,
    read_bytes: u64,
    written_rows: u64,
    memory: u64,
    #[serde(deserialize_with = "readable")]
    query: String,
}

/// What the server knows of the statements of a task.
pub(crate) async fn statements(
    server: &Server,
    job: &Job,
    id: &TaskId,
) -> Result<Statements, Failure> {
    let prefix = id.query_prefix();
    let age_ms = longshore_shared::ledger::now_ms() - job.created_ms;
    let seconds = u32::try_from(age_ms / 1_000 + SLACK_SECONDS).unwrap_or(u32::MAX);
    let processes: Result<Vec<Process>, Failure> =
        retry_idempotent(|| server.call(sql::TASK_PROCESSES).param("prefix", &prefix).fetch_all())
            .await;
    let processes = seen(processes)?.unwrap_or_default();
    let logged: Result<Vec<Logged>, Failure> = retry_idempotent(|| {
        let call = server.call(sql::TASK_STATEMENTS).param("prefix", &prefix);
        call.param("seconds", seconds)
            .param("limit", STATEMENTS_MAX)
            .param("already_running", i32::from(Code::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING))
            .fetch_all()
    })
    .await;
    let (logged, missing) = match seen(logged)? {
        Some(logged) if logged.len() >= STATEMENTS_MAX as usize => {
            (logged, Some(format!("only the last {STATEMENTS_MAX} statements are shown")))
        }
        Some(logged) => (logged, None),
        None => {
            let words = "the server has no system.query_log that this user may read";
            (Vec::new(), Some(words.to_owned()))
        }
    };
    let mut lines: Vec<StatementLine> = processes.into_iter().filter_map(running).collect();
    for row in logged {
        if !lines.iter().any(|line| line.query_id == row.query_id) {
            lines.extend(ended(row));
        }
    }
    lines.sort_by(|a, b| (a.started_ms, &a.query_id).cmp(&(b.started_ms, &b.query_id)));
    Ok(Statements { statements: lines, statements_missing: missing })
}

/// Nothing, where there is nothing to be seen.
fn seen<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.code().is_some_and(|code| NO_LOG.contains(&code)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn running(row: Process) -> Option<StatementLine> {
    let (_, epoch, step) = TaskId::of_query(&row.query_id)?;
    let started_ms = row.now_ms - i64::try_from(row.elapsed_ms).unwrap_or(0);
    Some(StatementLine {
        epoch: epoch.0,
        step: step.to_owned(),
        standing: Standing::Running,
        started_at: text::time(started_ms),
        started_ms,
        elapsed_ms: row.elapsed_ms,
        read_rows: row.read_rows,
        read_bytes: row.read_bytes,
        written_rows: row.written_rows,
        memory_bytes: row.memory,
        error: String::new(),
        text: if step == "load" { scrub(&row.query) } else { String::new() },
        query_id: row.query_id,
    })
}

fn ended(row: Logged) -> Option<StatementLine> {
    let (_, epoch, step) = TaskId::of_query(&row.query_id)?;
    Some(StatementLine {
        epoch: epoch.0,
        step: step.to_owned(),
        standing: match row.last_type.as_str() {
            "QueryFinish" => Standing::Finished,
            "QueryStart" => Standing::Lost,
            _ => Standing::Failed,
        },
        started_at: text::time(row.started_ms),
        started_ms: row.started_ms,
        elapsed_ms: row.elapsed_ms,
        read_rows: row.rows_read,
        read_bytes: row.bytes_read,
        written_rows: row.rows_written,
        memory_bytes: row.memory,
        error: scrub(&row.last_exception),
        text: scrub(&row.text),
        query_id: row.query_id,
    })
}

/// Statements and ends of attempts in one table, the oldest first.
pub(crate) fn words(statements: &Statements, history: &[AttemptLine]) -> String {
    let columns = [
        ("AT", Side::Left),
        ("EPOCH", Side::Right),
        ("WHAT", Side::Left),
        ("TOOK", Side::Right),
        ("READ", Side::Right),
        ("WRITTEN", Side::Right),
        ("MEMORY", Side::Right),
        ("QUERY ID, OR WORKER AND CAUSE", Side::Left),
    ];
    let took = |ms: u64| text::duration_ms(i64::try_from(ms).unwrap_or(i64::MAX));
    let of_statements = statements.statements.iter().map(|line| {
        let what = match line.standing {
            Standing::Finished => line.step.clone(),
            standing => format!("{}, {}", line.step, standing.as_str()),
        };
        let told = if line.error.is_empty() {
            line.query_id.clone()
        } else {
            format!("{} {}", line.query_id, line.error)
        };
        let cells = [
            what,
            took(line.elapsed_ms),
            text::count(line.read_rows),
            text::count(line.written_rows),
            text::bytes(line.memory_bytes),
        ];
        (line.started_ms, line.epoch, false, cells, told)
    });
    let of_history = history.iter().map(|line| {
        let what = format!("attempt {} {}", line.attempt, line.event);
        let told = format!("{} {}", line.worker, line.message);
        let cells = [what, took(line.elapsed_ms), String::new(), String::new(), String::new()];
        (line.at_ms, line.epoch, true, cells, told)
    });
    let mut rows: Vec<_> = of_statements.chain(of_history).collect();
    // Milliseconds are shared: the end of an attempt follows its statements.
    rows.sort_by_key(|(at, epoch, is_end, ..)| (*at, *epoch, *is_end));
    let rows = rows.into_iter().map(|(at, epoch, _, cells, told)| {
        let mut row = vec![text::time(at).unwrap_or_default(), epoch.to_string()];
        row.extend(cells);
        row.push(text::line(&told, text::CELL_CHARS_MAX * 2));
        row
    });
    let mut text = table(&columns, rows.collect());
    if let Some(missing) = &statements.statements_missing {
        text = format!("{text}\n({missing})");
    }
    text
}

impl Statements {
    /// The last load that the server knows the text of.
    pub(crate) fn last_load(&self) -> Option<&StatementLine> {
        let loads = self.statements.iter().filter(|line| !line.text.is_empty());
        loads.min_by_key(|line| Reverse((line.epoch, line.started_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_ends_of_attempts_are_one_story() {
        let at = 1_787_313_600_000;
        let row = |step: &str, kind: &str, at_ms: i64| Logged {
            query_id: format!("0123456789abcdef-0000007-1-{step}"),
            last_type: kind.into(),
            last_exception: if kind.starts_with("Exc") {
                "Code: 241.".into()
            } else {
                String::new()
            },
            started_ms: at_ms,
            elapsed_ms: 1_250,
            rows_read: 5_000,
            bytes_read: 1,
            rows_written: 4_000,
            memory: 3 << 20,
            text: if step == "load" { "INSERT".into() } else { String::new() },
        };
        let rows = [
            row("stage-0", "QueryFinish", at),
            row("load", "ExceptionWhileProcessing", at + 5),
            row("move-0", "QueryStart", at + 7),
        ];
        let foreign = Logged { query_id: "mine".into(), ..row("load", "QueryFinish", at) };
        assert!(ended(foreign).is_none());
        let statements = Statements {
            statements: rows.into_iter().filter_map(ended).collect(),
            statements_missing: Some("no log".into()),
        };
        assert_eq!(statements.last_load().map(|line| line.text.as_str()), Some("INSERT"));
        let history = [AttemptLine {
            epoch: 1,
            attempt: 1,
            worker: "box-1".into(),
            event: "retried".into(),
            message: "Memory limit exceeded".into(),
            elapsed_ms: 61_000,
            at_ms: at + 6,
        }];
        insta::assert_snapshot!(words(&statements, &history), @"
        AT                        EPOCH  WHAT                   TOOK   READ  WRITTEN    MEMORY  QUERY ID, OR WORKER AND CAUSE
        2026-08-21T12:00:00.000Z      1  stage-0                1.2s  5,000    4,000  3.00 MiB  0123456789abcdef-0000007-1-stage-0
        2026-08-21T12:00:00.005Z      1  load, failed           1.2s  5,000    4,000  3.00 MiB  0123456789abcdef-0000007-1-load Code: 241.
        2026-08-21T12:00:00.006Z      1  attempt 1 retried     1m 1s                            box-1 Memory limit exceeded
        2026-08-21T12:00:00.007Z      1  move-0, no end known   1.2s  5,000    4,000  3.00 MiB  0123456789abcdef-0000007-1-move-0
        (no log)
        ");
    }
}
