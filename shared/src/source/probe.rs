//! Is the table inside a view's query restricted to the chunk? Asked of the server, because a filter
//! that it does not apply is ignored without an error.

use clickhouse::Row;
use serde::Deserialize;

use super::Reading;
use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql::quote_list;
use crate::task::{Feed, RowBounds, Slice, TableName};

/// What the server expects to read of a table.
#[derive(Debug, Clone, Deserialize, Row)]
struct Estimated {
    database: String,
    table: String,
    parts: u64,
    rows: u64,
    marks: u64,
}

/// Why a view's query cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The server could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The table is read past the filter, or not seen at all.
    #[error(
        "the query of {view} does not keep to a piece of {table}: of a piece without rows the server would read {found}"
    )]
    Ignored {
        /// The view.
        view: TableName,
        /// Its source.
        table: TableName,
        /// What it would read.
        found: String,
    },
}

/// Proves that the view's query reads nothing of its source when the chunk holds nothing of it.
///
/// # Errors
/// [`ProbeError::Ignored`] when the filter has no effect.
pub async fn check_filter(server: &Server, feed: &Feed) -> Result<(), ProbeError> {
    let Some(view) = &feed.view else { return Ok(()) };
    let nothing = Slice { feed: 0, pieces: Vec::new(), rows: RowBounds::exact(0), bytes: 0 };
    let reading = Reading::slice(feed, &nothing, "");
    let tables = estimate(server, &reading, &quote_list(&view.columns)).await?;
    let ignored = |found: String| {
        let (view, table) = (view.name.clone(), feed.origin.clone());
        Err(ProbeError::Ignored { view, table, found })
    };
    match rows_of(&tables, &feed.table) {
        Some(0) => Ok(()),
        Some(rows) => ignored(format!("{rows} rows")),
        None => ignored("it where nobody sees it".to_owned()),
    }
}

/// Rows that the server would read of the table for this piece of it, whatever a view makes of them.
///
/// # Errors
/// When the server cannot be asked.
pub async fn rows_to_read(server: &Server, feed: &Feed, slice: &Slice) -> Result<u64, Failure> {
    // A column that is there in every table, and that no count from metadata replaces.
    let tables = estimate(server, &Reading::rows_of(feed, slice), "_part_offset").await?;
    Ok(rows_of(&tables, &feed.table).unwrap_or(0))
}

/// What the index leaves to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToRead {
    /// Parts.
    pub parts: u64,
    /// Granules.
    pub granules: u64,
    /// Rows of those granules.
    pub rows: u64,
}

/// What the server would read of the table for this piece of it; none when it cannot tell.
///
/// # Errors
/// When the server cannot be asked.
pub async fn index_of(
    server: &Server,
    feed: &Feed,
    slice: &Slice,
) -> Result<Option<ToRead>, Failure> {
    let tables = estimate(server, &Reading::rows_of(feed, slice), "_part_offset").await?;
    Ok(find(&tables, &feed.table).map(|found| ToRead {
        parts: found.parts,
        granules: found.marks,
        rows: found.rows,
    }))
}

fn rows_of(tables: &[Estimated], table: &TableName) -> Option<u64> {
    find(tables, table).map(|found| found.rows)
}

fn find<'a>(tables: &'a [Estimated], table: &TableName) -> Option<&'a Estimated> {
    tables.iter().find(|found| found.database == table.database && found.table == table.table)
}

async fn estimate(
    server: &Server,
    reading: &Reading,
    expressions: &str,
) -> Result<Vec<Estimated>, Failure> {
    let text = format!("EXPLAIN ESTIMATE {}", reading.select(expressions));
    retry_idempotent(|| {
        let mut call = server
            .call_text("estimate", text.clone())
            .setting("max_query_size", 64 * 1024 * 1024)
            .setting("use_query_condition_cache", 0);
        for (name, value) in &reading.settings {
            call = call.setting(name, value);
        }
        call.fetch_all()
    })
    .await
}
