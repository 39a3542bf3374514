//! `longshore plan replay`: the targets of materialized views again, through the views' own queries.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::schema::choose_views;
use longshore_shared::sql::quote_list;
use longshore_shared::task::{JobSpec, Made, Mode, Source, TableName};

use super::common::{Document, JobArgs};
use super::copy::CutArgs;
use super::window::{WINDOW_HEADING, WindowArgs, outside_note};
use crate::grants::durable::check_durable;
use crate::plan::replay::notes::{notes, rows_of};
use crate::plan::replay::view::Replay;
use crate::plan::tables::engines::refuse_source;
use crate::plan::tables::feed::FeedOptions;
use crate::plan::tables::source_tables::{cut_tables, plan_tables};
use crate::plan::target::rehearse::rehearse;
use crate::plan::target::shadow::{Marks, rehearse as rehearse_shadows};
use crate::plan::unfinished::refuse_unfinished;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text::{self, parse_bytes};

/// Plan a replay: fill the target of materialized views again through the views' own queries
///
/// The query of each view is run over its source, chunk by chunk. The source is only read: other
/// views that fire on it get nothing.
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
    /// Let each chunk be to a view what an inserted block is, even if its result then depends on
    /// where chunks end
    #[arg(long)]
    as_blocks: bool,
    #[command(flatten)]
    job: JobArgs,
    /// Bytes of the source in one chunk, as 500M or 2G
    #[arg(long, value_name = "BYTES", default_value = "2G", value_parser = parse_bytes)]
    chunk_bytes: u64,
    #[command(flatten)]
    cut: CutArgs,
    /// First moment of the time window of the source to replay, such as 2024-01-01 or
    /// 2024-01-01T06:00:00Z; without a zone in that of the time column
    #[arg(long, visible_alias = "from", value_name = "TIME", help_heading = WINDOW_HEADING)]
    since: Option<String>,
    /// First moment after the window
    #[arg(long, visible_alias = "to", value_name = "TIME", help_heading = WINDOW_HEADING)]
    until: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
}

pub(crate) async fn run(args: ReplayArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let settings = args.job.settings()?;
    let session = Session::open(config).await?;
    let server = &session.server;
    let ignored = &args.job.ignore_view;
    let mut chosen =
        choose_views(server, &args.view, args.target.as_ref(), args.cascade, ignored).await?;
    let mut rows = 0;
    for view in &chosen.feeds {
        refuse_source(server, view).await?;
        refuse_unfinished(server, &view.source).await?;
        rows += rows_of(server, &view.source).await?;
    }
    if rows == 0 {
        let message =
            format!("{} holds no rows: there is nothing to replay", chosen.feeds[0].source);
        return Err(Report::new(Kind::Usage, message).into());
    }
    let publishing = args.job.publish.chosen(false)?;
    if let (false, Some((view, table))) = (publishing.is_append(), chosen.other_writers.first()) {
        let message = format!(
            "--publish {}: {view} writes to {table} too and is not replayed, so its rows would be gone",
            publishing.mode.as_str()
        );
        let help = format!("replay all that write to it: --target {table} without --view");
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    rehearse_shadows(server, &chosen.graph, publishing).await?;
    // Before the sources are read: what arrives from here on is not in this plan.
    let marks = Marks::of(server, &chosen.graph, publishing).await?;
    let mut told = notes(server, &chosen, publishing).await?;
    let mut options = args.cut.options(args.chunk_bytes, &args.job.again);
    options.marks = marks;
    let sources: Vec<&TableName> = chosen.feeds.iter().map(|view| &view.source).collect();
    let (since, until) = (args.since.as_deref(), args.until.as_deref());
    let into = &chosen.graph.base().name;
    let window = args.window.request(config, &sources, into, since, until)?;
    told.extend(window.as_ref().and_then(|_| outside_note(&args.job.publish)));
    let replay = Replay {
        server,
        graph: &chosen.graph,
        options: &options,
        config,
        window: window.as_ref(),
        as_blocks: args.as_blocks,
    };
    let mut origins = Vec::with_capacity(chosen.feeds.len());
    for view in &chosen.feeds {
        origins.push(replay.origin(view, &mut told).await?);
    }
    told.extend(rehearse(server, &mut chosen.graph).await?);
    rehearse_shadows(server, &chosen.graph, publishing).await?;
    let marks = Marks::of(server, &chosen.graph, publishing).await?;
    let durable = args.job.durable(config);
    check_durable(server, durable).await?;
    let columns: Vec<String> =
        chosen.feeds[0].columns.iter().map(|column| column.name.clone()).collect();
    let environment = &session.environment;
    let home = session.home().await?;
    let spec = |source| JobSpec {
        source: Source::Tables(source),
        mode: Mode::Staged,
        target: chosen.graph.base().name.clone(),
        select: quote_list(&columns),
        outputs: Vec::new(),
        columns: columns.clone(),
        filter: String::new(),
        settings: settings.clone(),
        graph: chosen.graph.clone(),
        environment: environment.clone(),
        limits: args.job.limits(),
        publish: publishing,
        servers: vec![home.clone()],
        shard_by: None,
        durable,
        made: Made { again: args.job.again.clone(), ..Made::default() },
        reopening: None,
    };
    let options = FeedOptions { marks, ..options.clone() };
    let cuts = cut_tables(&session, &origins, &options).await?;
    let plan = plan_tables(&session, &origins, cuts, &options, spec).await?;
    told.extend(plan.notes);
    let views: Vec<String> = chosen.feeds.iter().map(|view| view.name.to_string()).collect();
    let rows = plan.job.spec.source.as_tables().and_then(|tables| tables.rows);
    let words = format!(
        "{} through {} ({} {})",
        rows.map_or_else(|| "rows".to_owned(), |rows| text::plural(rows, "row")),
        views.join(" and "),
        text::bytes(plan.bytes),
        options.unit.as_str()
    );
    output.show(&Document::of(&plan.job, plan.created, words, told), Document::words)?;
    Ok(Exit::Done)
}
