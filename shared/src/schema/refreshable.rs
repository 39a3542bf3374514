//! Refreshable views: they run by the clock, are on nobody's dependency list, and cannot be staged.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::graph_error::GraphError;
use super::rewrite::mentions;
use super::table_row::TableRow;
use crate::clickhouse::{Code, Server, retry_idempotent, uuid_text};
use crate::sql;
use crate::task::{Graph, TableName};

#[derive(Deserialize, Row)]
struct RefreshableRow {
    database: String,
    name: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
    create_table_query: String,
    as_select: String,
}

/// Refuses refreshable views that write a table of the graph, or read one and are not ignored.
pub(super) async fn refuse_refreshable(
    server: &Server,
    graph: &Graph,
    ignored: &[TableName],
) -> Result<(), GraphError> {
    let rows: Vec<RefreshableRow> =
        match retry_idempotent(|| server.call(sql::LIST_REFRESHABLE).fetch_all()).await {
            Ok(rows) => rows,
            // Servers before 23.12 have no refreshable views and no such table.
            Err(failure) if failure.code() == Some(Code::UNKNOWN_TABLE) => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
    for row in rows {
        let row = TableRow {
            database: row.database,
            name: row.name,
            engine: String::new(),
            uuid: row.uuid,
            create_table_query: row.create_table_query,
            as_select: row.as_select,
            dependencies_database: Vec::new(),
            dependencies_table: Vec::new(),
        };
        let (view, writes) = (row.table_name(), row.view_target());
        for table in &graph.tables {
            let refused = |how| GraphError::Refreshable {
                view: view.clone(),
                table: table.name.clone(),
                how,
            };
            // A refresh replaces its target as a whole: moved rows would be gone with the next one.
            if writes == table.name {
                return Err(refused("writes"));
            }
            if mentions(&row.as_select, &table.name) && !ignored.contains(&view) {
                return Err(refused("reads"));
            }
        }
    }
    Ok(())
}
