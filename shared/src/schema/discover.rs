//! Reads the target, the views that depend on it, and their targets from the server.

use std::collections::VecDeque;

use super::detours::find_detour;
use super::graph_error::{GraphError, VIEWS_MAX};
use super::old_syntax::engine_of_today;
use super::refreshable::refuse_refreshable;
use super::rewrite::{firing_select, reads_directly};
use super::table_row::TableRow;
use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql;
use crate::task::{Column, Graph, GraphTable, GraphView, TableName};

/// Columns of a table in order.
///
/// # Errors
/// When the server cannot be asked.
pub async fn columns(server: &Server, table: &TableName) -> Result<Vec<Column>, Failure> {
    retry_idempotent(|| {
        server
            .call(sql::LIST_COLUMNS)
            .param("database", &table.database)
            .param("table", &table.table)
            .fetch_all()
    })
    .await
}

/// Reads the graph of a target and refuses what cannot be staged.
///
/// `ignored` are refreshable views that the operator accepts to leave as they are.
///
/// # Errors
/// [`GraphError`].
pub async fn discover(
    server: &Server,
    target: &TableName,
    ignored: &[TableName],
) -> Result<Graph, GraphError> {
    let base = get(server, target).await?.ok_or_else(|| GraphError::NoTable(target.clone()))?;
    let mut graph = Graph { tables: vec![stageable(base.to_table())?], views: Vec::new() };
    let mut open: VecDeque<(TableName, TableName)> =
        base.dependents().into_iter().map(|view| (target.clone(), view)).collect();
    while let Some((source, view)) = open.pop_front() {
        if graph.views.len() >= VIEWS_MAX {
            return Err(GraphError::TooMany(target.clone()));
        }
        let row = get(server, &view).await?.ok_or_else(|| GraphError::NoTable(view.clone()))?;
        if row.engine != "MaterializedView" {
            return Err(GraphError::ViewKind { view, table: source, engine: row.engine });
        }
        let view_target = row.view_target();
        if graph.position(&view_target).is_none() {
            let row = get(server, &view_target)
                .await?
                .ok_or_else(|| GraphError::NoTable(view_target.clone()))?;
            open.extend(row.dependents().into_iter().map(|next| (view_target.clone(), next)));
            graph.tables.push(stageable(row.to_table())?);
        }
        graph.views.push(GraphView {
            columns: columns(server, &view).await?,
            name: view,
            source,
            target: view_target,
            select: row.as_select,
            gives_more: false,
        });
    }
    refuse_cross_reads(&graph)?;
    refuse_detours(server, &graph.views, &graph.tables).await?;
    refuse_refreshable(server, &graph, ignored).await?;
    Ok(graph)
}

pub(super) async fn get(server: &Server, name: &TableName) -> Result<Option<TableRow>, Failure> {
    Ok(get_many(server, &[name]).await?.into_iter().next())
}

pub(super) async fn get_many(
    server: &Server,
    names: &[&TableName],
) -> Result<Vec<TableRow>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    retry_idempotent(|| server.call(sql::GET_TABLES).tables(names).fetch_all()).await
}

#[allow(clippy::result_large_err)]
pub(super) fn stageable(table: GraphTable) -> Result<GraphTable, GraphError> {
    let merge_tree = table.engine.ends_with("MergeTree");
    if !merge_tree && table.engine != "Null" {
        return Err(GraphError::Engine { table: table.name, engine: table.engine });
    }
    if let Some(today) = engine_of_today(&table.definition) {
        let GraphTable { name: table, engine, .. } = table;
        return Err(GraphError::OldSyntax { table, engine, today });
    }
    Ok(table)
}

#[allow(clippy::result_large_err)]
pub(super) fn refuse_cross_reads(graph: &Graph) -> Result<(), GraphError> {
    for view in &graph.views {
        for table in &graph.tables {
            if table.name != view.source && reads_directly(&view.select, &table.name) {
                return Err(GraphError::CrossRead {
                    view: view.name.clone(),
                    source_table: view.source.clone(),
                    other: table.name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses views that reach a table of the job over a plain view, a `Merge` table, a dictionary, …
pub(super) async fn refuse_detours(
    server: &Server,
    views: &[GraphView],
    tables: &[GraphTable],
) -> Result<(), GraphError> {
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    for view in views {
        let found = find_detour(server, &firing_select(&view.select), &names).await?;
        if let Some(detour) = found {
            return Err(GraphError::Detour {
                view: view.name.clone(),
                source_table: view.source.clone(),
                table: detour.table.clone(),
                detour,
            });
        }
    }
    Ok(())
}
