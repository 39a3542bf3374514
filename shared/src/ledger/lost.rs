//! Do the tables still hold what receipts say? A server that was started again may have lost it.
//!
//! A receipt names its parts as the target named them. A merge covers their blocks, so what neither
//! is listed nor covered is gone. The server is asked only about receipts that are older than its
//! start: while it runs it forgets nothing by itself, and who takes rows out on purpose knows it.
//!
//! What is covered may be gone too. A merge joins the parts that are there, and its name covers the
//! numbers between them as well: those of a part that the server has set aside as broken at its start
//! ([decision 40](../../../docs/decisions/0040-a-merge-is-no-proof.md)). So merged parts are compared
//! with the rows of the receipts that they stand for, and with what was set aside.
//!
//! Some tables empty their own parts: a TTL deletes rows, a collapsing merge pairs them off. The
//! server then removes the empty part, which looks like a loss. Of such a table nothing is certain.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::planted::{Bug, planted};
use crate::schema::{GraphTable, identities, ttls};
use crate::sql;
use crate::task::{JobId, JobSpec, PublishMode, TableName};

#[derive(Deserialize, Row)]
struct MergedRow {
    merged: String,
    rows: u64,
    received: u64,
    set_aside: u64,
    example: String,
    part: String,
}

#[derive(Deserialize, Row)]
struct OlderRow {
    older: u64,
}

#[derive(Deserialize, Row)]
struct LostRow {
    tasks: u64,
    parts: u64,
    example: String,
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
    if !was_restarted(server, job).await? {
        return Ok(found);
    }
    for table in spec.graph.tables.iter().filter(|table| table.keeps_rows()) {
        // Partitions of a shadow are linked into their target under other names.
        if spec.publish.mode != PublishMode::Replace {
            let target = table.destination().to_string();
            let words = lost_in(server, job, &table.name, &target).await?;
            let is_certain = !empties_parts(table);
            found.extend(words.map(|words| Loss { words, is_certain }));
            if !planted(Bug::CoverIsProof) {
                found.extend(lost_in_merges(server, job, table, &target).await?);
            }
        }
    }
    Ok(found)
}

/// Has the server been started since the first receipts of the job?
async fn was_restarted(server: &Server, job: &JobId) -> Result<bool, Failure> {
    let call = || server.call(sql::AUDIT_RESTARTED).name("control", server.control());
    let row: OlderRow = retry_idempotent(|| call().param("job", job).fetch_one()).await?;
    Ok(row.older > 0)
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

/// Does the table hold as many rows as were put into it, whatever it merges?
fn keeps_every_row(table: &GraphTable) -> bool {
    let is_plain =
        matches!(&*table.engine, "MergeTree" | "ReplicatedMergeTree" | "SharedMergeTree");
    is_plain && !empties_parts(table)
}

/// Merged parts that have not all rows of the parts whose place they took.
async fn lost_in_merges(
    server: &Server,
    job: &JobId,
    table: &GraphTable,
    target: &str,
) -> Result<Vec<Loss>, Failure> {
    let name = &table.name;
    let call = || server.call(sql::AUDIT_MERGED).name("control", server.control());
    let call = || call().param("job", job).param("target", target);
    let call = || call().param("database", &name.database).param("table", &name.table);
    let call = || call().param("keeps_rows", keeps_every_row(table));
    let rows: Vec<MergedRow> = retry_idempotent(|| call().fetch_all()).await?;
    Ok(rows.into_iter().map(|row| Loss { words: row.words(name), is_certain: true }).collect())
}

impl MergedRow {
    fn words(&self, table: &TableName) -> String {
        let Self { merged, rows, received, set_aside, example, part } = self;
        if *set_aside > 0 {
            return format!(
                "the server was started again and has set aside {set_aside} parts of {table} as broken that receipts \
                 name (first: {part} of task {example}). Part {merged} was merged over their place, and nothing \
                 shows that it has their rows"
            );
        }
        format!(
            "part {merged} of {table} holds fewer rows than receipts name: {rows} of {received} (first: task {example}). \
             Parts were lost before the merge, when the server was started again, or somebody deleted rows"
        )
    }
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
