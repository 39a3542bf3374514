//! A plan of what arrived in a table since the snapshot of an earlier plan.
//!
//! The table is cloned once more; parts that the earlier plan had are taken out of the clone, and the
//! rest is planned as any snapshot.

use std::collections::{BTreeMap, BTreeSet};

use longshore_shared::clickhouse::Server;
use longshore_shared::schema::identities;
use longshore_shared::sql::{self, quote_literal};
use longshore_shared::task::{Chunk, Feed, TableName, TablesSource};

use super::recut;
use super::rows::{identity, whole, write_plan};
use super::tables::TablesPlan;
use crate::plan::cut::{ListedPart, cut, digest, list_parts};
use crate::plan::draft::SpecBase;
use crate::plan::tables::clones::{self, clone_of};
use crate::plan::tables::feed::{FeedOptions, Origin, cut_options};
use crate::plan::tables::part_blocks::{Arrived, Mixed, arrived, known};
use crate::plan::tables::since::Since;
use crate::plan::tables::snapshot;
use crate::plan::target::shadow::Marks;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Plans what arrived.
pub(crate) async fn plan_delta(
    session: &Session,
    origin: &Origin,
    options: &FeedOptions,
    since: &Since,
    base: &SpecBase,
    marks: &Marks,
) -> Result<TablesPlan, Error> {
    let server = &session.server;
    let table = &origin.feed.origin;
    let (clone, rows) = clone_arrived(server, table, since).await?;
    let digest = digest(&clone.parts);
    let source = |feed: Feed, rows| TablesSource {
        feeds: vec![feed],
        budget: options.unit,
        chunk_bytes: options.chunk_bytes,
        rows,
        digest: digest.clone(),
    };
    let mode = format!("delta\0{}\0{}", since.job, options.again);
    let id = identity(&base.of_tables(source(origin.feed.clone(), None)), &[], &mode);
    let notes = vec![format!(
        "{} since job {}, by the parts of {table}; the next --delta follows this plan",
        text::plural(rows, "row"),
        since.job
    )];
    if let Some(job) = whole(&session.store, &id).await? {
        snapshot::drop(server, &clone.table.table).await?;
        Box::pin(recut::write_delta(session, &job, &cut_options(options, origin, true))).await?;
        let bytes = job.bytes;
        return Ok(TablesPlan { job, created: false, bytes, notes });
    }
    let known = known(since.known.uuid, &clone.parts);
    let named = TableName { database: clone.table.database.clone(), table: id.snapshot(0) };
    clone.name(server, &named.table).await?;
    let chopped = cut(server, &named, &cut_options(options, origin, true)).await?;
    let uuid = identities(server, std::slice::from_ref(&named)).await?;
    let feed = Feed {
        uuid: uuid.first().map(|(_, uuid)| *uuid),
        table: named,
        is_snapshot: true,
        key: chopped.key.clone(),
        known,
        ..origin.feed.clone()
    };
    let source = source(feed, chopped.rows);
    let chunks: Vec<Chunk> = chopped.slices.into_iter().map(Chunk::Slice).collect();
    let (job, created) =
        Box::pin(write_plan(session, id, base.of_tables(source), &chunks, marks.clone())).await?;
    Ok(TablesPlan { job, created, bytes: chopped.bytes, notes })
}

/// Clones the table and takes out of the clone what the earlier plan had; the clone, and its rows.
async fn clone_arrived(
    server: &Server,
    table: &TableName,
    since: &Since,
) -> Result<(clones::Clone, u64), Error> {
    let clone = clone_of(server, table).await?;
    let outcome = async {
        let found = arrived(&since.known, &clone.parts, since.engine.keeps_rows())
            .ok_or_else(|| unclear(table))?;
        if let Some(mixed) = found.mixed.first().filter(|_| !since.engine.numbers_blocks()) {
            return Err(cannot_divide(table, &mixed.part.name).into());
        }
        let rows = found.rows();
        take_out(server, &clone.table, &found).await?;
        divide(server, &clone.table, &found.mixed).await?;
        let left: u64 = list_parts(server, &clone.table).await?.iter().map(|part| part.rows).sum();
        if left != rows {
            let message = format!("{rows} rows should be new in {table}, and {left} are");
            return Err(Report::new(Kind::Conflict, message)
                .help("rows were removed or folded since the first plan: copy the table anew")
                .into());
        }
        Ok::<u64, Error>(rows)
    }
    .await;
    match outcome {
        Ok(rows) => Ok((clone, rows)),
        Err(error) => {
            snapshot::drop(server, &clone.table.table).await?;
            Err(error)
        }
    }
}

