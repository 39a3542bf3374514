//! `longshore explain`: why a chunk has the borders it has, and the statement that loads it.

use std::path::PathBuf;

use clap::Args;
use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::source::{ToRead, index_of};
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Chunk, Job, Source, Task, TaskId};
use serde::Serialize;

use crate::plan::explain::contents::Contents;
use crate::plan::explain::reasons::{self, Neighbours};
use crate::plan::explain::statement::{self, Statement};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Show why a chunk has its borders, and the exact statement that loads it
///
/// For a piece of a table the server is asked what its index would read. Nothing is changed, and no
/// key of a store is shown.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Task id: JOB-NUMBER
    #[arg(value_name = "CHUNK")]
    task: String,

    /// File with keys of the store, only to hide them in what is shown
    #[arg(long, env = "LONGSHORE_SOURCE_KEYS_FILE", value_name = "FILE")]
    source_keys_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Document {
    task_id: String,
    job_id: String,
    number: u32,
    chunks: u32,
    #[serde(flatten)]
    contents: Contents,
    bytes: u64,
    /// Bytes that a chunk should not exceed; nothing when the plan does not say.
    budget_bytes: Option<u64>,
    /// Files that a chunk may hold.
    budget_files: Option<u32>,
    /// What the bytes are: of files, or of a table in memory or on disk.
    unit: &'static str,
    /// What the index leaves to read, by the server's word.
    index: Option<IndexLine>,
    reasons: Vec<String>,
    sql: Option<Statement>,
}

#[derive(Debug, Serialize)]
struct IndexLine {
    parts: u64,
    granules: u64,
    rows: u64,
}

impl From<ToRead> for IndexLine {
    fn from(found: ToRead) -> Self {
        Self { parts: found.parts, granules: found.granules, rows: found.rows }
    }
}

pub(crate) async fn run(args: ExplainArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let id: TaskId = args.task.parse()?;
    let keys = statement::keys(args.source_keys_file.as_deref())?;
    let session = Session::open(config).await?;
    let job = session.job(id.job.as_str()).await?;
    let Some(task) = session.store.task(&id).await? else {
        let message = format!(
            "job {} has no chunk {id}: it has {}",
            job.id,
            text::plural(job.chunks().into(), "chunk")
        );
        return Err(Report::new(Kind::Usage, message).into());
    };
    let neighbours = neighbours(&session, &job, &task).await?;
    let server = session.reach(&job, &id).await?;
    let index = index(&server, &job, &neighbours.own).await?;
    let sql = statement::of_task(&server, &job, &task, &keys).await?;
    let contents = Contents::of(&job, &task)?;
    output.show(&document(&job, &task, contents, &neighbours, index, sql), words)?;
    Ok(Exit::Done)
}

/// The chunk, and those before and after it.
async fn neighbours(session: &Session, job: &Job, task: &Task) -> Result<Neighbours, Error> {
    let number = task.id.ordinal;
    let first = number.saturating_sub(1);
    let end = number.saturating_add(2).min(job.chunks());
    let ids: Vec<TaskId> =
        (first..end).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect();
    let chunks = session.store.chunks(&ids).await?;
    let of = |ordinal: Option<u32>| {
        let found = chunks.iter().find(|(id, _)| Some(id.ordinal) == ordinal);
        found.map(|(_, bytes)| Chunk::decode(bytes)).transpose()
    };
    Ok(Neighbours {
        before: of(number.checked_sub(1))?,
        own: Chunk::decode(&task.chunk)?,
        after: of(number.checked_add(1))?,
    })
}

