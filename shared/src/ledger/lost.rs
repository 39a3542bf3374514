//! Do the tables still hold what receipts say? A server that was started again may have lost it.
//!
//! A receipt names its parts as the target named them. A merge covers their blocks, so what neither
//! is listed nor covered is gone. The server is asked only about receipts that are older than its
//! start: while it runs it forgets nothing by itself, and who takes rows out on purpose knows it.
//!
//! Some tables empty their own parts: a TTL deletes rows, a collapsing merge pairs them off. The
//! server then removes the empty part, which looks like a loss. Of such a table nothing is certain.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use crate::clickhouse::{Failure, Server, retry_idempotent, uuid_text};
use crate::schema::{GraphTable, identities, ttls};
use crate::sql;
use crate::task::{JobId, JobSpec, PublishMode, TableName};

/// Part identities asked for in one statement.
const IDENTITIES_MAX: usize = 2_000;

#[derive(Deserialize, Row)]
struct Named {
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    name: String,
}

#[derive(Deserialize, Row)]
struct LostRow {
    tasks: u64,
    parts: u64,
    example: String,
}

/// The names of parts in a table, in the order given; empty texts for those that it does not list.
///
/// # Errors
/// When the server cannot be asked.
pub async fn part_names(
    server: &Server,
    table: &TableName,
    parts: &[Uuid],
) -> Result<Vec<String>, Failure> {
    let mut known: HashMap<Uuid, String> = HashMap::new();
    for page in parts.chunks(IDENTITIES_MAX) {
        let call = || server.call(sql::FIND_NAMES).param("database", &table.database);
        let call = || call().param("table", &table.table).list("uuids", page);
        let rows: Vec<Named> = retry_idempotent(|| call().fetch_all()).await?;
        known.extend(rows.into_iter().map(|row| (row.identity, row.name)));
    }
    Ok(parts.iter().map(|uuid| known.remove(uuid).unwrap_or_default()).collect())
}

/// What receipts in force say and a table does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// In a sentence.
    pub words: String,
    /// False when the table itself may have emptied these parts: a TTL, a collapsing merge.
    pub is_certain: bool,
}

/// What receipts in force say and the tables of a server do not hold.
///
/// # Errors
/// When the server cannot be asked.
pub async fn lost(server: &Server, job: &JobId, spec: &JobSpec) -> Result<Vec<Loss>, Failure> {
    let mut found = Vec::new();
    for table in spec.graph.tables.iter().filter(|table| table.keeps_rows()) {
        // Partitions of a shadow are linked into their target under other names.
        if spec.publish.mode != PublishMode::Replace {
            let target = table.destination().to_string();
            let words = lost_in(server, job, &table.name, &target).await?;
            let is_certain = !empties_parts(table);
            found.extend(words.map(|words| Loss { words, is_certain }));
        }
    }
    Ok(found)
}

/// Can the table end with a part that holds no row any more, without anybody's command?
fn empties_parts(table: &GraphTable) -> bool {
    table.engine.contains("Collapsing") || !ttls(&table.definition).0.is_empty()
}

async fn lost_in(
    server: &Server,
    job: &JobId,
    table: &TableName,
    target: &str,
) -> Result<Option<String>, Failure> {
    let call = || server.call(sql::AUDIT_LOST).name("control", server.control());
    let call = || call().param("job", job).param("target", target);
    let call = || call().param("database", &table.database).param("table", &table.table);
    let LostRow { tasks, parts, example } = retry_idempotent(|| call().fetch_one()).await?;
    Ok((parts > 0).then(|| {
        format!(
            "{table} has lost {parts} parts of {tasks} tasks that have receipts (first: {example}): the server was \
             started again since, and they are neither listed nor merged"
        )
    }))
}

/// Targets that were exchanged and are not the tables that the tasks filled, in a sentence each.
///
/// # Errors
/// When the server cannot be asked.
pub async fn not_exchanged(server: &Server, spec: &JobSpec) -> Result<Vec<String>, Failure> {
    if spec.publish.mode != PublishMode::Exchange {
        return Ok(Vec::new());
    }
    let names: Vec<TableName> = spec.graph.tables.iter().map(|table| table.name.clone()).collect();
    let now = identities(server, &names).await?;
    let is_there =
        |name: &TableName, uuid: Uuid| now.iter().any(|now| *now == (name.clone(), uuid));
    let tables = spec.graph.tables.iter();
    let swapped = tables.filter_map(|table| Some((&table.name, table.shadow.as_ref()?.uuid)));
    Ok(swapped
        .filter(|(name, uuid)| !is_there(name, *uuid))
        .map(|(name, uuid)| {
            format!("{name} is not the table that was exchanged into its place ({uuid})")
        })
        .collect())
}
