//! A target by itself, for loads that insert into it directly: the server fires its views.

use super::discover::get;
use super::graph_error::GraphError;
use crate::clickhouse::Server;
use crate::task::{Graph, TableName};

/// The target without what depends on it, whatever its engine.
///
/// # Errors
/// [`GraphError::NoTable`], and when the server cannot be asked.
pub async fn discover_alone(server: &Server, target: &TableName) -> Result<Graph, GraphError> {
    let row = get(server, target).await?.ok_or_else(|| GraphError::NoTable(target.clone()))?;
    Ok(Graph { tables: vec![row.to_table()], views: Vec::new() })
}
