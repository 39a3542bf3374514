//! `longshore task`: everything known of one task, and what happens next.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::source::SourceKeys;
use longshore_shared::store::{TaskBrief, TaskStore, WorkerRecord};
use longshore_shared::task::{Job, JobState, Manifest, StateName, Task, TaskId, TaskState};
use serde::Serialize;

use crate::job::history::{self, AttemptLine, ReceiptLine};
use crate::job::timeline::{self, Statements};
use crate::plan::explain::contents::Contents;
use crate::plan::explain::last_task;
use crate::plan::explain::statement::{self, Statement};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::{Output, Side, table};
use crate::ui::{report, text};

/// A server of several may be away.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Characters of a load's statement in text.
const SQL_CHARS_MAX: usize = 2_000;

/// Show one task: its chunk, statements, attempts and proof, and what happens next
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Task id: JOB-NUMBER
    #[arg(value_name = "ID")]
    task: String,

    /// File with keys of the store, only to hide them in what is shown
    #[arg(long, env = "LONGSHORE_SOURCE_KEYS_FILE", value_name = "FILE")]
    source_keys_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct TaskDocument {
    task_id: String,
    job_id: String,
    state: StateName,
    epoch: u64,
    attempts: u32,
    deaths: u32,
    worker: String,
    endpoint: String,
    error: String,
    rows: u64,
    bytes: u64,
    changed_at: Option<String>,
    next: String,
    #[serde(flatten)]
    contents: Contents,
    manifest: Option<Manifest>,
    receipts: Vec<ReceiptLine>,
    history: Vec<AttemptLine>,
    #[serde(flatten)]
    statements: Statements,
    /// The last load as it was sent, or the next one as it would be.
    sql: Option<Statement>,
}

/// What is kept of a task besides its row.
#[derive(Debug, Default)]
struct Past {
    receipts: Vec<ReceiptLine>,
    history: Vec<AttemptLine>,
    statements: Statements,
    sql: Option<Statement>,
}

pub(crate) async fn run(args: TaskArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let id: TaskId = args.task.parse()?;
    let session = Session::open(config).await?;
    let job = session.job(id.job.as_str()).await?;
    let Some(task) = session.store.task(&id).await? else {
        let message = format!(
            "job {} has no task {id}: it has {}",
            job.id,
            text::plural(job.tasks.into(), "task")
        );
        return Err(Report::new(Kind::Usage, message).into());
    };
    let brief = session.store.briefs(std::slice::from_ref(&id)).await?.into_iter().next();
    let worker = match task.progress.state.owner() {
        Some(owner) => session.store.worker(&owner.worker).await?,
        None => None,
    };
    let next = last_task::next(&job, &task)
        .unwrap_or_else(|| next(&job, &task, brief.as_ref(), worker.as_ref()));
    let contents = Contents::of(&job, &task)?;
    let keys = statement::keys(args.source_keys_file.as_deref())?;
    let past = past(&session, &job, &task, &keys).await?;
    let server = job.spec.server(&task.id).map(|server| server.url.clone());
    let mut document = document(task, contents, next, past);
    if let Some(brief) = brief.filter(|brief| brief.state == document.state) {
        // What a publishing task waits for is noted on its row and is no part of its state.
        document.error = brief.error;
        if document.state == StateName::Publishing && !document.error.is_empty() {
            document.next.push_str(
                " It is tried again until it works; once the cause is gone, it goes on by itself.",
            );
        }
    }
    if let Some(url) = server {
        document.endpoint = url;
    }
    output.show(&document, task_text)?;
    Ok(Exit::Done)
}

