//! `longshore plan replay`: the targets of materialized views again, through the views' own queries.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::task::{Job, Mode, TableName};

use super::common::{Document, JobArgs};
use super::copy::CutArgs;
use crate::plan::build::build;
use crate::plan::input::{PlanInput, ReplayInput};
use crate::plan::window::args::{WINDOW_HEADING, WindowArgs, WindowFlags};
use crate::plan::write::{Written, write};
use crate::session::Session;
use crate::ui::error::{Error, Exit};
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
    let input = args.input(config)?;
    let session = Session::open(config).await?;
    let draft = build(&session, config, PlanInput::Replay(input)).await?;
    let Written { job, created, bytes, notes } = write(&session, draft).await?;
    output.show(&Document::of(&job, created, words(&job, bytes), notes), Document::words)?;
    Ok(Exit::Done)
}

/// What is read, in words.
fn words(job: &Job, bytes: u64) -> String {
    let Some(tables) = job.spec.source.as_tables() else { return text::bytes(bytes) };
    let rows = tables.rows.map_or_else(|| "rows".to_owned(), |rows| text::plural(rows, "row"));
    let views: Vec<String> = tables
        .feeds
        .iter()
        .filter_map(|feed| feed.view.as_ref())
        .map(|view| view.name.to_string())
        .collect();
    let unit = tables.budget.as_str();
    format!("{rows} through {} ({} {unit})", views.join(" and "), text::bytes(bytes))
}

impl ReplayArgs {
    fn input(self, config: &Config) -> Result<ReplayInput, Error> {
        let cut = self.cut.options(self.chunk_bytes, &self.job.again);
        Ok(ReplayInput {
            job: self.job.input(config, Mode::Staged, false)?,
            views: self.view,
            target: self.target,
            cascade: self.cascade,
            as_blocks: self.as_blocks,
            cut,
            window: WindowFlags { args: self.window, since: self.since, until: self.until },
        })
    }
}
