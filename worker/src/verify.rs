//! What must be true before anything is published: the schema, the files, the counts.

use clickhouse::Row;
use longshore_shared::clickhouse::{Summary, read};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{StagingNames, check_drift};
use longshore_shared::source::{from_clause, pin_query};
use longshore_shared::sql::quote_list;
use longshore_shared::task::{Chunk, Line, Manifest, Part, SourceFile, StagedTable, TableName};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::context::Worker;
use crate::proof;
use crate::staging::{self, StagingSet};
use crate::trouble::Trouble;

/// Formats whose files say how many rows they hold, so that a count reads only their footers.
const COUNTING_FORMATS: [&str; 3] = ["Parquet", "ORC", "Arrow"];

#[derive(Deserialize, Row)]
struct Listed {
    path: String,
    size: u64,
    etag: String,
}

#[derive(Deserialize, Row)]
struct Count {
    rows: u64,
}

/// The tables and views are what they were at plan time.
pub(crate) async fn schema(worker: &Worker, claim: &Claim) -> Result<(), Trouble> {
    if planted(Bug::SkipDrift) {
        return Ok(());
    }
    match check_drift(&worker.server, &claim.job.spec.graph).await? {
        None => Ok(()),
        Some(drift) => Err(drift.into()),
    }
}

/// Every file of the chunk is there with the size and etag of the plan.
pub(crate) async fn files(worker: &Worker, claim: &Claim) -> Result<(), Trouble> {
    if planted(Bug::SkipPins) {
        return Ok(());
    }
    let planned = Chunk::decode(&claim.task.chunk)?.files;
    let text = pin_query(&claim.job.spec.source, &planned, &worker.keys);
    let call = || {
        let text = text.clone();
        worker.server.call_text("pin", text).setting("max_query_size", 64 * 1024 * 1024)
    };
    let found: Vec<Listed> = read(|| call().deadline(None).fetch_all()).await?;
    compare(&planned, &found)
}

fn compare(planned: &[SourceFile], found: &[Listed]) -> Result<(), Trouble> {
    for file in planned {
        let mut same = found.iter().filter(|listed| listed.path == file.path);
        let (Some(now), None) = (same.next(), same.next()) else {
            return Err(Trouble::Source(format!(
                "file {} is not there any more as it was planned; plan again",
                file.path
            )));
        };
        if now.size != file.size || now.etag != file.etag {
            return Err(Trouble::Source(format!(
                "file {} was changed after the plan was made (planned {} bytes, etag {}; now {} bytes, etag {}); plan again",
                file.path, file.size, file.etag, now.size, now.etag
            )));
        }
    }
    if found.len() == planned.len() {
        return Ok(());
    }
    Err(Trouble::Source(format!("{} files were planned, {} are read", planned.len(), found.len())))
}

/// Counts what was staged, compares it with what was read, and writes down what will be moved.
pub(crate) async fn manifest(
    worker: &Worker,
    claim: &Claim,
    set: &StagingSet,
    loaded: Summary,
) -> Result<Manifest, Trouble> {
    let graph = &claim.job.spec.graph;
    let clock = proof::clock(worker).await?;
    let twins = staging::list(worker, set.names.prefix()).await?;
    let mut tables = Vec::with_capacity(graph.tables.len());
    for (position, target) in graph.tables.iter().enumerate().filter(|(_, t)| t.keeps_rows()) {
        let twin = set.names.table(graph, position);
        let uuid = twins
            .iter()
            .find(|staged| staged.name == twin.table)
            .map(|staged| staged.uuid)
            .ok_or_else(|| {
                Trouble::Count(format!("the staging twin of {} is gone", target.name))
            })?;
        tables.push(StagedTable {
            suffix: StagingNames::suffix(graph, position),
            uuid,
            target: target.destination().clone(),
            target_uuid: target.destination_uuid(),
            lines: lines(worker, &twin).await?,
        });
    }
    let staged: u64 = tables.iter().map(StagedTable::rows).sum();
    let base_rows = tables.first().filter(|_| graph.base().keeps_rows()).map(StagedTable::rows);
    let all_kept = graph.tables.iter().all(longshore_shared::schema::GraphTable::keeps_rows);
    let counted = !planted(Bug::TrustLoad);
    if counted && all_kept && staged != loaded.written_rows {
        return Err(Trouble::Count(format!(
            "the load wrote {} rows, but {staged} are staged",
            loaded.written_rows
        )));
    }
    let rows_read = match source_count(worker, claim).await?.filter(|_| counted) {
        Some(held) => {
            if base_rows.is_some_and(|rows| rows != held) {
                return Err(Trouble::Count(format!(
                    "the files hold {held} rows, but {} are staged",
                    base_rows.unwrap_or(0)
                )));
            }
            held
        }
        None => loaded.read_rows,
    };
    let rows = base_rows.unwrap_or(rows_read);
    Ok(Manifest { taken_ms: clock.now_ms, rows, rows_read, tables, handovers: Vec::new() })
}

async fn lines(worker: &Worker, twin: &TableName) -> Result<Vec<Line>, Trouble> {
    let mut lines: Vec<Line> = Vec::new();
    for row in staging::parts(worker, twin).await? {
        let uuid = Uuid::parse_str(&row.uuid).unwrap_or_default();
        if uuid.is_nil() {
            return Err(Trouble::Count(format!("a part of {twin} has no identity")));
        }
        let part = Part { uuid, hash: row.hash, rows: row.rows };
        match lines.last_mut() {
            Some(line) if line.partition == row.partition_id => line.parts.push(part),
            _ => lines.push(Line { partition: row.partition_id, parts: vec![part] }),
        }
    }
    Ok(lines)
}

/// How many rows the files say they hold, where that is cheap to ask and nothing filters them.
async fn source_count(worker: &Worker, claim: &Claim) -> Result<Option<u64>, Trouble> {
    let spec = &claim.job.spec;
    // An expression of the user may multiply or fold rows; a filter leaves some out.
    let one_for_one = spec.filter.is_empty() && spec.select == quote_list(&spec.columns);
    if !one_for_one || !COUNTING_FORMATS.contains(&spec.source.format.as_str()) {
        return Ok(None);
    }
    let files = Chunk::decode(&claim.task.chunk)?.files;
    let from = from_clause(&spec.source, &files, &worker.keys);
    let text = format!("SELECT count() AS rows FROM {from}");
    let count: Count = read(|| {
        worker
            .server
            .call_text("count_source", text.clone())
            .setting("max_query_size", 64 * 1024 * 1024)
            // The count must come from the files as they are, not from an earlier query.
            .setting("use_cache_for_count_from_files", 0)
            .deadline(None)
            .fetch_one()
    })
    .await?;
    Ok(Some(count.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SourceFile {
        SourceFile { path: path.into(), size: 3, etag: "e".into() }
    }

    fn listed(path: &str, etag: &str) -> Listed {
        Listed { path: path.into(), size: 3, etag: etag.into() }
    }

    #[test]
    fn a_changed_missing_or_foreign_file_is_refused() {
        let planned = [file("a"), file("b")];
        assert!(compare(&planned, &[listed("b", "e"), listed("a", "e")]).is_ok());
        let cases: [(&[Listed], &str); 4] = [
            (&[listed("a", "e")], "file b is not there"),
            (&[listed("a", "e"), listed("b", "f")], "file b was changed"),
            (&[listed("a", "e"), listed("b", "e"), listed("b", "e")], "file b is not there"),
            (&[listed("a", "e"), listed("b", "e"), listed("c", "e")], "3 are read"),
        ];
        for (found, words) in cases {
            let error = compare(&planned, found).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