async fn past(session: &Session, job: &Job, task: &Task, keys: &SourceKeys) -> Result<Past, Error> {
    let server = &match session.reach_within(job, &task.id, ANSWER_MAX).await {
        Ok(server) => server,
        Err(error) => {
            let error = report::of(&error, Some(&session.config)).message;
            tracing::warn!("the statements and the proof of the task are not shown: {error}");
            let history = history::attempts(&session.server, &task.id).await?;
            return Ok(Past { history, ..Past::default() });
        }
    };
    let is_elsewhere = server.connection().url != session.server.connection().url;
    let statements = timeline::statements(server, job, &task.id).await?;
    let sql = statement::of_task(server, job, task, keys).await?;
    let sql = match statements.last_load() {
        // It is what the server was told; the settings are made by the same rules.
        Some(load) => sql.map(|made| Statement {
            query_id: load.query_id.clone(),
            from: statement::From::QueryLog,
            text: load.text.clone(),
            settings: made.settings,
        }),
        None => sql,
    };
    let mut history = history::attempts(server, &task.id).await?;
    if is_elsewhere {
        // What happened while that server was away is written on the worker's own.
        history.extend(history::attempts(&session.server, &task.id).await?);
        history.sort_by_key(|line| (line.epoch, line.at_ms));
    }
    Ok(Past { receipts: history::receipts(server, &task.id).await?, history, statements, sql })
}

fn document(task: Task, contents: Contents, next: String, past: Past) -> TaskDocument {
    let state = task.progress.state;
    let name = state.name();
    let owner = state.owner().cloned();
    let (manifest, error, rows) = match state {
        TaskState::Pending { error, .. } | TaskState::Failed { error } => (None, error, 0),
        TaskState::Claimed { .. } => (None, String::new(), 0),
        TaskState::Publishing { manifest, .. } => (Some(manifest), String::new(), 0),
        TaskState::Done { rows } => (None, String::new(), rows),
        TaskState::Quarantined { manifest, error } => (Some(manifest), error, 0),
    };
    let (worker, endpoint) =
        owner.map(|owner| (owner.worker.0, owner.endpoint)).unwrap_or_default();
    TaskDocument {
        task_id: task.id.to_string(),
        job_id: task.id.job.to_string(),
        state: name,
        epoch: task.progress.epoch.0,
        attempts: task.progress.attempts,
        deaths: task.progress.deaths,
        worker,
        endpoint,
        error,
        rows,
        bytes: task.bytes,
        changed_at: text::time(task.changed_ms),
        next,
        contents,
        manifest,
        receipts: past.receipts,
        history: past.history,
        statements: past.statements,
        sql: past.sql,
    }
}

/// What happens to the task next, or what a person has to do.
fn next(
    job: &Job,
    task: &Task,
    brief: Option<&TaskBrief>,
    worker: Option<&WorkerRecord>,
) -> String {
    let id = &job.id;
    let lost = match worker {
        Some(worker) if worker.has_lapsed() => {
            Some(format!("whose heartbeat stopped {} ago", text::duration_ms(worker.age_ms)))
        }
        Some(_) => None,
        None => Some("which has left".to_owned()),
    };
    match &task.progress.state {
        TaskState::Pending { .. } => next_of_pending(job, brief.is_none_or(|brief| brief.due)),
        TaskState::Claimed { owner } => match lost {
            None => format!("worker {} loads it into its staging tables.", owner.worker),
            Some(lost) => format!(
                "it belongs to worker {}, {lost}. Another worker will take it over and load it afresh; \
                 nothing of it is in the target.",
                owner.worker
            ),
        },
        TaskState::Publishing { owner, .. } => match lost {
            None => format!("worker {} moves what it staged into the target.", owner.worker),
            Some(lost) => format!(
                "it belongs to worker {}, {lost}. Another worker will take it over and finish the moves \
                 of the manifest; nothing is loaded again.",
                owner.worker
            ),
        },
        TaskState::Done { .. } => "nothing; every row is in its target, and proved.".to_owned(),
        TaskState::Failed { .. } => format!(
            "nothing by itself; nothing of it is in any target. Once the cause is gone: \
             longshore retry {id} --task {}",
            task.id
        ),
        TaskState::Quarantined { .. } => format!(
            "a person has to decide, because it could not be proved whether a move happened. The manifest names \
             the parts, the error what was found, and the staging tables are kept. To prove it once more: \
             longshore retry {id} --task {0}. If its rows are in the targets: the same with --accept. If they are not: \
             with --reload. Job {id} goes on without it.",
            task.id
        ),
    }
}

