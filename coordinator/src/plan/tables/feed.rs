//! A table to read, how it is cut, and the chunks that come of it.

use longshore_shared::clickhouse::Server;
use longshore_shared::task::{BudgetUnit, Chunk, Feed, Slice, TableName};

use super::remote::Source;
use crate::plan::cut::{Cut, CutOptions, Unit};
use crate::plan::window::cut::Windowed;
use crate::ui::error::Error;

/// Most partitions in one chunk: each is a part of its own in the staging table, and one MOVE.
pub(crate) const PARTITIONS_MAX: usize = 50;

/// Is the source cloned before it is cut?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// When its key alone cannot keep every chunk within the budget.
    WhenNeeded,
    /// Always: everything is read as of one moment.
    Always,
    /// Never: the table is read as it is when a chunk is loaded.
    Never,
}

/// How tables are cut.
#[derive(Debug, Clone)]
pub(crate) struct FeedOptions {
    /// Most bytes of a chunk.
    pub(crate) chunk_bytes: u64,
    /// What they are.
    pub(crate) unit: BudgetUnit,
    /// Is the source cloned?
    pub(crate) snapshot: Snapshot,
    /// Makes another plan of the same rows.
    pub(crate) again: String,
}

/// A table to read, and the server that knows its index.
pub(crate) struct Origin {
    /// As it is read, without bounds yet.
    pub(crate) feed: Feed,
    /// Where it is.
    pub(crate) source: Source,
    /// Rows that must stay together, if any.
    pub(crate) align: Option<Align>,
    /// Only this time window, cut by time.
    pub(crate) windowed: Option<Windowed>,
}

/// Where a table may be cut so that rows that belong together stay in one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Align {
    /// Only so many leading key columns may be bounds.
    pub(crate) columns: usize,
    /// Partitions are borders too.
    pub(crate) partitions_apart: bool,
}

pub(crate) fn chunks(cuts: &[Cut]) -> Vec<Chunk> {
    let slices = cuts.iter().enumerate().flat_map(|(feed, cut)| {
        cut.slices.iter().map(move |slice| Chunk::Slice(Slice { feed, ..slice.clone() }))
    });
    slices.collect()
}

/// How one table is cut.
pub(crate) fn cut_options(
    options: &FeedOptions,
    origin: &Origin,
    has_snapshot: bool,
) -> CutOptions {
    CutOptions {
        budget_bytes: options.chunk_bytes,
        unit: match options.unit {
            BudgetUnit::Uncompressed => Unit::Uncompressed,
            BudgetUnit::Compressed => Unit::Compressed,
        },
        partitions_max: PARTITIONS_MAX,
        has_snapshot,
        align: origin.align.map(|align| align.columns),
        partitions_apart: origin.align.is_some_and(|align| align.partitions_apart),
        partitions: None,
    }
}

/// Cuts one window of a table.
pub(crate) async fn cut_window(
    server: &Server,
    windowed: &Windowed,
    table: &TableName,
    options: &FeedOptions,
) -> Result<Cut, Error> {
    let is_compressed = options.unit == BudgetUnit::Compressed;
    windowed.cut(server, table, options.chunk_bytes, is_compressed).await
}
