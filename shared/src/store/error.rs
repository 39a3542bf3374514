//! What a store can answer instead of a result.

use std::error::Error;

use crate::clickhouse::Failure;
use crate::ledger::LedgerError;
use crate::pack::UnpackError;

/// What a store can answer instead of a result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server said no, or could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A record written by another version, or damaged.
    #[error("the control tables hold a record this version cannot read: {0}")]
    Record(#[source] Box<dyn Error + Send + Sync>),
    /// The control tables are not there.
    #[error("the control tables are missing in database `{0}`")]
    NotInitialised(String),
    /// The control tables were made by an earlier Longshore, and lack a table.
    #[error(
        "the control tables in database `{0}` were made by an earlier version: `longshore init` adds what is missing"
    )]
    Outdated(String),
    /// The control tables were made by a newer Longshore.
    #[error("the control tables have version {found}, this program knows {known}")]
    NewerVersion {
        /// Version in the store.
        found: u32,
        /// Version of this program.
        known: u32,
    },
    /// A row would not fit into Keeper.
    #[error("{what} needs {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Which record.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    /// A record that cannot be read, with what is wrong with it: an error, or words.
    pub(super) fn record(what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Record(what.into())
    }
}

impl From<UnpackError> for StoreError {
    fn from(error: UnpackError) -> Self {
        Self::record(error)
    }
}

impl From<LedgerError> for StoreError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Failure(failure) => Self::Failure(failure),
            LedgerError::Record(error) => error.into(),
        }
    }
}

/// Result of a store call.
pub type Stored<T> = Result<T, StoreError>;
