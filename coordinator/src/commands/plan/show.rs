//! `longshore plan show`: what a plan loads, from where, into what.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::source::table_clause;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Job, JobState, ReplicasWait, Source, TaskId};
use serde::Serialize;

use crate::plan::explain::contents::Contents;
use crate::plan::explain::last_task;
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::{Output, Side, table};
use crate::ui::text;

/// Show what a plan loads, from where, and every table and view it fills
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Chunks shown
    #[arg(long, value_name = "N", default_value_t = 5)]
    chunks: u32,
}

#[derive(Debug, Serialize)]
struct PlanDocument {
    plan_id: String,
    state: JobState,
    target: String,
    chunks: u32,
    files: u64,
    bytes: u64,
    created_at: Option<String>,
    source: Source,
    columns: Vec<String>,
    select: String,
    filter: String,
    settings: std::collections::BTreeMap<String, String>,
    /// Everything is synced to disk before a receipt.
    durable: bool,
    /// On how many replicas every row must be before the job is completed.
    replicas_wait: ReplicasWait,
    tables: Vec<TableLine>,
    views: Vec<ViewLine>,
    /// How the last task publishes; nothing when each task does.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<&'static str>,
    /// The same in words.
    #[serde(skip)]
    publishes: Option<String>,
    first_chunks: Vec<ChunkLine>,
}

/// A table that the job fills.
#[derive(Debug, Serialize)]
struct TableLine {
    name: String,
    engine: String,
    /// Its rows are staged and moved; a `Null` table only feeds views.
    staged: bool,
    /// The views that write to it; none for the target itself.
    filled_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ViewLine {
    name: String,
    reads: String,
    writes: String,
}

#[derive(Debug, Serialize)]
struct ChunkLine {
    task_id: String,
    bytes: u64,
    #[serde(flatten)]
    contents: Contents,
}

pub(crate) async fn run(args: ShowArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let mut first_chunks = Vec::new();
    for ordinal in 0..args.chunks.min(job.chunks()) {
        let id = TaskId { job: job.id.clone(), ordinal };
        if let Some(task) = session.store.task(&id).await? {
            let contents = Contents::of(&job, &task)?;
            first_chunks.push(ChunkLine { task_id: id.to_string(), bytes: task.bytes, contents });
        }
    }
    output.show(&document(job, first_chunks), plan_text)?;
    Ok(Exit::Done)
}

fn document(job: Job, first_chunks: Vec<ChunkLine>) -> PlanDocument {
    let publish = (!job.spec.publish.is_append()).then(|| job.spec.publish.mode.as_str());
    let publishes = publish.map(|_| last_task::words(&job));
    let chunks = job.chunks();
    let spec = job.spec;
    let views: Vec<ViewLine> = spec
        .graph
        .views
        .iter()
        .map(|view| ViewLine {
            name: view.name.to_string(),
            reads: view.source.to_string(),
            writes: view.target.to_string(),
        })
        .collect();
    let tables = spec.graph.tables.iter().map(|table| {
        let name = table.name.to_string();
        let filled_by =
            views.iter().filter(|view| view.writes == name).map(|view| view.name.clone());
        TableLine {
            filled_by: filled_by.collect(),
            engine: table.engine.clone(),
            staged: table.keeps_rows(),
            name,
        }
    });
    PlanDocument {
        plan_id: job.id.to_string(),
        state: job.state,
        target: spec.target.to_string(),
        chunks,
        publish,
        publishes,
        files: job.files,
        bytes: job.bytes,
        created_at: text::time(job.created_ms),
        tables: tables.collect(),
        views,
        source: spec.source,
        columns: spec.columns,
        select: spec.select,
        filter: spec.filter,
        settings: spec.settings,
        durable: spec.durable,
        replicas_wait: spec.replicas_wait,
        first_chunks,
    }
}

fn plan_text(plan: &PlanDocument) -> String {
    let mut lines = vec![
        format!("plan      {}  {}", plan.plan_id, plan.state.as_str()),
        format!("loads     {}", loads(plan)),
        format!("bytes     {}", text::bytes(plan.bytes)),
    ];
    lines.extend(sources(&plan.source).into_iter().map(|from| format!("from      {from}")));
    lines.push(format!("into      {} ({})", plan.target, plan.columns.join(", ")));
    if !plan.filter.is_empty() {
        lines.push(format!("where     {}", plan.filter));
    }
    if !plan.settings.is_empty() {
        let pairs: Vec<String> =
            plan.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("settings  {}", pairs.join(", ")));
    }
    if plan.durable {
        lines.push("durable   yes: all is synced to disk before a receipt".to_owned());
    }
    if !plan.replicas_wait.is_one() {
        let which = match plan.replicas_wait {
            ReplicasWait::All => "all",
            _ => "more than half",
        };
        lines.push(format!("replicas  {which} must have every row before the job is completed"));
    }
    lines.extend(plan.publishes.iter().map(|words| format!("at last   {words}")));
    lines.extend(plan.created_at.iter().map(|at| format!("planned   {at}")));
    lines.push(format!("\n{}", tables_text(&plan.tables)));
    if !plan.first_chunks.is_empty() {
        lines.push(format!("\n{}", chunks_text(&plan.first_chunks)));
        let more = u64::from(plan.chunks) - plan.first_chunks.len() as u64;
        if more > 0 {
            lines.push(format!("… and {} more", text::count(more)));
        }
    }
    if plan.state == JobState::Planned {
        lines.push(format!("\nNext: longshore run {} --workers 4", plan.plan_id));
    }
    lines.join("\n")
}

