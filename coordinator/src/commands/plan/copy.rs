//! `longshore plan copy`: a table into another, cut into chunks by its index.

use clap::Args;
use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::schema::columns;
use longshore_shared::source::table_clause;
use longshore_shared::task::{BudgetUnit, JobSpec, Made, Source, TableName};

use super::common::{Document, LoadArgs};
use super::window::{WINDOW_HEADING, WindowArgs, outside_note};
use crate::grants::durable::check_durable;
use crate::plan::tables::delta::{Since, plan_delta};
use crate::plan::tables::feed::{FeedOptions, Origin, Snapshot};
use crate::plan::tables::remote::{RemoteArgs, Source as PlanSource};
use crate::plan::tables::source_tables::{cut_tables, plan_tables};
use crate::plan::target::columns::{check_syntax, decide_table};
use crate::plan::target::expiry::expired_note;
use crate::plan::target::filled::target;
use crate::plan::target::shadow::{Marks, in_place_note};
use crate::plan::unfinished::refuse_unfinished;
use crate::plan::window::cut::Windowed;
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
            marks: Marks::default(),
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
}

pub(crate) async fn run(args: CopyArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    refuse(&args)?;
    let settings = args.load.job.settings()?;
    let session = Session::open(config).await?;
    let server = &session.server;
    let mode = args.load.mode.into();
    let in_place = args.is_in_place();
    let publishing = args.load.job.publish.chosen(in_place)?;
    let ignored = &args.load.job.ignore_view;
    let choice = args.load.choice(None);
    let mut options = args.cut.options(args.load.chunk_bytes(CHUNK_BYTES), &args.load.job.again);
    let is_plain = publishing.is_append() && args.delta.is_none() && !args.has_window(config)?;
    let reads = async {
        let (feed, source) = args.remote.resolve(server, config, &args.from).await?;
        if source.is_seen() {
            refuse_unfinished(source.server().unwrap_or(server), &args.from).await?;
        }
        let origin = Origin { feed, source, align: None, windowed: None };
        let from = table_clause(&origin.feed);
        let schema = async {
            check_syntax(server, choice.select.as_deref(), &choice.filter).await?;
            let target_columns = columns(server, &args.target).await?;
            decide_table(server, &target_columns, &choice, &from).await
        };
        let cuts = async {
            if !is_plain {
                return Ok(None);
            }
            cut_tables(&session, std::slice::from_ref(&origin), &options).await.map(Some)
        };
        let (schema, cuts) = tokio::try_join!(schema, cuts)?;
        Ok::<_, Error>((origin, schema, cuts))
    };
    let fills = target(server, &args.target, mode, publishing, ignored);
    // Both to their ends: the one that tries the staging tables takes them away again.
    let (reads, fills) = tokio::join!(reads, fills);
    let ((mut origin, schema, cuts), (graph, mut notes)) = (reads?, fills?);
    // Before the table is cut: what arrives from here on is not in this plan.
    let marks = Marks::of(server, &graph, publishing).await?;
    notes.extend(schema.notes);
    if in_place && (choice.select.is_some() || !choice.filter.is_empty()) {
        notes.extend(in_place_note(publishing));
    }
    if !origin.source.is_seen() {
        notes.push(format!(
            "mutations of {} that are not finished on the other server are not looked for: give --remote-url",
            args.from
        ));
    }
    if choice.select.is_none() {
        let from = table_clause(&origin.feed);
        notes.extend(expired_note(server, &from, &args.from, &graph, &choice.filter).await);
    }
    let from = args.from.to_string();
    options.marks = marks;
    if in_place {
        options.snapshot = Snapshot::Always;
    }
    let durable = args.load.job.durable(config);
    check_durable(server, durable).await?;
    let limits = args.load.job.limits();
    let environment = &session.environment;
    let home = session.home().await?;
    let spec = |source| JobSpec {
        source: Source::Tables(source),
        mode,
        target: args.target.clone(),
        columns: schema.columns.clone(),
        select: schema.select.clone(),
        outputs: schema.outputs.clone(),
        filter: choice.filter.clone(),
        settings: settings.clone(),
        graph: graph.clone(),
        environment: environment.clone(),
        limits: limits.clone(),
        publish: publishing,
        servers: vec![home.clone()],
        shard_by: None,
        durable,
        made: Made { again: args.load.job.again.clone(), ..Made::default() },
        reopening: None,
    };
    origin.windowed = args.windowed(server, config, &origin.source, &mut notes).await?;
    origin.feed.window = origin.windowed.as_ref().map(Windowed::window);
    let plan = if let Some(job) = &args.delta {
        let since = Since::of(&session, job, &args.from).await?;
        plan_delta(&session, &origin, &options, &since, spec).await?
    } else {
        let origins = [origin];
        let cuts = match cuts {
            Some(cuts) => cuts,
            None => cut_tables(&session, &origins, &options).await?,
        };
        plan_tables(&session, &origins, cuts, &options, spec).await?
    };
    notes.extend(plan.notes);
    let rows = plan.job.spec.source.as_tables().and_then(|tables| tables.rows);
    let rows = rows.map_or_else(|| "rows".to_owned(), |rows| text::plural(rows, "row"));
    let bytes = text::bytes(plan.bytes);
    let words = format!("{rows} of {from} ({bytes} {})", options.unit.as_str());
    output.show(&Document::of(&plan.job, plan.created, words, notes), Document::words)?;
    Ok(Exit::Done)
}

impl CopyArgs {
    /// Is a time window asked for, by a flag or a setting?
    fn has_window(&self, config: &Config) -> Result<bool, Error> {
        let (since, until) = (self.since.as_deref(), self.until.as_deref());
        Ok(self.window.request(config, &[&self.from], &self.target, since, until)?.is_some())
    }

    /// The time window, if one is asked for.
    async fn windowed(
        &self,
        server: &Server,
        config: &Config,
        source: &PlanSource,
        notes: &mut Vec<String>,
    ) -> Result<Option<Windowed>, Error> {
        let (since, until) = (self.since.as_deref(), self.until.as_deref());
        let (read, into) = ([&self.from], &self.target);
        let Some(request) = self.window.request(config, &read, into, since, until)? else {
            return Ok(None);
        };
        let refused = |message: &str, help: &str| {
            Err(Report::new(Kind::Usage, message).help(help.to_owned()).into())
        };
        if self.delta.is_some() {
            return refused("--delta is of a whole table", "leave the time window out");
        }
        if self.is_in_place() {
            let message = "a table that takes its own place is copied whole: rows outside of a time \
                           window would be gone";
            return refused(message, "leave the time window out");
        }
        if !source.is_seen() {
            let message = "the rows of a time window are counted on the other server";
            return refused(message, "give --remote-url");
        }
        notes.extend(outside_note(&self.load.job.publish));
        let there = source.server().unwrap_or(server);
        let (windowed, told) = request.of_table(there, config, &self.from).await?;
        notes.extend(told);
        Ok(Some(windowed))
    }
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
