//! What tables and views are at this moment.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::discover::{get, get_many};
use super::table_row::TableRow;
use crate::clickhouse::{Failure, Server, retry_idempotent, uuid_text};
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

#[derive(Deserialize, Row)]
struct UuidRow {
    database: String,
    name: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
}

/// The active parts of a table that hold rows, by partition.
///
/// # Errors
/// When the server cannot be asked.
pub async fn placed(server: &Server, table: &TableName) -> Result<Vec<Placed>, Failure> {
    let call = || server.call(sql::LIST_BLOCKS).param("database", &table.database);
    retry_idempotent(|| call().param("table", &table.table).fetch_all()).await
}

/// The tables, shadows and views of a graph as they are now; missing ones are left out.
pub(super) struct Current {
    /// In the order of the graph.
    pub(super) tables: Vec<GraphTable>,
    pub(super) shadows: Vec<GraphTable>,
    /// The views with their SELECTs.
    pub(super) views: Vec<(TableName, String)>,
}

/// What is there of a graph now, by one statement.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn current(server: &Server, graph: &Graph) -> Result<Current, Failure> {
    let tables: Vec<&TableName> = graph.tables.iter().map(|table| &table.name).collect();
    let shadows = graph.tables.iter().filter_map(|table| table.shadow.as_ref());
    let shadows: Vec<&TableName> = shadows.map(|shadow| &shadow.name).collect();
    let views: Vec<&TableName> = graph.views.iter().map(|view| &view.name).collect();
    let all = [tables.as_slice(), &shadows, &views].concat();
    let rows = get_many(server, &all).await?;
    let row_of = |name: &&TableName| rows.iter().find(|row| row.is_called(name));
    let of = |names: &[&TableName]| names.iter().filter_map(row_of).collect::<Vec<_>>();
    Ok(Current {
        tables: of(&tables).into_iter().map(TableRow::to_table).collect(),
        shadows: of(&shadows).into_iter().map(TableRow::to_table).collect(),
        views: of(&views).iter().map(|row| (row.table_name(), row.as_select.clone())).collect(),
    })
}

/// The present definition of one table; none when it is not there.
///
/// # Errors
/// When the server cannot be asked.
pub async fn table_now(server: &Server, name: &TableName) -> Result<Option<GraphTable>, Failure> {
    Ok(get(server, name).await?.as_ref().map(TableRow::to_table))
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
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&TableName> = tables.iter().collect();
    let call = || server.call(sql::GET_UUIDS).tables(&names);
    let rows: Vec<UuidRow> = retry_idempotent(|| call().fetch_all()).await?;
    let pair = |row: UuidRow| (TableName { database: row.database, table: row.name }, row.uuid);
    Ok(rows.into_iter().map(pair).collect())
}
