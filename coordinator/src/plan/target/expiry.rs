//! Rows and values that a table's TTL takes away again: the plan says so before they are loaded.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::Server;
use longshore_shared::schema::{Graph, ttls};
use longshore_shared::task::TableName;
use serde::Deserialize;

/// The look for rows that are past a TTL goes on no longer.
const LOOK_MAX: Duration = Duration::from_secs(2);

#[derive(Deserialize, Row)]
struct Found {
    #[allow(dead_code)]
    found: u8,
}

/// What the TTLs of the tables that are filled take away.
pub(crate) fn expiry_notes(graph: &Graph) -> Vec<String> {
    let mut notes = Vec::new();
    for table in &graph.tables {
        let (rows, columns) = ttls(&table.definition);
        let name = &table.name;
        if !rows.is_empty() {
            let texts: Vec<&str> = rows.iter().map(|ttl| ttl.text.as_str()).collect();
            let does = if texts.iter().any(|text| text.contains("GROUP BY")) {
                "deletes or sums up"
            } else {
                "deletes"
            };
            notes.push(format!(
                "{name} {does} rows by its TTL ({}): rows that are past it are loaded, and the \
                 server {does} them soon after, as it does after any INSERT",
                texts.join(", ")
            ));
        }
        if !columns.is_empty() {
            let texts: Vec<String> =
                columns.iter().map(|(column, ttl)| format!("{column}: {ttl}")).collect();
            notes.push(format!(
                "{name} empties columns by their TTL ({}): values that are past it become the \
                 column's default soon after they are loaded",
                texts.join(", ")
            ));
        }
    }
    notes
}

/// Does a source hold rows that are past a TTL of the target, and how is it known? Looked for
/// briefly: nothing is said when the look finds none in time, or when the columns are others.
pub(crate) async fn expired_note(
    server: &Server,
    from: &str,
    source: &TableName,
    graph: &Graph,
    filter: &str,
) -> Option<String> {
    let base = graph.base();
    let (rows, _) = ttls(&base.definition);
    for ttl in rows {
        let mut conditions = vec![format!("({}) <= now()", ttl.moment)];
        conditions.extend(ttl.condition.iter().map(|condition| format!("({condition})")));
        conditions.extend((!filter.is_empty()).then(|| format!("({filter})")));
        let text = format!(
            "SELECT 1::UInt8 AS found FROM {from} WHERE {} LIMIT 1",
            conditions.join(" AND ")
        );
        let call = server
            .call_text("look_for_expired", text)
            .setting("max_execution_time", LOOK_MAX.as_secs())
            .setting("timeout_overflow_mode", "break");
        if let Ok(Some(_)) = call.fetch_optional::<Found>().await {
            return Some(format!(
                "{source} holds rows that are past the TTL of {} ({}) now: they do not stay. To \
                 keep them: ALTER TABLE {} MODIFY TTL … before the load, or leave them out with --where",
                base.name,
                ttl.text,
                base.name.quoted()
            ));
        }
    }
    None
}