fn unclear(table: &TableName) -> Report {
    Report::new(Kind::Conflict, format!("the parts of {table} have names that are not understood"))
}

fn cannot_divide(table: &TableName, part: &str) -> Report {
    let message = format!(
        "part {part} of {table} was merged from rows that were copied and rows that arrived later: \
         they cannot be told apart"
    );
    Report::new(Kind::Conflict, message).help(format!(
        "copy it anew (into a fresh table, or --publish exchange). To tell them apart the next time, \
         before the first plan: ALTER TABLE {0} MODIFY SETTING enable_block_number_column = 1, or \
         SYSTEM STOP MERGES {0} until the last delta",
        table.quoted()
    ))
}

/// Removes old rows from the clone's copies of mixed parts.
async fn divide(server: &Server, clone: &TableName, mixed: &[Mixed<'_>]) -> Result<(), Error> {
    if mixed.is_empty() {
        return Ok(());
    }
    let mut there = list_parts(server, clone).await?;
    let mut conditions = Vec::with_capacity(mixed.len());
    for Mixed { part, old } in mixed {
        let is_its = |found: &ListedPart| {
            (&found.partition_id, &found.hash, found.rows)
                == (&part.partition_id, &part.hash, part.rows)
        };
        let Some(at) = there.iter().position(is_its) else { continue };
        let name = there.swap_remove(at).name;
        let blocks: Vec<String> = old
            .iter()
            .map(|span| format!("_block_number BETWEEN {} AND {}", span.first, span.last))
            .collect();
        conditions.push(format!(
            "(_part = {} AND ({}))",
            quote_literal(&name),
            blocks.join(" OR ")
        ));
    }
    let text = format!("ALTER TABLE {} DELETE WHERE {}", clone.quoted(), conditions.join(" OR "));
    let call = server.call_text("divide_parts", text).setting("mutations_sync", 1);
    call.deadline(None).execute().await?;
    Ok(())
}

/// Leaves only parts with new rows in the clone. Parts are known by their content there: they have
/// got other names, and which of two equal ones stays makes no difference.
async fn take_out(server: &Server, clone: &TableName, found: &Arrived<'_>) -> Result<(), Error> {
    let mut wanted: BTreeMap<(String, String, u64), usize> = BTreeMap::new();
    for part in found.parts() {
        *wanted.entry((part.partition_id.clone(), part.hash.clone(), part.rows)).or_default() += 1;
    }
    let partitions: BTreeSet<&str> = found.parts().map(|p| p.partition_id.as_str()).collect();
    let there = list_parts(server, clone).await?;
    let old: BTreeSet<&str> = there
        .iter()
        .map(|part| part.partition_id.as_str())
        .filter(|partition| !partitions.contains(partition))
        .collect();
    for partition in old {
        let call = server.call(sql::DROP_PARTITION).name("database", &clone.database);
        call.name("table", &clone.table).literal("partition", partition).execute().await?;
    }
    for part in there.iter().filter(|part| partitions.contains(part.partition_id.as_str())) {
        let key = (part.partition_id.clone(), part.hash.clone(), part.rows);
        match wanted.get_mut(&key) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                let call = server.call(sql::DROP_PART).name("staging", &clone.database);
                call.name("table", &clone.table).literal("part", &part.name).execute().await?;
            }
        }
    }
    Ok(())
}
