//! Tables that cannot be cut into chunks, and what to do instead.

use longshore_shared::clickhouse::Server;
use longshore_shared::schema::{GraphView, table_now};
use longshore_shared::task::TableName;

use crate::ui::error::{Error, Kind, Report};

/// Refuses a view whose source has no index to cut it by. Looked at before its rows are counted: only
/// tables of the MergeTree family tell how many they have.
pub(crate) async fn refuse_source(server: &Server, view: &GraphView) -> Result<(), Error> {
    let GraphView { name, source, target, .. } = view;
    let Some(table) = table_now(server, source).await? else {
        let message = format!("there is no table {source}, which {name} reads");
        return Err(Report::new(Kind::Usage, message).into());
    };
    if table.engine.ends_with("MergeTree") {
        return Ok(());
    }
    let engine = &table.engine;
    let message = format!(
        "{name} reads {source}, which has engine {engine}: only tables of the MergeTree family can be \
         cut into chunks for a replay"
    );
    let help = if engine == "Null" {
        format!(
            "a Null table keeps no rows: load the rows into {source} again (plan files, plan copy), or \
             INSERT INTO {target} by hand"
        )
    } else {
        format!("fill {target} by hand: INSERT INTO {target} SELECT … the query of {name}")
    };
    Err(Report::new(Kind::Usage, message).help(help).into())
}

/// What to do with a table of this engine that cannot be copied.
pub(crate) fn instead(table: &TableName, engine: &str) -> String {
    match engine {
        "Null" => format!("{table} keeps no rows: copy the table that its rows came from"),
        "View" | "MaterializedView" | "LiveView" | "WindowView" | "Merge" | "Distributed"
        | "Buffer" | "Alias" => {
            "copy the tables behind it one by one, or INSERT … SELECT it by hand".to_owned()
        }
        _ => format!(
            "INSERT … SELECT it by hand, or make a table that can be cut and copy that: CREATE TABLE … \
             ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM {}",
            table.quoted()
        ),
    }
}
