//! Why a table cannot be cut.

use longshore_shared::clickhouse::Failure;
use longshore_shared::task::TableName;

/// Why a table cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutError {
    /// The server could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// No such table.
    #[error("there is no table {0}")]
    NoTable(TableName),
    /// Only MergeTree has an index.
    #[error("{table} has engine {engine}: only tables of the MergeTree family can be cut")]
    Engine { table: TableName, engine: String },
    /// Merges are faster than the reader.
    #[error("the parts of {0} change faster than they can be read")]
    Restless(TableName),
}
