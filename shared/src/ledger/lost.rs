//! Do the tables still hold what receipts say? A server that was started again may have lost it.
//!
//! A receipt names its parts as the target named them. A merge covers their blocks, so what neither
//! is listed nor covered is gone. The server is asked only about receipts that are older than its
//! start: while it runs it forgets nothing by itself, and who takes rows out on purpose knows it.
//! A replicated table is the exception: a part that broke on the only replica that had it is given up by
//! all of them and replaced by one without rows, while all servers run. Keeper counts those.
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
use crate::task::{JobId, JobSpec, PublishMode, Shadow, TableName};

#[derive(Deserialize, Row)]
struct MergedRow {
    merged: String,
    rows: u64,
    received: u64,
    set_aside: u64,
    maybe: u64,
    tasks: u64,
    example: String,
    part: String,
}

#[derive(Deserialize, Row)]
struct OlderRow {
    older: u64,
}

#[derive(Deserialize, Row)]
struct LostParts {
    lost: u64,
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
    /// False when the table itself may have emptied these parts (a TTL, a collapsing merge), or the server
    /// may have made a merged part again that broke.
    pub is_certain: bool,
}

/// What receipts in force say and the tables of a server do not hold.
///
/// # Errors
/// When the server cannot be asked.
pub async fn lost(server: &Server, job: &JobId, spec: &JobSpec) -> Result<Vec<Loss>, Failure> {
    let mut found = Vec::new();
    let was_restarted = was_restarted(server, job).await?;
    if !was_restarted && !spec.graph.tables.iter().any(GraphTable::is_replicated) {
        return Ok(found);
    }
    let names: Vec<TableName> = spec.graph.tables.iter().map(|table| table.name.clone()).collect();
    let now = identities(server, &names).await?;
    for table in spec.graph.tables.iter().filter(|table| table.keeps_rows()) {
        // Before its exchange a shadow is another table than the one of this name, with other blocks.
        let is_there = |shadow: &Shadow| now.contains(&(table.name.clone(), shadow.uuid));
        let is_another = table.shadow.as_ref().is_some_and(|shadow| !is_there(shadow));
        // Partitions of a shadow are linked into their target under other names.
        if spec.publish.mode != PublishMode::Replace && !is_another {
            found.extend(look_after(server, job, (table, &table.name), was_restarted).await?);
        }
    }
    Ok(found)
}

/// What receipts in force say and one table does not hold. `name` is what the table is called now: a shadow
/// has several names in its life.
///
/// # Errors
/// When the server cannot be asked.
pub async fn lost_in_table(
    server: &Server,
    job: &JobId,
    table: &GraphTable,
    name: &TableName,
) -> Result<Vec<Loss>, Failure> {
    let was_restarted = was_restarted(server, job).await?;
    look_after(server, job, (table, name), was_restarted).await
}

/// Looks into a table if anything of it may be lost.
async fn look_after(
    server: &Server,
    job: &JobId,
    (table, name): (&GraphTable, &TableName),
    was_restarted: bool,
) -> Result<Vec<Loss>, Failure> {
    let gave_up = table.is_replicated() && gave_parts_up(server, name).await?;
    if !was_restarted && !gave_up {
        return Ok(Vec::new());
    }
    look_in(server, job, table, name, gave_up).await
}

/// Have the replicas of a table given a part up since the table was made?
async fn gave_parts_up(server: &Server, table: &TableName) -> Result<bool, Failure> {
    let call = || server.call(sql::LOST_PARTS).param("database", &table.database);
    let call = || call().param("table", &table.table);
    let LostParts { lost } = retry_idempotent(|| call().fetch_one()).await?;
    Ok(lost > 0)
}

async fn look_in(
    server: &Server,
    job: &JobId,
    table: &GraphTable,
    name: &TableName,
    always: bool,
) -> Result<Vec<Loss>, Failure> {
    let target = table.destination().to_string();
    let words = lost_in(server, job, (name, &target), always).await?;
    let is_certain = !empties_parts(table);
    let mut found: Vec<Loss> = words.map(|words| Loss { words, is_certain }).into_iter().collect();
    if !planted(Bug::CoverIsProof) {
        found.extend(lost_in_merges(server, job, (table, name, &target), always).await?);
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
    (table, target): (&TableName, &str),
    always: bool,
) -> Result<Option<String>, Failure> {
    let call = || server.call(sql::AUDIT_LOST).name("control", server.control());
    let call = || call().param("job", job).param("target", target);
    let call = || call().param("database", &table.database).param("table", &table.table);
    let call = || call().param("always", always);
    let LostRow { tasks, parts, example } = retry_idempotent(|| call().fetch_one()).await?;
    Ok((parts > 0).then(|| {
        format!(
            "{table} has lost {} of {} with receipts (first: {example}): {}, and they are neither listed nor merged",
            counted(parts, "part"),
            counted(tasks, "task"),
            if always { "its replicas have given parts up" } else { "the server was started again since" }
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
    (table, name, target): (&GraphTable, &TableName, &str),
    always: bool,
) -> Result<Vec<Loss>, Failure> {
    let call = || server.call(sql::AUDIT_MERGED).name("control", server.control());
    let call = || call().param("job", job).param("target", target);
    let call = || call().param("database", &name.database).param("table", &name.table);
    let keeps_rows = keeps_every_row(table);
    let call = || call().param("keeps_rows", keeps_rows).param("always", always);
    let rows: Vec<MergedRow> = retry_idempotent(|| call().fetch_all()).await?;
    Ok(rows.into_iter().map(|row| row.loss(name, keeps_rows)).collect())
}

impl MergedRow {
    fn loss(&self, table: &TableName, keeps_rows: bool) -> Loss {
        let Self { merged, rows, received, set_aside, maybe, tasks, example, part } = self;
        if *set_aside > 0 {
            let parts = counted(*set_aside, "part");
            let words = format!(
                "the server was started again and has set aside {parts} of {table} as broken that receipts name \
                 (first: {part} of task {example}); {merged} was merged over their place, and nothing shows that it \
                 has their rows"
            );
            return Loss { words, is_certain: true };
        }
        if keeps_rows && rows < received {
            let tasks = counted(*tasks, "task");
            let words = format!(
                "part {merged} of {table} holds {rows} rows, and the receipts of parts that it was merged over name \
                 {received}, of {tasks} of this job (first: {example}; which of them lacks rows is not known): parts \
                 were lost at a start of the server, or somebody deleted rows"
            );
            return Loss { words, is_certain: true };
        }
        let parts = counted(*maybe, "part");
        let words = format!(
            "a merged part of {table} broke and was set aside when the server was started again, and {merged} was \
             merged over {parts} of receipts in its range (first task: {example})"
        );
        Loss { words, is_certain: false }
    }
}

/// `1 part`, `12 parts`
fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
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