/// What the server would read of a table; a server that refuses to say is no obstacle.
async fn index(server: &Server, job: &Job, chunk: &Chunk) -> Result<Option<ToRead>, Error> {
    let feed = chunk
        .as_slice()
        .and_then(|slice| Some((job.spec.source.as_tables()?.feeds.get(slice.feed)?, slice)));
    let Some((feed, slice)) = feed.filter(|(feed, _)| feed.remote.is_none()) else {
        return Ok(None);
    };
    match index_of(server, feed, slice).await {
        Ok(found) => Ok(found),
        // The table is gone, or may not be read: what the plan knows is still worth showing.
        Err(failure) if failure.is_refusal() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

fn document(
    job: &Job,
    task: &Task,
    contents: Contents,
    neighbours: &Neighbours,
    index: Option<ToRead>,
    sql: Option<Statement>,
) -> Document {
    let made = &job.spec.made;
    let (budget_bytes, unit) = match &job.spec.source {
        Source::Files(_) => (made.chunk_bytes, "of files"),
        Source::Tables(tables) => (Some(tables.chunk_bytes), tables.budget.as_str()),
    };
    Document {
        task_id: task.id.to_string(),
        job_id: job.id.to_string(),
        number: task.id.ordinal,
        chunks: job.chunks(),
        contents,
        bytes: task.bytes,
        budget_bytes,
        budget_files: made.chunk_files,
        unit,
        index: index.map(IndexLine::from),
        reasons: reasons::of(&job.spec, neighbours),
        sql,
    }
}

fn words(document: &Document) -> String {
    let mut lines = vec![
        format!("chunk   {}, number {} of {}", document.task_id, document.number, document.chunks),
        format!("bytes   {} {}", text::bytes(document.bytes), document.unit),
    ];
    let budget = document.budget_bytes.map(text::bytes);
    let files = document
        .budget_files
        .map(|files| format!("at most {}", text::plural(files.into(), "file")));
    let budget: Vec<String> = budget.into_iter().chain(files).collect();
    if !budget.is_empty() {
        lines.push(format!("budget  {}", budget.join(", ")));
    }
    if let Some(index) = &document.index {
        lines.push(format!(
            "index   {} rows in {} of {}",
            text::count(index.rows),
            text::plural(index.granules, "granule"),
            text::plural(index.parts, "part")
        ));
    }
    lines.push(format!("\n{}", document.contents.text()));
    if !document.reasons.is_empty() {
        lines.push("\nWhy:".to_owned());
        lines.extend(document.reasons.iter().map(|reason| format!("- {reason}")));
    }
    if let Some(sql) = &document.sql {
        let how = match sql.from {
            statement::From::Plan => "as a worker sends it",
            statement::From::QueryLog => "as it was sent",
        };
        lines.push(format!("\nLoad, {how} ({}):\n{}", sql.query_id, sql.words(usize::MAX)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use longshore_shared::task::{JobState, TaskState};

    use super::*;
    use crate::fixture;

    #[test]
    fn a_chunk_of_files_in_words() {
        let mut job = fixture::job(JobState::Planned);
        job.spec.made.chunk_bytes = Some(2_100_000);
        job.spec.made.chunk_files = Some(1_000);
        let task = fixture::task(TaskState::Pending { delay_ms: 0, error: String::new() });
        let own = Chunk::decode(&task.chunk).unwrap();
        let neighbours = Neighbours { before: None, after: Some(own.clone()), own };
        let contents = Contents::of(&job, &task).unwrap();
        let document = document(&job, &task, contents, &neighbours, None, None);
        insta::assert_snapshot!(words(&document), @"
        chunk   0123456789abcdef-0000007, number 7 of 40
        bytes   1.91 MiB of files
        budget  2.00 MiB, at most 1,000 files

        FILE                         BYTES
        lake/events/a b.parquet      1,000
        lake/events/c.parquet    2,000,000

        Why:
        - files are taken in the order in which the server lists them (s3); a file is never divided
        - it begins with the first file of the plan
        - it is no larger because the next file, lake/events/a b.parquet (1000 B), would make it 1.91 MiB; the budget of each chunk is drawn between 1.60 MiB and 2.00 MiB, so that workers that began together do not all publish at once
        ");
    }
}
