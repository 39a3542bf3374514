//! Ways by which a view's query could reach its source besides naming it, past the chunk or cut by it.

use std::collections::BTreeSet;

use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::schema::{Detour, GraphView, find_detour, firing_select};
use longshore_shared::sql::quote_literal;

use super::aggregation::{Shape, query_shape};
use crate::ui::error::{Error, Kind, Report};

/// Table functions that can read the source under another name.
const FUNCTIONS: [&str; 7] =
    ["remote", "remoteSecure", "cluster", "clusterAllReplicas", "merge", "view", "viewIfPermitted"];
/// Engines that can.
const ENGINES: [&str; 3] = ["Merge", "Distributed", "Buffer"];

#[derive(serde::Deserialize, clickhouse::Row)]
struct Found {
    full_name: String,
    engine: String,
    as_select: String,
}

/// Refuses a query that may read its source through another table. Inside a view a filter on the
/// source works too, where a row that is inserted would meet the whole table; through others it is
/// not known what works.
pub(crate) async fn refuse_detours(
    server: &Server,
    view: &GraphView,
    shape: &Shape,
) -> Result<(), Error> {
    let source = format!("{}.{}", view.source.database, view.source.table);
    let refused = |what: String| {
        let message = format!(
            "{} reads {what}, and {} could be read through it a second time",
            view.name, view.source
        );
        let help =
            "INSERT … SELECT the view's query by hand, or let the view read the table itself";
        Err(Report::new(Kind::Usage, message).help(help).into())
    };
    if let Some(detour) = detour(server, view).await?.filter(|detour| !is_of_dictionary(detour)) {
        return refused(format!("its source by a detour ({} → {detour})", view.name));
    }
    let mut seen = BTreeSet::new();
    let mut open = vec![shape.clone()];
    while let Some(shape) = open.pop() {
        let called = |name: &&&str| shape.table_functions.contains(**name);
        if let Some(name) = FUNCTIONS.iter().find(called) {
            return refused(format!("the table function {name}"));
        }
        let names: Vec<String> =
            shape.other_tables.into_iter().filter(|name| seen.insert(name.clone())).collect();
        for found in lookup(server, &names).await? {
            if ENGINES.contains(&found.engine.as_str()) {
                return refused(format!("{} ({})", found.full_name, found.engine));
            }
            if found.engine == "View" {
                let Some(inner) = query_shape(server, &found.as_select, &source).await? else {
                    return refused(format!("the view {}", found.full_name));
                };
                if inner.ways + inner.second_looks > 0 {
                    return refused(format!("the view {}", found.full_name));
                }
                open.push(inner);
            }
        }
    }
    Ok(())
}

async fn detour(server: &Server, view: &GraphView) -> Result<Option<Detour>, Error> {
    let source = std::slice::from_ref(&view.source);
    Ok(find_detour(server, &firing_select(&view.select), source).await?)
}

/// A dictionary reads by itself, so that no chunk reaches into its query.
fn is_of_dictionary(detour: &Detour) -> bool {
    detour.over.iter().any(|step| step.ends_with("(Dictionary)"))
}

/// A dictionary on the source shows it whole, as it is when a chunk is loaded.
pub(crate) async fn dictionary_note(
    server: &Server,
    view: &GraphView,
) -> Result<Option<String>, Error> {
    let detour = detour(server, view).await?.filter(is_of_dictionary);
    Ok(detour.map(|detour| {
        format!(
            "{} looks into a dictionary on its own source ({} → {detour}): it sees the source as it is \
             when a chunk is loaded, not as it was when the rows were inserted",
            view.name, view.name
        )
    }))
}

async fn lookup(server: &Server, names: &[String]) -> Result<Vec<Found>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = names.iter().map(|name| quote_literal(name)).collect();
    let text = format!(
        "SELECT concat(database, '.', name) AS full_name, engine, as_select FROM system.tables \
         WHERE concat(database, '.', name) IN ({})",
        list.join(", ")
    );
    Ok(retry_idempotent(|| server.call_text("detours", text.clone()).fetch_all()).await?)
}
