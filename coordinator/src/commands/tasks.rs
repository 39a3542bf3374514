//! `longshore tasks`: the tasks of a job.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use longshore_shared::config::Config;
use longshore_shared::store::{TaskBrief, TaskStore};
use longshore_shared::task::{Chunk, Job, Source, StateName, TaskId};
use serde::Serialize;

use crate::census::find_tasks_where;
use crate::job::filter::Filter;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::{Output, Side, table};
use crate::ui::text;

/// Characters of a cause in a summary.
const CAUSE_CHARS_MAX: usize = 400;
/// Tasks shown when nothing else is said.
const TASKS_SHOWN: usize = 50;
/// Tasks whose files are read by one request.
const TASKS_AT_ONCE: usize = 1_000;
/// A list of files is of use only when it is whole: more tasks than a job can have.
const ALL: &str = "4294967295";

/// List tasks of a job
///
/// Tasks are read by key, page by page, until the limit is reached or all that are known to be in
/// the given states are found.
///
/// --where takes a condition on the fields state, worker, error (= != ~ !~, where ~ means «holds
/// this text») and attempts, deaths, epoch, files, bytes, rows, number (= != < <= > >=), with `and`,
/// `or`, `not` and brackets.
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Only tasks in these states
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state_parser())]
    state: Vec<StateName>,

    /// Only tasks that meet this condition, as "error~'timed out' and attempts>3"
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,

    /// Tasks shown at most
    #[arg(long, value_name = "N", default_value_t = TASKS_SHOWN, default_value_if("files", "true", Some(ALL)))]
    limit: usize,

    /// Print the addresses of their files instead, one a line, as `plan files --files` takes them;
    /// of all such tasks when --limit is not given
    #[arg(long, conflicts_with = "json")]
    files: bool,
}

#[derive(Debug, Serialize)]
struct TaskList {
    job_id: String,
    tasks: Vec<TaskLine>,
}

/// A task in a list.
#[derive(Debug, Serialize)]
pub(crate) struct TaskLine {
    task_id: String,
    state: StateName,
    worker: String,
    attempts: u32,
    deaths: u32,
    files: u32,
    bytes: u64,
    rows: u64,
    error: String,
    changed_at: Option<String>,
}

impl TaskLine {
    /// Its key.
    pub(crate) fn task_id(&self) -> &str {
        &self.task_id
    }
}

impl TaskLine {
    /// A task that is not done, with its cause.
    pub(crate) fn problem(&self) -> String {
        format!(
            "{}  {} after {}\n    {}",
            self.task_id,
            self.state.as_str(),
            text::plural(self.attempts.into(), "attempt"),
            text::line(&self.error, CAUSE_CHARS_MAX)
        )
    }
}

impl From<TaskBrief> for TaskLine {
    fn from(brief: TaskBrief) -> Self {
        Self {
            task_id: brief.id.to_string(),
            state: brief.state,
            worker: brief.worker.0,
            attempts: brief.attempts,
            deaths: brief.deaths,
            files: brief.files,
            bytes: brief.bytes,
            rows: brief.rows,
            error: brief.error,
            changed_at: text::time(brief.changed_ms),
        }
    }
}

pub(crate) async fn run(args: TasksArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let filter = args.condition.as_deref().map(Filter::parse).transpose()?;
    let holds = |task: &TaskBrief| filter.as_ref().is_none_or(|filter| filter.matches(task));
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    // One more than shown tells whether there are more.
    let limit = args.limit.saturating_add(1);
    let mut found = find_tasks_where(&session.store, &job, &args.state, holds, limit).await?;
    let is_cut = found.len() > args.limit;
    found.truncate(args.limit);
    if args.files {
        return print_files(&session, &job, &found).await;
    }
    let list = TaskList {
        job_id: job.id.to_string(),
        tasks: found.into_iter().map(TaskLine::from).collect(),
    };
    output.show(&list, |list| tasks_text(&list.tasks))?;
    if is_cut {
        output.note(&format!("There are more: --limit N shows more than {}.", args.limit));
    }
    Ok(Exit::Done)
}

/// The addresses of the files of some tasks.
async fn print_files(session: &Session, job: &Job, tasks: &[TaskBrief]) -> Result<Exit, Error> {
    let Source::Files(source) = &job.spec.source else {
        let message = format!("job {} copies a table: its tasks have no files", job.id);
        return Err(Report::new(Kind::Usage, message)
            .help("longshore task ID shows what a task reads")
            .into());
    };
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
    for page in ids.chunks(TASKS_AT_ONCE) {
        let mut lines = String::new();
        for (_, chunk) in session.store.chunks(page).await? {
            for file in Chunk::decode(&chunk)?.files() {
                lines.push_str(&source.address(file));
                lines.push('\n');
            }
        }
        Output::raw(&lines)?;
    }
    Ok(Exit::Done)
}

fn tasks_text(tasks: &[TaskLine]) -> String {
    if tasks.is_empty() {
        return "No such tasks.".to_owned();
    }
    let columns = [
        ("TASK", Side::Left),
        ("STATE", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("FILES", Side::Right),
        ("BYTES", Side::Right),
        ("ROWS", Side::Right),
        ("WORKER OR ERROR", Side::Left),
    ];
    let rows = tasks.iter().map(|task| {
        let remark = if task.worker.is_empty() { &task.error } else { &task.worker };
        vec![
            task.task_id.clone(),
            task.state.as_str().to_owned(),
            task.attempts.to_string(),
            text::count(task.files.into()),
            text::bytes(task.bytes),
            text::count(task.rows),
            text::line(remark, text::CELL_CHARS_MAX),
        ]
    });
    table(&columns, rows.collect())
}

fn state_parser() -> impl TypedValueParser<Value = StateName> {
    PossibleValuesParser::new(StateName::ALL.map(StateName::as_str))
        .try_map(|name| StateName::parse(&name).ok_or("not a state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_who_works_or_why_it_failed() {
        let line = |ordinal: u32, state, worker: &str, error: &str| TaskLine {
            task_id: format!("0123456789abcdef-{ordinal:07}"),
            state,
            worker: worker.into(),
            attempts: 1,
            deaths: 0,
            files: 12,
            bytes: 1 << 30,
            rows: if state == StateName::Done { 1_234_567 } else { 0 },
            error: error.into(),
            changed_at: None,
        };
        let tasks = [
            line(0, StateName::Done, "", ""),
            line(1, StateName::Claimed, "host-1a2b3c4d", ""),
            line(2, StateName::Failed, "", "events/7.parquet:\n  not a Parquet file"),
        ];
        insta::assert_snapshot!(tasks_text(&tasks), @"
        TASK                      STATE    ATTEMPTS  FILES     BYTES       ROWS  WORKER OR ERROR
        0123456789abcdef-0000000  done            1     12  1.00 GiB  1,234,567
        0123456789abcdef-0000001  claimed         1     12  1.00 GiB          0  host-1a2b3c4d
        0123456789abcdef-0000002  failed          1     12  1.00 GiB          0  events/7.parquet: not a Parquet file
        ");
        insta::assert_snapshot!(tasks_text(&[]), @"No such tasks.");
    }
}
