//! `longshore plan copy`: a table into another, cut into chunks by its index.

use clap::Args;
use longshore_shared::clickhouse::{Server, read};
use longshore_shared::config::Config;
use longshore_shared::schema::{columns, identities};
use longshore_shared::source::table_clause;
use longshore_shared::task::{
    BudgetUnit, Chunk, Feed, JobSpec, Piece, RowBounds, Slice, Source, TableName, TablesSource,
};

use super::common::{Document, LoadArgs};
use crate::exit::{Error, Exit, Kind, Report};
use crate::output::Output;
use crate::plan::{check_syntax, decide_table, publish, target};
use crate::session::Session;
use crate::text;

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
    #[command(flatten)]
    load: LoadArgs,
}

pub(crate) async fn run(args: CopyArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let settings = args.load.job.settings()?;
    let session = Session::open(config).await?;
    let server = &session.server;
    check_syntax(server, args.load.select.as_deref(), &args.load.filter).await?;
    if args.from == args.target {
        let message =
            format!("{} cannot be copied into itself: its rows would be there twice", args.from);
        return Err(Report::new(Kind::Usage, message).into());
    }
    let mode = args.load.mode.into();
    let (graph, mut notes) = target(server, &args.target, mode, &args.load.job.ignore_view).await?;
    let Some((_, uuid)) = identities(server, std::slice::from_ref(&args.from)).await?.pop() else {
        return Err(
            Report::new(Kind::Usage, format!("there is no table {} (--from)", args.from)).into()
        );
    };
    let feed = Feed {
        table: args.from.clone(),
        uuid: Some(uuid),
        origin: args.from.clone(),
        is_snapshot: false,
        remote: None,
        key: Vec::new(),
        view: None,
        window: None,
    };
    let choice = args.load.choice(None);
    let target_columns = columns(server, &args.target).await?;
    let schema = decide_table(server, &target_columns, &choice, &table_clause(&feed)).await?;
    notes.extend(schema.notes);
    let slices = by_partition(server, &args.from).await?;
    let rows = slices.iter().map(|slice| slice.rows.max).sum();
    let chunks: Vec<Chunk> = slices.into_iter().map(Chunk::Slice).collect();
    let spec = JobSpec {
        source: Source::Tables(TablesSource {
            feeds: vec![feed],
            budget: BudgetUnit::Uncompressed,
            chunk_bytes: args.load.chunk_bytes(CHUNK_BYTES),
            rows: Some(rows),
            digest: String::new(),
        }),
        mode,
        target: args.target,
        columns: schema.columns,
        select: schema.select,
        filter: choice.filter,
        settings,
        graph,
        environment: session.environment.clone(),
        limits: args.load.job.limits(),
    };
    let (job, created) = publish(&session.store, spec, &chunks, &args.load.job.again).await?;
    let words =
        format!("{} of {} ({})", text::plural(rows, "row"), args.from, text::bytes(job.bytes));
    output.show(&Document::of(&job, created, words, notes), Document::words)?;
    Ok(Exit::Done)
}

#[derive(serde::Deserialize, clickhouse::Row)]
struct Partition {
    id: String,
    rows: u64,
    bytes: u64,
}

pub(super) async fn by_partition(server: &Server, table: &TableName) -> Result<Vec<Slice>, Error> {
    let call = || {
        server
            .call_text("partitions", "SELECT partition_id AS id, sum(rows) AS rows, sum(data_uncompressed_bytes) AS bytes FROM system.parts WHERE active AND database = {database:String} AND table = {table:String} GROUP BY id ORDER BY id".to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let partitions: Vec<Partition> = read(|| call().fetch_all()).await?;
    let slice = |partition: Partition| Slice {
        feed: 0,
        pieces: vec![Piece { partitions: vec![partition.id], ..Piece::default() }],
        rows: RowBounds::exact(partition.rows),
        bytes: partition.bytes,
    };
    Ok(partitions.into_iter().map(slice).collect())
}
