//! What tables and views are at this moment.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::discover::{get, get_many};
use super::table_row::TableRow;
use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql;
use crate::task::{Graph, GraphTable, TableName};

/// A part with rows, and where it stands in its partition: blocks of inserts and versions of
/// changes only grow.
#[derive(Debug, Clone, Deserialize, Row)]
pub struct Placed {
    /// `partition_id`.
    pub partition: String,
    /// Rows in it.
    pub rows: u64,
    /// Lowest block in it.
    pub first_block: i64,
    /// Highest block in it.
    pub last_block: i64,
    /// Version of the last change, or its lowest block.
    pub version: i64,
}

impl Placed {
    /// Is it a part of a lightweight UPDATE or DELETE? Its partition is named after that of the rows
    /// that it changes.
    pub fn is_patch(&self) -> bool {
        self.partition.starts_with("patch-")
    }
}

/// The active parts of a table that hold rows, by partition.
///
/// # Errors
/// When the server cannot be asked.
pub async fn placed(server: &Server, table: &TableName) -> Result<Vec<Placed>, Failure> {
    let call = || server.call(sql::LIST_BLOCKS).param("database", &table.database);
    retry_idempotent(|| call().param("table", &table.table).fetch_all()).await
}

/// The present definitions of the tables of a graph, in its order; missing ones are left out.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn current(server: &Server, graph: &Graph) -> Result<Vec<GraphTable>, Failure> {
    let names: Vec<&TableName> = graph.tables.iter().map(|table| &table.name).collect();
    Ok(get_many(server, &names).await?.iter().map(TableRow::to_table).collect())
}

/// The present definitions of the shadows of a graph; missing ones are left out.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn current_shadows(
    server: &Server,
    graph: &Graph,
) -> Result<Vec<GraphTable>, Failure> {
    let shadows = graph.tables.iter().filter_map(|table| table.shadow.as_ref());
    let names: Vec<&TableName> = shadows.map(|shadow| &shadow.name).collect();
    Ok(get_many(server, &names).await?.iter().map(TableRow::to_table).collect())
}

/// The present definition of one table; none when it is not there.
///
/// # Errors
/// When the server cannot be asked.
pub async fn table_now(server: &Server, name: &TableName) -> Result<Option<GraphTable>, Failure> {
    Ok(get(server, name).await?.as_ref().map(TableRow::to_table))
}

/// The present SELECTs of the views of a graph.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn current_views(
    server: &Server,
    graph: &Graph,
) -> Result<Vec<(TableName, String)>, Failure> {
    let names: Vec<&TableName> = graph.views.iter().map(|view| &view.name).collect();
    let rows = get_many(server, &names).await?;
    Ok(rows.into_iter().map(|row| (row.table_name(), row.as_select)).collect())
}

/// The views that fire on each of these tables, sorted.
///
/// # Errors
/// When the server cannot be asked.
pub async fn dependents(
    server: &Server,
    tables: &[TableName],
) -> Result<Vec<(TableName, Vec<TableName>)>, Failure> {
    let names: Vec<&TableName> = tables.iter().collect();
    let rows = get_many(server, &names).await?;
    Ok(rows.iter().map(|row| (row.table_name(), row.dependents())).collect())
}

/// The UUIDs that tables of these names have now; missing tables are left out.
///
/// # Errors
/// When the server cannot be asked.
pub async fn identities(
    server: &Server,
    tables: &[TableName],
) -> Result<Vec<(TableName, Uuid)>, Failure> {
    let names: Vec<&TableName> = tables.iter().collect();
    let rows = get_many(server, &names).await?;
    Ok(rows.iter().map(|row| (row.table_name(), row.uuid)).collect())
}
