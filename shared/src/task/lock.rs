//! Which jobs may load into a table.

use super::{JobId, Stamp, TableName};

/// The jobs that hold a table. A row that is there is never removed, only changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The table that rows of the jobs end in.
    pub table: TableName,
    /// Mark of the write that made this row.
    pub stamp: Stamp,
    /// Several only when an operator forced them.
    pub jobs: Vec<JobId>,
}

impl Lock {
    /// A lock of this table, as a new write.
    #[must_use]
    pub fn of(table: TableName, jobs: Vec<JobId>) -> Self {
        Self { table, stamp: Stamp::fresh(), jobs }
    }
}
