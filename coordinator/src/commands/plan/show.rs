//! `longshore plan show`: what a plan loads, from where, into what.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{FilesSource, Job, JobState, TaskId};
use serde::Serialize;

use crate::commands::task::{FileLine, files_of};
use crate::exit::{Error, Exit};
use crate::output::{Output, Side, table};
use crate::session::Session;
use crate::text;

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
    source: FilesSource,
    columns: Vec<String>,
    select: String,
    filter: String,
    settings: std::collections::BTreeMap<String, String>,
    tables: Vec<TableLine>,
    views: Vec<ViewLine>,
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
    files: Vec<FileLine>,
}

pub(crate) async fn run(args: ShowArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    let mut first_chunks = Vec::new();
    for ordinal in 0..args.chunks.min(job.tasks) {
        let id = TaskId { job: job.id.clone(), ordinal };
        if let Some(task) = session.store.task(&id).await? {
            let files = files_of(&task)?;
            first_chunks.push(ChunkLine { task_id: id.to_string(), bytes: task.bytes, files });
        }
    }
    output.show(&document(job, first_chunks), plan_text)?;
    Ok(Exit::Done)
}

fn document(job: Job, first_chunks: Vec<ChunkLine>) -> PlanDocument {
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
        chunks: job.tasks,
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
        first_chunks,
    }
}

fn plan_text(plan: &PlanDocument) -> String {
    let source = &plan.source;
    let mut from = source.function.as_str().to_owned();
    if let Some(collection) = &source.named_collection {
        from = format!("{from}, named collection {collection}");
    }
    if !source.base.is_empty() {
        from = format!("{from}, {}", source.base);
    }
    let mut lines = vec![
        format!("plan      {}  {}", plan.plan_id, plan.state.as_str()),
        format!(
            "loads     {} in {}",
            text::plural(plan.files, "file"),
            text::plural(plan.chunks.into(), "chunk")
        ),
        format!("bytes     {}", text::bytes(plan.bytes)),
        format!("from      {from} ({})", source.format),
        format!("into      {} ({})", plan.target, plan.columns.join(", ")),
    ];
    if !plan.filter.is_empty() {
        lines.push(format!("where     {}", plan.filter));
    }
    if !plan.settings.is_empty() {
        let pairs: Vec<String> =
            plan.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("settings  {}", pairs.join(", ")));
    }
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
    let columns = [
        ("CHUNK", Side::Left),
        ("FILES", Side::Right),
        ("BYTES", Side::Right),
        ("FIRST FILE", Side::Left),
    ];
    let rows = chunks.iter().map(|chunk| {
        vec![
            chunk.task_id.clone(),
            text::count(chunk.files.len() as u64),
            text::bytes(chunk.bytes),
            chunk.files.first().map(|file| file.path.clone()).unwrap_or_default(),
        ]
    });
    table(&columns, rows.collect())
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
