//! The part of a graph that a replay fills: some views, the tables they write, and what follows.
//!
//! A chosen view that reads a table of the server is a feed: its query is run over that table. One
//! that reads the target of another view of the replay fires there as a clone, as it does in life.

use std::collections::BTreeSet;

use super::detours::Detour;
use super::discover::{columns, get, refuse_cross_reads, refuse_detours, stageable};
use super::graph_error::GraphError;
use super::refreshable::refuse_refreshable;
use super::rewrite::reads_directly;
use super::table_row::TableRow;
use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql;
use crate::task::{Graph, GraphTable, GraphView, TableName};

/// What a replay reads and fills.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The views whose queries are run, each over its source.
    pub feeds: Vec<GraphView>,
    /// The tables that are filled, those of the feeds first, and the views that fire between them.
    pub graph: Graph,
    /// Views that fire on a filled table and are left out, with the table.
    pub left_out: Vec<(TableName, TableName)>,
    /// Views that write a filled table and are not replayed, with the table.
    pub other_writers: Vec<(TableName, TableName)>,
}

/// Why views cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// A table of the graph cannot be staged.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Not a materialized view.
    #[error("{view} is a {engine}, not a materialized view")]
    NoView {
        /// What was named.
        view: TableName,
        /// Its engine.
        engine: String,
    },
    /// Nothing fires it.
    #[error(
        "no table fires {0}, so there is nothing to replay (a refreshable view fills its target itself: SYSTEM REFRESH VIEW)"
    )]
    NoSource(TableName),
    /// No view writes the target.
    #[error("no materialized view writes to {0}")]
    NoWriter(TableName),
    /// A view that was chosen does not write the target that was named.
    #[error("{view} writes to {written}, not to {target}")]
    OtherTarget {
        /// The view.
        view: TableName,
        /// What it writes.
        written: TableName,
        /// What was asked for.
        target: TableName,
    },
    /// The views feed each other.
    #[error(
        "the chosen views feed each other in a circle; none of them reads a table from outside"
    )]
    Circle,
    /// A feed reads a table that the replay fills.
    #[error(
        "{view} also reads {table}, which this replay fills: its result would depend on rows that are not published yet"
    )]
    ReadsTarget {
        /// The view.
        view: TableName,
        /// The table.
        table: TableName,
    },
    /// A view reaches a table that the replay fills over something else.
    #[error(
        "{view} also reads {table}, which this replay fills, by a detour ({view} → {detour}): its result would depend on rows that are not published yet"
    )]
    Detour {
        /// The view.
        view: TableName,
        /// The table.
        table: TableName,
        /// The way from the view to the table.
        detour: Detour,
    },
}

impl ChoiceError {
    /// What to do instead.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::ReadsTarget { view, .. } | Self::Detour { view, .. } => Some(format!(
                "leave {view} out, and fill its target by hand: INSERT … SELECT the view's query"
            )),
            _ => None,
        }
    }
}

impl From<Failure> for ChoiceError {
    fn from(failure: Failure) -> Self {
        Self::Graph(failure.into())
    }
}

