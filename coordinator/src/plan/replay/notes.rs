//! What a person should know of a replay before it runs.

use std::collections::BTreeSet;

use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::schema::{
    Chosen, GraphView, changing_functions, columns, firing_select, needs, plain_views,
};
use longshore_shared::task::{Publish, TableName};

use crate::grants::dictionaries;
use crate::plan::target::filled::told;
use crate::ui::error::Error;
use crate::ui::text;

/// What the user should know of what is filled and what is not.
pub(crate) async fn notes(
    server: &Server,
    chosen: &Chosen,
    publish: Publish,
) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for table in &chosen.graph.tables {
        let rows = rows_of(server, &table.name).await?;
        if rows > 0 && publish.is_append() {
            notes.push(format!(
                "{} holds {} already, and the replay adds to them: what the view wrote of the same \
                 rows would be there twice",
                table.name,
                text::plural(rows, "row")
            ));
        }
    }
    for (view, table) in &chosen.left_out {
        notes.push(format!(
            "{view} fires on {table} and is left out: what it writes is not filled (--cascade \
             takes it in)"
        ));
    }
    for (view, table) in &chosen.other_writers {
        notes.push(format!("{view} writes to {table} too and is not replayed"));
    }
    for view in chosen.feeds.iter().chain(&chosen.graph.views) {
        notes.extend(changing_notes(server, view).await?);
    }
    notes.extend(told(server, &chosen.graph).await?);
    let selects: Vec<String> =
        chosen.feeds.iter().map(|view| firing_select(&view.select)).collect();
    let selects: Vec<&str> = selects.iter().map(String::as_str).collect();
    let needs = needs(server, &selects).await?;
    notes.extend(dictionaries::notes(server, &needs.dictionaries).await?);
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    Ok(notes)
}

#[derive(serde::Deserialize, clickhouse::Row)]
struct DefaultColumn {
    name: String,
    expression: String,
}

/// What a view makes of a row that is not what it made of it before.
async fn changing_notes(server: &Server, view: &GraphView) -> Result<Vec<String>, Error> {
    let GraphView { name, target, .. } = view;
    let mut notes = Vec::new();
    let select = firing_select(&view.select);
    let mut texts = vec![(name.clone(), select.clone())];
    texts.extend(plain_views(server, &select).await?);
    for (place, text) in &texts {
        let functions = changing_functions(text);
        if functions.is_empty() {
            continue;
        }
        let by = if place == name { String::new() } else { format!(" (by {place})") };
        notes.push(format!(
            "{name} calls {}{by}: the replay gives the values of its own moment, not those of the time \
             when the rows were inserted",
            calls(&functions)
        ));
    }
    let given: Vec<String> =
        columns(server, name).await?.into_iter().map(|column| column.name).collect();
    for DefaultColumn { name: column, expression } in defaults(server, target).await? {
        let functions = changing_functions(&expression);
        if !functions.is_empty() && !given.contains(&column) {
            notes.push(format!(
                "column {column} of {target} is filled by {}: the replay gives the values of its own \
                 moment, not those of the time when the rows were inserted",
                calls(&functions)
            ));
        }
    }
    Ok(notes)
}

fn calls(functions: &BTreeSet<String>) -> String {
    functions.iter().map(|name| format!("{name}()")).collect::<Vec<_>>().join(", ")
}

/// The columns of a table that the server fills when nobody else does.
async fn defaults(server: &Server, table: &TableName) -> Result<Vec<DefaultColumn>, Error> {
    let text = "SELECT name, default_expression AS expression FROM system.columns \
                WHERE database = {database:String} AND table = {table:String} \
                AND default_kind IN ('DEFAULT', 'MATERIALIZED') ORDER BY position";
    let call = || {
        server
            .call_text("default_columns", text.to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    Ok(retry_idempotent(|| call().fetch_all()).await?)
}

#[derive(serde::Deserialize, clickhouse::Row)]
struct Rows {
    rows: u64,
}

/// Rows in the parts of a table.
pub(crate) async fn rows_of(server: &Server, table: &TableName) -> Result<u64, Error> {
    let text = "SELECT sum(rows) AS rows FROM system.parts WHERE active AND database = {database:String} AND table = {table:String}";
    let call = || {
        server
            .call_text("rows_of_parts", text.to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let found: Rows = retry_idempotent(|| call().fetch_one()).await?;
    Ok(found.rows)
}
