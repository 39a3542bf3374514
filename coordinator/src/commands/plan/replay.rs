//! `longshore plan replay`: the targets of materialized views again, through the views' own queries.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::schema::choose_views;
use longshore_shared::sql::quote_list;
use longshore_shared::task::{
    BudgetUnit, Chunk, JobSpec, Mode, Slice, Source, TableName, TablesSource,
};

use super::common::{Document, JobArgs, parse_bytes};
use super::copy::by_partition;
use crate::exit::{Error, Exit};
use crate::output::Output;
use crate::plan::{feed, notes, publish, rehearse};
use crate::session::Session;
use crate::text;

/// Plan a replay: fill the target of materialized views again through the views' own queries
///
/// The query of each view is run over its source, chunk by chunk. The source is only read, and the
/// table that it fills for other views is not touched.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Materialized view to replay, as DATABASE.VIEW; may be repeated
    #[arg(long, value_name = "VIEW", required_unless_present = "target")]
    view: Vec<TableName>,
    /// Table to fill [default: all that the views write to]; alone: by every view that writes to it
    #[arg(long, value_name = "TABLE")]
    target: Option<TableName>,
    /// Fill what follows too: every view that fires on a filled table
    #[arg(long)]
    cascade: bool,
    #[command(flatten)]
    job: JobArgs,
    /// Bytes of the source in one chunk, as 500M or 2G
    #[arg(long, value_name = "BYTES", default_value = "2G", value_parser = parse_bytes)]
    chunk_bytes: u64,
}

pub(crate) async fn run(args: ReplayArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let settings = args.job.settings()?;
    let session = Session::open(config).await?;
    let server = &session.server;
    let ignored = &args.job.ignore_view;
    let chosen =
        choose_views(server, &args.view, args.target.as_ref(), args.cascade, ignored).await?;
    let mut told = notes(server, &chosen).await?;
    let mut feeds = Vec::with_capacity(chosen.feeds.len());
    let mut slices: Vec<Slice> = Vec::new();
    for (position, view) in chosen.feeds.iter().enumerate() {
        feeds.push(feed(server, view, &mut told).await?);
        let cut = by_partition(server, &view.source).await?;
        slices.extend(cut.into_iter().map(|slice| Slice { feed: position, ..slice }));
    }
    rehearse(server, &chosen.graph).await?;
    let rows: u64 = slices.iter().map(|slice| slice.rows.max).sum();
    let columns = chosen.feeds[0].columns.iter().map(|column| column.name.clone());
    let columns: Vec<String> = columns.collect();
    let views: Vec<String> = chosen.feeds.iter().map(|view| view.name.to_string()).collect();
    let spec = JobSpec {
        target: chosen.graph.base().name.clone(),
        select: quote_list(&columns),
        columns,
        mode: Mode::Staged,
        filter: String::new(),
        settings,
        graph: chosen.graph,
        environment: session.environment.clone(),
        limits: args.job.limits(),
        source: Source::Tables(TablesSource {
            feeds,
            budget: BudgetUnit::Uncompressed,
            chunk_bytes: args.chunk_bytes,
            rows: Some(rows),
            digest: String::new(),
        }),
    };
    let chunks: Vec<Chunk> = slices.into_iter().map(Chunk::Slice).collect();
    let (job, created) = publish(&session.store, spec, &chunks, &args.job.again).await?;
    let words = format!(
        "{} through {} ({})",
        text::plural(rows, "row"),
        views.join(" and "),
        text::bytes(job.bytes)
    );
    output.show(&Document::of(&job, created, words, told), Document::words)?;
    Ok(Exit::Done)
}