fn next_of_pending(job: &Job, is_due: bool) -> String {
    let id = &job.id;
    match job.state {
        JobState::Planning => "it waits until its plan is whole.".to_owned(),
        JobState::Planned => format!("it waits until the job is submitted: longshore submit {id}"),
        JobState::Paused | JobState::Halted => {
            format!("the job is {}; to let it go on: longshore resume {id}", job.state.as_str())
        }
        JobState::Reopening => {
            format!("a retry was interrupted; to let it go on: longshore resume {id}")
        }
        JobState::Running if is_due => "the next free worker takes it.".to_owned(),
        JobState::Running => {
            "it waits a moment after its last attempt, then the next free worker takes it."
                .to_owned()
        }
        JobState::Completed
        | JobState::Failed
        | JobState::Cancelling
        | JobState::Cancelled
        | JobState::Deleting => {
            format!("nothing; the job is {}.", job.state.as_str())
        }
    }
}

fn task_text(task: &TaskDocument) -> String {
    let attempts = match task.deaths {
        0 => task.attempts.to_string(),
        deaths => format!("{}, in {deaths} of them its worker died", task.attempts),
    };
    let mut lines = vec![
        format!("task      {}  {}", task.task_id, task.state.as_str()),
        format!("attempts  {attempts} (epoch {})", task.epoch),
    ];
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{name:<9} {value}"));
        }
    };
    fact("worker", &task.worker);
    fact("server", &task.endpoint);
    if task.state == StateName::Done {
        fact("rows", &text::count(task.rows));
    }
    fact("error", &task.error);
    fact("changed", task.changed_at.as_deref().unwrap_or_default());
    lines.push(format!("\nNext: {}", task.next));
    lines.push(format!("\n{}", task.contents.text()));
    if let Some(manifest) = &task.manifest {
        lines.push(format!(
            "\nManifest: {} rows\n{}",
            text::count(manifest.rows),
            manifest_text(manifest)
        ));
    }
    if !task.receipts.is_empty() {
        lines.push(format!("\nReceipts:\n{}", receipts_text(&task.receipts)));
    }
    if !task.history.is_empty() || !task.statements.statements.is_empty() {
        lines.push(format!("\nTimeline:\n{}", timeline::words(&task.statements, &task.history)));
    }
    if let Some(sql) = &task.sql {
        let words = match sql.from {
            statement::From::QueryLog => "as the server was asked last",
            statement::From::Plan => "as a worker asks",
        };
        lines.push(format!("\nLoad, {words}:\n{}", sql.words(SQL_CHARS_MAX)));
    }
    lines.join("\n")
}

fn manifest_text(manifest: &Manifest) -> String {
    let columns = [
        ("TARGET", Side::Left),
        ("PARTITION", Side::Left),
        ("PARTS", Side::Right),
        ("ROWS", Side::Right),
    ];
    let rows = manifest.tables.iter().flat_map(|staged| {
        staged.lines.iter().map(|line| {
            vec![
                staged.target.to_string(),
                line.partition.clone(),
                line.parts.len().to_string(),
                text::count(line.rows()),
            ]
        })
    });
    let handovers = manifest.handovers.iter().map(|handover| {
        vec![
            handover.target.to_string(),
            format!("{} ({})", handover.mode.as_str(), handover.partitions.len()),
            String::new(),
            text::count(handover.rows),
        ]
    });
    table(&columns, rows.chain(handovers).collect())
}

fn receipts_text(receipts: &[ReceiptLine]) -> String {
    let columns = [
        ("TARGET", Side::Left),
        ("ROWS READ", Side::Right),
        ("ROWS MOVED", Side::Right),
        ("PARTITIONS", Side::Right),
        ("PARTS", Side::Right),
        ("PROVED", Side::Left),
    ];
    let rows = receipts.iter().map(|receipt| {
        vec![
            receipt.target.clone(),
            text::count(receipt.rows_read),
            text::count(receipt.rows_staged),
            receipt.partitions.len().to_string(),
            receipt.parts.to_string(),
            text::time(receipt.published_ms).unwrap_or_default(),
        ]
    });
    table(&columns, rows.collect())
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
