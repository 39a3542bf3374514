//! The counts that must agree before anything is published, and the manifest of what will be moved.

use std::time::Duration;

use longshore_shared::clickhouse::Summary;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Graph, GraphTable, StagingNames};
use longshore_shared::task::{Chunk, Line, Manifest, Part, StagedTable, TableName};

use super::source::{self, Held};
use super::staging::{self, Staged, StagedPart, StagingSet};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Counts what was staged, compares it with what was read, and writes down what will be moved.
pub(crate) async fn make_manifest(
    worker: &Worker,
    claim: &Claim,
    set: &StagingSet,
    loaded: Summary,
) -> Result<Manifest, AttemptError> {
    let graph = &claim.job.spec.graph;
    let twins: Vec<TableName> =
        kept(graph).map(|(position, _)| set.names.table(graph, position)).collect();
    let twins: Vec<&TableName> = twins.iter().collect();
    let listed = async {
        let there = staging::list_own(claim, set.names.prefix()).await?;
        // The time of the manifest is never later than what is listed of the parts.
        let parts = staging::parts(&claim.server, &twins).await?;
        let Some(taken_ms) = there.first().map(|staged| staged.now_ms) else {
            return Err(AttemptError::Count("the staging tables are gone".to_owned()));
        };
        check_uptime(claim, &there)?;
        Ok::<_, AttemptError>((taken_ms, staged_tables(claim, set, &there, &parts)?))
    };
    let (listed, held) = tokio::join!(listed, source::count(worker, claim));
    let (taken_ms, tables) = listed?;
    let staged: u64 = tables.iter().map(StagedTable::rows).sum();
    let chunk = Chunk::decode(&claim.task.chunk)?;
    let loaded_into = claim.job.spec.load(&chunk).target;
    // A job that publishes at its end moves into the shadow of the table that it loads into.
    let base = graph.tables.iter().find(|table| table.name == *loaded_into);
    let base = base.map(GraphTable::destination);
    let base_rows = tables.iter().find(|table| Some(&table.target) == base).map(StagedTable::rows);
    let mut lost = graph.tables.iter().filter(|table| !table.keeps_rows());
    let (first_lost, all_kept) = (lost.next(), graph.tables.iter().all(GraphTable::keeps_rows));
    // A Null table keeps no row that could be counted, but the server says how many it wrote: where it
    // is the only one, what is not staged went there.
    let into_null =
        first_lost.is_some_and(|table| table.name == *loaded_into) && lost.next().is_none();
    let base_rows = base_rows.or(into_null.then(|| loaded.written_rows.saturating_sub(staged)));
    let counted = !planted(Bug::TrustLoad);
    if counted && all_kept && staged != loaded.written_rows {
        return Err(AttemptError::Count(format!(
            "the load wrote {} rows, but {staged} are staged",
            loaded.written_rows
        )));
    }
    let held = held?;
    if let (Held::Exactly(held) | Held::Share { rows: held, .. }, Some(rows), true) =
        (held, base_rows, counted)
        && rows != held
    {
        let what = if into_null { "were written into" } else { "are staged for" };
        return Err(AttemptError::Count(format!(
            "the source holds {held} rows, but {rows} {what} {loaded_into}"
        )));
    }
    if let (Held::AtLeast(held), Some(rows), true) = (held, base_rows, counted)
        && rows < held
    {
        return Err(AttemptError::Count(format!(
            "the source holds at least {held} rows, but {rows} are staged"
        )));
    }
    let rows_read = match held {
        Held::Exactly(rows) | Held::Read(rows) | Held::Share { of: rows, .. } if counted => rows,
        _ => loaded.read_rows,
    };
    let rows = base_rows.unwrap_or(rows_read);
    Ok(Manifest {
        taken_ms,
        rows,
        rows_read,
        tables,
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    })
}

/// A server that was started again may have begun the load before it knew the views: ClickHouse 24.6 to 25.4 takes
/// INSERTs while it still loads its tables (upstream #72589). Then the clones are there now and did not fire.
fn check_uptime(claim: &Claim, there: &[Staged]) -> Result<(), AttemptError> {
    let Some(any) = there.first() else { return Ok(()) };
    // Whole seconds, rounded down: a server that was started just before the claim counts too.
    let has_run_on = Duration::from_secs(any.uptime_secs) >= claim.began.elapsed();
    if claim.job.spec.graph.views.is_empty() || has_run_on || planted(Bug::TrustClones) {
        return Ok(());
    }
    Err(AttemptError::Restarted)
}

/// What each twin holds, in the order of the plan.
fn staged_tables(
    claim: &Claim,
    set: &StagingSet,
    twins: &[Staged],
    parts: &[StagedPart],
) -> Result<Vec<StagedTable>, AttemptError> {
    let graph = &claim.job.spec.graph;
    // A clone that somebody has dropped since it was made did not fire, and no number would differ.
    for (at, view) in graph.views.iter().enumerate() {
        let clone = set.names.view(graph, at).table;
        if twins.iter().all(|staged| staged.name != clone) && !planted(Bug::SkipViews) {
            return Err(AttemptError::Count(format!("the staging clone of {} is gone", view.name)));
        }
    }
    let mut tables = Vec::new();
    for (position, target) in kept(graph) {
        let twin = set.names.table(graph, position);
        let uuid = twins
            .iter()
            .find(|staged| staged.name == twin.table)
            .map(|staged| staged.uuid)
            .ok_or_else(|| {
                AttemptError::Count(format!("the staging twin of {} is gone", target.name))
            })?;
        tables.push(StagedTable {
            suffix: StagingNames::suffix(graph, position),
            uuid,
            target: target.destination().clone(),
            target_uuid: target.destination_uuid()?,
            lines: lines(&twin, parts.iter().filter(|part| part.table == twin.table))?,
        });
    }
    staging::check_views(graph, &set.names, twins)?;
    Ok(tables)
}

/// The tables that keep rows, with their positions in the graph.
fn kept(graph: &Graph) -> impl Iterator<Item = (usize, &GraphTable)> {
    graph.tables.iter().enumerate().filter(|(_, table)| table.keeps_rows())
}

fn lines<'a>(
    twin: &TableName,
    parts: impl Iterator<Item = &'a StagedPart>,
) -> Result<Vec<Line>, AttemptError> {
    let mut lines: Vec<Line> = Vec::new();
    for row in parts {
        if row.uuid.is_nil() {
            return Err(AttemptError::Count(format!("a part of {twin} has no identity")));
        }
        let part = Part { uuid: row.uuid, hash: row.hash.clone(), rows: row.rows };
        match lines.last_mut() {
            Some(line) if line.partition == row.partition_id => line.parts.push(part),
            _ => lines.push(Line { partition: row.partition_id.clone(), parts: vec![part] }),
        }
    }
    Ok(lines)
}
