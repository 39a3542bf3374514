//! Why the graph of a target cannot be staged.

use super::detours::Detour;
use crate::clickhouse::Failure;
use crate::task::TableName;

/// Views deeper than this are a cycle or a mistake.
pub(super) const VIEWS_MAX: usize = 200;

/// Why the graph of a target cannot be staged.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The server could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// No such table.
    #[error("there is no table {0}")]
    NoTable(TableName),
    /// An engine whose rows cannot be moved.
    #[error(
        "{table} has engine {engine}, which cannot be staged: rows are moved as partitions of MergeTree tables"
    )]
    Engine {
        /// The table.
        table: TableName,
        /// Its engine.
        engine: String,
    },
    /// A dependent that is no ordinary materialized view.
    #[error("{view} depends on {table} and is a {engine}, which cannot be staged")]
    ViewKind {
        /// The dependent.
        view: TableName,
        /// What it depends on.
        table: TableName,
        /// Its engine.
        engine: String,
    },
    /// A view that runs by the clock.
    #[error(
        "{view} is a refreshable view that {how} {table}; it runs by the clock, not on insert, and cannot be staged"
    )]
    Refreshable {
        /// The view.
        view: TableName,
        /// The table of the graph.
        table: TableName,
        /// `reads` or `writes`.
        how: &'static str,
    },
    /// A view that reads a staged table besides its source.
    #[error(
        "{view} fires on {source_table} and also reads {other}, which this job fills too: its result would depend on rows that are not published yet"
    )]
    CrossRead {
        /// The view.
        view: TableName,
        /// The table it fires on.
        source_table: TableName,
        /// The other table.
        other: TableName,
    },
    /// A view that reads a staged table over something else.
    #[error(
        "{view} fires on {source_table} and reads {table}, which this job fills, by a detour: \
         {view} → {detour}. The rows of a load are staged elsewhere until they are published, so the \
         view would see other rows there than with a plain INSERT"
    )]
    Detour {
        /// The view.
        view: TableName,
        /// The table it fires on.
        source_table: TableName,
        /// The table that it reaches.
        table: TableName,
        /// The way from the view to the table.
        detour: Detour,
    },
    /// A table of the MergeTree syntax before 2018.
    #[error(
        "{table} was made with the old syntax {engine}(date, key, granularity), and its parts cannot be staged: they carry no identity"
    )]
    OldSyntax {
        /// The table.
        table: TableName,
        /// Its engine.
        engine: String,
        /// The same engine in the syntax of today.
        today: String,
    },
    /// Too many views, or a cycle.
    #[error("more than {VIEWS_MAX} views depend on {0}, or they form a cycle")]
    TooMany(TableName),
}
