//! `longshore plan copy`: a table into another, cut into chunks by its index.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::task::{BudgetUnit, TableName};

use super::common::{Document, LoadArgs};
use crate::plan::build::build;
use crate::plan::input::{CopyInput, PlanInput};
use crate::plan::tables::feed::{FeedOptions, Snapshot};
use crate::plan::tables::remote::RemoteArgs;
use crate::plan::window::args::{WINDOW_HEADING, WindowArgs, WindowFlags};
use crate::plan::write::{Written, write};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Bytes of a table in one chunk.
const CHUNK_BYTES: u64 = 2 << 30;

/// Plan a copy of a table into another: after a schema change, or from another server
///
/// Columns are mapped by name. The table is cut by partitions and by its sorting key, read from
/// the index: no data is read. The same table into the same target gives the same plan.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Table to read, as DATABASE.TABLE (odd names in back quotes)
    #[arg(long, value_name = "TABLE")]
    from: TableName,
    /// Table to load into
    #[arg(long, value_name = "TABLE")]
    target: TableName,
    /// Only what the table got since the snapshot of this job, told by the names of its parts
    #[arg(long, value_name = "JOB", conflicts_with = "remote")]
    delta: Option<String>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    cut: CutArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    /// First moment of the time window to copy, such as 2024-01-01 or 2024-01-01T06:00:00Z; without
    /// a zone in that of the time column
    #[arg(long, value_name = "TIME", help_heading = WINDOW_HEADING)]
    since: Option<String>,
    /// First moment after the window
    #[arg(long, value_name = "TIME", help_heading = WINDOW_HEADING)]
    until: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
}

/// How a table is cut into chunks.
#[derive(Debug, Args)]
pub(crate) struct CutArgs {
    /// What --chunk-bytes counts: bytes in memory, or bytes on disk (which mislead where rows
    /// compress differently)
    #[arg(long, value_enum, value_name = "UNIT", default_value = "uncompressed")]
    budget: BudgetFlag,
    /// Read the table as of now: its parts are linked into a table in the staging database, which
    /// takes no space at first and is dropped when the job is completed
    #[arg(long)]
    snapshot: bool,
    /// Never link parts, not even where only that keeps chunks within the budget
    #[arg(long, conflicts_with = "snapshot")]
    no_snapshot: bool,
}

/// See [`BudgetUnit`].
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum BudgetFlag {
    /// Bytes in memory
    Uncompressed,
    /// Bytes on disk
    Compressed,
}

impl CutArgs {
    /// How to cut.
    pub(crate) fn options(&self, chunk_bytes: u64, again: &str) -> FeedOptions {
        FeedOptions {
            chunk_bytes,
            unit: match self.budget {
                BudgetFlag::Uncompressed => BudgetUnit::Uncompressed,
                BudgetFlag::Compressed => BudgetUnit::Compressed,
            },
            snapshot: match (self.snapshot, self.no_snapshot) {
                (true, _) => Snapshot::Always,
                (_, true) => Snapshot::Never,
                _ => Snapshot::WhenNeeded,
            },
            again: again.to_owned(),
        }
    }

    fn wants_snapshot(&self) -> bool {
        self.snapshot
    }
}

impl CopyArgs {
    /// Is the target read by the same job?
    fn is_in_place(&self) -> bool {
        self.from == self.target && !self.remote.is_remote()
    }

    fn input(self, config: &Config) -> Result<CopyInput, Error> {
        let is_in_place = self.is_in_place();
        let job = &self.load.job;
        Ok(CopyInput {
            job: job.input(config, self.load.mode.into(), is_in_place)?,
            cut: self.cut.options(self.load.chunk_bytes(CHUNK_BYTES), &job.again),
            choice: self.load.choice(None),
            from: self.from,
            target: self.target,
            delta: self.delta,
            remote: self.remote,
            is_in_place,
            window: WindowFlags { args: self.window, since: self.since, until: self.until },
        })
    }
}

pub(crate) async fn run(args: CopyArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    refuse(&args)?;
    let input = args.input(config)?;
    let session = Session::open(config).await?;
    let (from, unit) = (input.from.clone(), input.cut.unit);
    let draft = build(&session, config, PlanInput::Copy(input)).await?;
    let Written { job, created, bytes, notes } = write(&session, draft).await?;
    let rows = job.spec.source.as_tables().and_then(|tables| tables.rows);
    let rows = rows.map_or_else(|| "rows".to_owned(), |rows| text::plural(rows, "row"));
    let words = format!("{rows} of {from} ({} {})", text::bytes(bytes), unit.as_str());
    output.show(&Document::of(&job, created, words, notes), Document::words)?;
    Ok(Exit::Done)
}

fn refuse(args: &CopyArgs) -> Result<(), Error> {
    if args.is_in_place() && args.load.job.publish.is_append() {
        let message =
            format!("{} cannot be copied into itself: its rows would be there twice", args.from);
        return Err(Report::new(Kind::Usage, message)
            .help("--publish exchange, or replace: the old rows go when all new ones are there")
            .into());
    }
    if args.is_in_place() && args.delta.is_some() {
        let message = "a table that takes its own place is copied whole: with --delta all rows from before would be gone";
        return Err(Report::new(Kind::Usage, message).help("leave --delta out").into());
    }
    if args.is_in_place() && args.cut.no_snapshot {
        let message =
            "a table that takes its own place is read from a snapshot: leave --no-snapshot out";
        return Err(Report::new(Kind::Usage, message).into());
    }
    if args.remote.is_remote() && args.cut.wants_snapshot() {
        let message = "--snapshot links parts on the server that loads; --remote is another one";
        return Err(Report::new(Kind::Usage, message)
            .help("stop writing to the table while it is copied, or copy it where it is first")
            .into());
    }
    Ok(())
}