/// Reads the chosen views and what they fill. No view chosen: all that write `target`.
/// `cascade` takes in every view that fires on what is filled.
///
/// # Errors
/// [`ChoiceError`].
pub async fn choose_views(
    server: &Server,
    views: &[TableName],
    target: Option<&TableName>,
    cascade: bool,
    ignored: &[TableName],
) -> Result<Chosen, ChoiceError> {
    let every = all_views(server).await?;
    let mut names: Vec<TableName> = views.to_vec();
    if let (true, Some(target)) = (names.is_empty(), target) {
        let writers = every.iter().filter(|row| row.view_target() == *target);
        names.extend(writers.map(TableRow::table_name));
        if names.is_empty() {
            return Err(ChoiceError::NoWriter(target.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));

    let mut open: Vec<GraphView> = Vec::with_capacity(names.len());
    for name in &names {
        let view = read_view(server, name).await?;
        if let Some(target) = target.filter(|target| views.len() == 1 && view.target != **target) {
            return Err(ChoiceError::OtherTarget {
                view: view.name,
                written: view.target,
                target: target.clone(),
            });
        }
        open.push(view);
    }
    let mut filled: Vec<GraphTable> = Vec::new();
    let mut found: Vec<GraphView> = Vec::new();
    while !open.is_empty() {
        let view = open.remove(0);
        if !filled.iter().any(|table| table.name == view.target) {
            let row = get(server, &view.target)
                .await?
                .ok_or_else(|| GraphError::NoTable(view.target.clone()))?;
            if cascade {
                for next in row.dependents() {
                    let known = |view: &GraphView| view.name == next;
                    if !open.iter().any(known) && !found.iter().any(known) {
                        open.push(read_view(server, &next).await?);
                    }
                }
            }
            filled.push(stageable(row.to_table())?);
        }
        found.push(view);
    }
    let chosen = arrange(filled, found, &every)?;
    refuse_cross_reads(&chosen.graph)?;
    for views in [&chosen.graph.views, &chosen.feeds] {
        match refuse_detours(server, views, &chosen.graph.tables).await {
            Err(GraphError::Detour { view, table, detour, .. }) => {
                return Err(ChoiceError::Detour { view, table, detour });
            }
            other => other?,
        }
    }
    refuse_refreshable(server, &chosen.graph, ignored).await?;
    Ok(chosen)
}

/// Feeds and clones apart, the tables of the feeds first.
#[allow(clippy::result_large_err)]
fn arrange(
    mut filled: Vec<GraphTable>,
    found: Vec<GraphView>,
    every: &[TableRow],
) -> Result<Chosen, ChoiceError> {
    let is_filled = |name: &TableName| filled.iter().any(|table| table.name == *name);
    let (clones, feeds): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|view| is_filled(&view.source));
    if feeds.is_empty() {
        return Err(ChoiceError::Circle);
    }
    for view in &feeds {
        if let Some(table) = filled.iter().find(|table| reads_directly(&view.select, &table.name)) {
            let (view, table) = (view.name.clone(), table.name.clone());
            return Err(ChoiceError::ReadsTarget { view, table });
        }
    }
    filled.sort_by_key(|table| {
        feeds.iter().position(|view| view.target == table.name).unwrap_or(usize::MAX)
    });
    let in_replay = |name: &TableName| feeds.iter().chain(&clones).any(|view| view.name == *name);
    let left_out = filled
        .iter()
        .flat_map(|table| table.dependents.iter().map(move |view| (view, table)))
        .filter(|(view, _)| !in_replay(view))
        .map(|(view, table)| (view.clone(), table.name.clone()))
        .collect();
    let other_writers = every
        .iter()
        .map(|row| (row.table_name(), row.view_target()))
        .filter(|(view, target)| {
            !in_replay(view) && filled.iter().any(|table| table.name == *target)
        })
        .collect();
    Ok(Chosen { graph: Graph { tables: filled, views: clones }, feeds, left_out, other_writers })
}

async fn read_view(server: &Server, name: &TableName) -> Result<GraphView, ChoiceError> {
    let row = get(server, name).await?.ok_or_else(|| GraphError::NoTable(name.clone()))?;
    if row.engine != "MaterializedView" {
        return Err(ChoiceError::NoView { view: name.clone(), engine: row.engine });
    }
    let call = || {
        server
            .call(sql::LIST_VIEW_SOURCES)
            .param("database", &name.database)
            .param("table", &name.table)
    };
    let sources: Vec<TableRow> = retry_idempotent(|| call().fetch_all()).await?;
    let source = sources.first().ok_or_else(|| ChoiceError::NoSource(name.clone()))?;
    Ok(GraphView {
        columns: columns(server, name).await?,
        name: name.clone(),
        source: source.table_name(),
        target: row.view_target(),
        select: row.as_select,
        gives_more: false,
    })
}

async fn all_views(server: &Server) -> Result<Vec<TableRow>, Failure> {
    retry_idempotent(|| server.call(sql::LIST_VIEWS).fetch_all()).await
}

/// The present SELECT of a view; none when it is not there.
///
/// # Errors
/// When the server cannot be asked.
pub async fn view_query(server: &Server, name: &TableName) -> Result<Option<String>, Failure> {
    Ok(get(server, name).await?.map(|row| row.as_select))
}
