//! Reads the target, the views that depend on it, and their targets from the server.

use std::collections::VecDeque;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::detours::find_detour;
use super::graph_error::GraphError;
use super::old_syntax::engine_of_today;
use super::refreshable::refuse_refreshable;
use super::rewrite::{firing_select, reads_directly};
use super::tokens::tokens;
use crate::clickhouse::{Failure, Server, read};
use crate::sql;
use crate::task::{Shadow, TableName};

/// Views deeper than this are a cycle or a mistake.
pub(super) const VIEWS_MAX: usize = 200;

/// A column as in `system.columns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type.
    pub r#type: String,
    /// Empty, `DEFAULT`, `MATERIALIZED`, `ALIAS` or `EPHEMERAL`.
    pub default_kind: String,
}

impl Column {
    /// Can an INSERT name it?
    pub fn is_insertable(&self) -> bool {
        matches!(self.default_kind.as_str(), "" | "DEFAULT" | "EPHEMERAL")
    }
}

/// A table that rows of the job end in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphTable {
    /// Its name.
    pub name: TableName,
    /// Its UUID: a table that was dropped and made again is another.
    pub uuid: String,
    /// Its engine.
    pub engine: String,
    /// The server's text of its definition.
    pub definition: String,
    /// The views that fire on it, sorted.
    pub dependents: Vec<TableName>,
    /// The table that is filled in its place until the last task publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
}

impl GraphTable {
    /// Does it keep rows that have to be moved? (`Null` only feeds views.)
    pub fn keeps_rows(&self) -> bool {
        self.engine != "Null"
    }

    /// The table that tasks move their rows into: its shadow, if it has one.
    pub fn destination(&self) -> &TableName {
        self.shadow.as_ref().map_or(&self.name, |shadow| &shadow.name)
    }

    /// UUID of the destination as it was planned.
    pub fn destination_uuid(&self) -> uuid::Uuid {
        let own = || uuid::Uuid::parse_str(&self.uuid).unwrap_or_default();
        self.shadow.as_ref().map_or_else(own, |shadow| shadow.uuid)
    }
}

/// A materialized view of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphView {
    /// Its name.
    pub name: TableName,
    /// The table it fires on.
    pub source: TableName,
    /// The table it writes to (the inner table of a view without `TO`).
    pub target: TableName,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The server's text of its SELECT, names qualified.
    pub select: String,
    /// Its query gives columns that its target does not take. The server fires such a view, and
    /// leaves those columns out, but it would not create it again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gives_more: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks for it.
fn is_false(value: &bool) -> bool {
    !value
}

/// Everything that a row of the target ends in. The target is the first table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// The tables, the target first.
    pub tables: Vec<GraphTable>,
    /// The views, sources before the views on their targets.
    pub views: Vec<GraphView>,
}

impl Graph {
    /// The target of the job.
    pub fn base(&self) -> &GraphTable {
        &self.tables[0]
    }

    /// Is every table replicated? Then any replica may fill it, and each holds all rows.
    pub fn is_replicated(&self) -> bool {
        let is = |table: &GraphTable| {
            table.engine.starts_with("Replicated") || table.engine.starts_with("Shared")
        };
        !self.tables.is_empty() && self.tables.iter().all(is)
    }

    /// Position of a table.
    pub fn position(&self, name: &TableName) -> Option<usize> {
        self.tables.iter().position(|table| table.name == *name)
    }
}

#[derive(Debug, Clone, Deserialize, Row)]
pub(super) struct TableRow {
    pub(super) database: String,
    pub(super) name: String,
    pub(super) engine: String,
    pub(super) uuid: String,
    pub(super) create_table_query: String,
    pub(super) as_select: String,
    pub(super) dependencies_database: Vec<String>,
    pub(super) dependencies_table: Vec<String>,
}

impl TableRow {
    pub(super) fn table_name(&self) -> TableName {
        TableName { database: self.database.clone(), table: self.name.clone() }
    }

    pub(super) fn dependents(&self) -> Vec<TableName> {
        let mut dependents: Vec<TableName> = self
            .dependencies_database
            .iter()
            .zip(&self.dependencies_table)
            .map(|(database, table)| TableName { database: database.clone(), table: table.clone() })
            .collect();
        dependents.sort();
        dependents
    }

    pub(super) fn to_table(&self) -> GraphTable {
        GraphTable {
            name: self.table_name(),
            uuid: self.uuid.clone(),
            engine: self.engine.clone(),
            definition: self.create_table_query.clone(),
            dependents: self.dependents(),
            shadow: None,
        }
    }

    /// The table after `TO`, or the inner table. Parsed from the definition, because
    /// `system.tables` names the target in recent versions only.
    pub(super) fn view_target(&self) -> TableName {
        let all = tokens(&self.create_table_query);
        let solid: Vec<_> =
            all.iter().filter(|token| token.kind != super::tokens::Kind::Gap).collect();
        // CREATE MATERIALIZED VIEW db.name [UUID '…'] TO db.table (…) …: `TO` stands before any bracket.
        let head = solid.iter().take_while(|token| !token.is_symbol('('));
        for (at, token) in head.enumerate().skip(6) {
            if token.is_keyword("TO")
                && let [Some(database), Some(dot), Some(table)] =
                    [solid.get(at + 1), solid.get(at + 2), solid.get(at + 3)]
                && dot.is_symbol('.')
                && let (Some(database), Some(table)) = (database.name(), table.name())
            {
                return TableName { database: database.to_owned(), table: table.to_owned() };
            }
        }
        let zero = uuid::Uuid::nil().to_string();
        let inner = if self.uuid == zero {
            format!(".inner.{}", self.name)
        } else {
            format!(".inner_id.{}", self.uuid)
        };
        TableName { database: self.database.clone(), table: inner }
    }
}

/// Columns of a table in order.
///
/// # Errors
/// When the server cannot be asked.
pub async fn columns(server: &Server, table: &TableName) -> Result<Vec<Column>, Failure> {
    read(|| {
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
    let list: Vec<String> = names
        .iter()
        .map(|name| {
            let quote = sql::quote_literal;
            format!("({},{})", quote(&name.database), quote(&name.table))
        })
        .collect();
    let list = format!("[{}]", list.join(","));
    let databases: Vec<&str> = names.iter().map(|name| name.database.as_str()).collect();
    let tables: Vec<&str> = names.iter().map(|name| name.table.as_str()).collect();
    read(|| {
        server
            .call(sql::GET_TABLES)
            .list("databases", &databases)
            .list("tables", &tables)
            .raw_param("names", &list)
            .fetch_all()
    })
    .await
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