fn loads(plan: &PlanDocument) -> String {
    let chunks = text::plural(plan.chunks.into(), "chunk");
    match &plan.source {
        Source::Files(_) => format!("{} in {chunks}", text::plural(plan.files, "file")),
        Source::Tables(tables) => match tables.rows {
            Some(rows) => format!("{} in {chunks}", text::plural(rows, "row")),
            None => chunks,
        },
    }
}

/// Where rows come from, a line each.
fn sources(source: &Source) -> Vec<String> {
    match source {
        Source::Files(source) => {
            let mut from = source.function.as_str().to_owned();
            if let Some(collection) = &source.named_collection {
                from = format!("{from}, named collection {collection}");
            }
            if !source.base.is_empty() {
                from = format!("{from}, {}", source.base);
            }
            vec![format!("{from} ({})", source.format)]
        }
        Source::Tables(tables) => tables
            .feeds
            .iter()
            .map(|feed| {
                let table = table_clause(feed);
                let through = feed.view.as_ref().map(|view| format!(" through view {}", view.name));
                let of = feed.is_snapshot.then(|| format!(", a snapshot of {}", feed.origin));
                format!("{table}{}{}", through.unwrap_or_default(), of.unwrap_or_default())
            })
            .collect(),
    }
}

fn tables_text(tables: &[TableLine]) -> String {
    let columns = [("TABLE", Side::Left), ("ENGINE", Side::Left), ("FILLED BY", Side::Left)];
    let rows = tables.iter().map(|table| {
        let mut filled_by = table.filled_by.join(", ");
        if filled_by.is_empty() {
            "the load".clone_into(&mut filled_by);
        }
        if !table.staged {
            filled_by.push_str(" (keeps no rows, feeds its views)");
        }
        vec![table.name.clone(), table.engine.clone(), filled_by]
    });
    table(&columns, rows.collect())
}

fn chunks_text(chunks: &[ChunkLine]) -> String {
    let is_files = chunks.iter().all(|chunk| chunk.contents.slice.is_none());
    let (count, first) = if is_files { ("FILES", "FIRST FILE") } else { ("ROWS", "WHERE") };
    let columns =
        [("CHUNK", Side::Left), (count, Side::Right), ("BYTES", Side::Right), (first, Side::Left)];
    let rows = chunks.iter().map(|chunk| {
        let contents = &chunk.contents;
        let count = match &contents.slice {
            Some(slice) if slice.rows_min == slice.rows_max => text::count(slice.rows_min),
            Some(slice) => {
                format!("{}-{}", text::count(slice.rows_min), text::count(slice.rows_max))
            }
            None => text::count(contents.files.len() as u64),
        };
        vec![chunk.task_id.clone(), count, text::bytes(chunk.bytes), contents.first()]
    });
    table(&columns, rows.collect())
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
