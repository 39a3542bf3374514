//! The closing audit: the one place that decides whether a job is *completed*.
//!
//! It believes nobody. What the cursor added up, what a worker remembers and what was answered does
//! not count: tasks, receipts and targets are read fresh, and they must agree.
//!
//! | rule | what it looks at |
//! |---|---|
//! | every planned task is there, and is the one that was planned | task rows, digest of the plan |
//! | every task is done | task rows |
//! | every task has its receipts in force, one a table, with the rows that its row says | receipts |
//! | the sum of rows is what the plan knew of its source | task rows |
//! | no part of an attempt that does not count is in a target | manifests, `system.parts` |
//! | parts that the targets still list have the rows of their receipts | receipts, `system.parts` |
//! | parts of receipts that are older than the start of the server are there, or merged | receipts, `system.parts` |
//! | … and what was merged over their place has their rows | receipts, `system.parts`, `system.detached_parts` |
//! | a target that was exchanged is the table that the tasks filled | UUIDs of tables |
//! | nothing of the job is staged | the staging database |

use std::collections::HashMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::store::{Witness, plan_digest};
use longshore_shared::task::{Job, JobSpec, Mode, StateName, TableName, TaskId};
use serde::Deserialize;

use super::shard_totals;
use crate::attempt::staging;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Findings that are told; more say nothing new.
const TOLD_MAX: usize = 5;

/// The receipts of one task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Row)]
struct Received {
    task_id: String,
    rows_read: u64,
    targets: Vec<(String, u64)>,
}

#[derive(Debug, Deserialize, Row)]
struct Strangers {
    in_database: String,
    in_table: String,
    parts: u64,
    rows: u64,
    example: String,
}

#[derive(Debug, Deserialize, Row)]
struct Differing {
    target: String,
    task_id: String,
    staged: u64,
    found: u64,
}

/// What keeps a job from being completed; nothing when it is.
///
/// Asked when every task has ended well, after the staging database was swept.
pub(crate) async fn find_difference(
    worker: &Worker,
    job: &Job,
    servers: &[Server],
) -> Result<Option<String>, AttemptError> {
    if planted(Bug::SkipAudit) {
        return Ok(None);
    }
    let began = tokio::time::Instant::now();
    let tasks = worker.store.witnesses(job).await?;
    let mut findings = of_tasks(job, &tasks);
    for (number, server) in servers.iter().enumerate() {
        let spec = if job.spec.is_sharded() { job.spec.on(number) } else { job.spec.clone() };
        let id = job.id.to_string();
        let call = || server.call(sql::AUDIT_RECEIPTS).name("control", server.control());
        let own = tasks
            .iter()
            .filter(|task| !job.spec.is_sharded() || job.spec.shard(&task.id) == number);
        let received = retry_idempotent(|| call().param("job", &id).fetch_all::<Received>());
        // A server that was just started lists parts late that were merged away.
        let merged = spec.graph.tables.iter().filter(|table| table.engine.ends_with("MergeTree"));
        let merged: Vec<&TableName> = merged.map(|table| &table.name).collect();
        ledger::wait_for_parts(server, &merged).await?;
        let tables = tables(&spec);
        let (received, of_tables, lost, not_exchanged, of_staging) = tokio::try_join!(
            async { Ok(received.await?) },
            of_tables(server, job, &tables),
            async { Ok(ledger::lost(server, &job.id, &spec).await?) },
            async { Ok(ledger::not_exchanged(server, &spec).await?) },
            of_staging(server, job)
        )?;
        findings.extend(of_receipts(job, &spec, own, received));
        findings.extend(of_tables);
        findings.extend(lost.into_iter().filter(|loss| loss.is_certain).map(|loss| loss.words));
        findings.extend(not_exchanged);
        findings.extend(of_staging);
        worker.lease.check()?;
    }
    if findings.is_empty() {
        let loaded = tasks.iter().map(|task| task.rows).sum();
        findings.extend(shard_totals::check_shard_totals(servers, job, loaded).await?);
    }
    let elapsed_ms = began.elapsed().as_millis();
    tracing::info!(job = %job.id, tasks = tasks.len(), findings = findings.len(), elapsed_ms, "audited");
    Ok(told(findings))
}

fn told(mut findings: Vec<String>) -> Option<String> {
    let more = findings.len().saturating_sub(TOLD_MAX);
    findings.truncate(TOLD_MAX);
    if more > 0 {
        findings.push(format!("{more} more findings"));
    }
    (!findings.is_empty()).then(|| format!("the closing audit failed: {}", findings.join("; ")))
}

/// The tasks alone: all there, all as planned, all done, and together what the source held.
fn of_tasks(job: &Job, tasks: &[Witness]) -> Vec<String> {
    let mut findings = Vec::new();
    let planned = u64::from(job.tasks);
    if tasks.len() as u64 != planned {
        findings.push(format!("{} of {planned} tasks are in the task table", tasks.len()));
    }
    let digest = &job.spec.made.digest;
    // Jobs of earlier versions have none.
    if !digest.is_empty() && plan_digest(tasks.iter().map(|task| task.chunk_digest)) != *digest {
        findings.push("the tasks are not those that were planned".to_owned());
    }
    let open: Vec<&Witness> = tasks.iter().filter(|task| task.state != StateName::Done).collect();
    if let Some(first) = open.first() {
        let (id, state) = (&first.id, first.state.as_str());
        findings.push(format!("{} of {planned} tasks are not done ({id} is {state})", open.len()));
    }
    let rows: u64 = tasks.iter().map(|task| task.rows).sum();
    if let Some(expected) = job.spec.rows_expected().filter(|expected| *expected != rows) {
        findings.push(format!(
            "the source held {expected} rows when it was planned, and its chunks held {rows} together"
        ));
    } else if let Some(least) = job.spec.rows_at_least().filter(|least| *least > rows) {
        findings.push(format!(
            "the source held {least} rows when it was planned, and its chunks held only {rows} together"
        ));
    }
    findings
}

/// Tasks and receipts of one server.
fn of_receipts<'a>(
    job: &Job,
    spec: &JobSpec,
    tasks: impl Iterator<Item = &'a Witness>,
    received: Vec<Received>,
) -> Vec<String> {
    let mut of_task: HashMap<String, Received> =
        received.into_iter().map(|row| (row.task_id.clone(), row)).collect();
    let (mut without, mut differing) = (Vec::new(), Vec::new());
    for task in tasks.filter(|task| task.state == StateName::Done) {
        let received = of_task.remove(&task.id.to_string());
        match received {
            Some(received) if received.targets.len() == receipts_of(job, spec, &task.id) => {
                if !is_like(job, spec, task, &received) {
                    differing.push((&task.id, task.rows, received));
                }
            }
            _ => without.push(&task.id),
        }
    }
    let mut findings = Vec::new();
    if let Some(first) = without.first() {
        findings.push(format!(
            "tasks that are done without all of their receipts: {} (first: {first})",
            without.len()
        ));
    }
    if let Some((id, rows, received)) = differing.first() {
        let targets: Vec<String> =
            received.targets.iter().map(|(name, rows)| format!("{rows} in {name}")).collect();
        findings.push(format!(
            "the receipts of {} tasks do not agree with them ({id}: {rows} rows, and by its receipts {})",
            differing.len(),
            targets.join(", ")
        ));
    }
    findings
}

/// How many tables a task has a receipt for.
fn receipts_of(job: &Job, spec: &JobSpec, task: &TaskId) -> usize {
    if spec.mode == Mode::Direct {
        1
    } else if job.is_last(task) {
        spec.graph.tables.iter().filter(|table| table.shadow.is_some()).count()
    } else {
        spec.graph.tables.iter().filter(|table| table.keeps_rows()).count()
    }
}

/// Do the receipts say what the row of the task says?
fn is_like(job: &Job, spec: &JobSpec, task: &Witness, received: &Received) -> bool {
    if job.is_last(&task.id) {
        return true;
    }
    let base = spec.graph.base();
    let has_views = spec
        .source
        .as_tables()
        .is_some_and(|tables| tables.feeds.iter().any(|feed| feed.view.is_some()));
    // Each feed of a replay has a target of its own, and which feed it is stands in the chunk.
    if has_views {
        return received.targets.iter().any(|(_, rows)| *rows == task.rows);
    }
    if !base.keeps_rows() {
        // A condition or an expression of the user may change the number.
        return !spec.is_one_for_one() || received.rows_read == task.rows;
    }
    let name = if spec.mode == Mode::Direct { &spec.target } else { base.destination() };
    let name = name.to_string();
    received.targets.iter().any(|(target, rows)| *target == name && *rows == task.rows)
}

/// The tables whose parts are looked at, each with the name that receipts know it by.
fn tables(spec: &JobSpec) -> Vec<(&TableName, &TableName)> {
    let kept = spec.graph.tables.iter().filter(|table| table.keeps_rows());
    kept.map(|table| (&table.name, table.destination())).collect()
}

/// Parts of the job in its tables, which are asked together.
async fn of_tables(
    server: &Server,
    job: &Job,
    tables: &[(&TableName, &TableName)],
) -> Result<Vec<String>, AttemptError> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let id = job.id.to_string();
    let (names, targets): (Vec<&TableName>, Vec<String>) =
        tables.iter().map(|(table, target)| (*table, target.to_string())).unzip();
    let fill = |statement| {
        let call = server.call(statement).name("control", server.control()).param("job", &id);
        call.tables(&names)
    };
    let strangers = retry_idempotent(|| fill(sql::AUDIT_STRANGERS).fetch_all::<Strangers>());
    let differing = retry_idempotent(|| {
        fill(sql::AUDIT_ROWS).list("targets", &targets).fetch_all::<Differing>()
    });
    let (strangers, differing) = tokio::try_join!(strangers, differing)?;
    let mut findings = Vec::new();
    for Strangers { in_database, in_table, parts, rows, example } in strangers {
        let table = TableName { database: in_database, table: in_table };
        findings.push(format!(
            "{table} holds parts of this job that no receipt names: {parts} parts, {rows} rows (first: {example})"
        ));
    }
    for Differing { target, task_id, staged, found } in differing {
        let table = tables.iter().zip(&targets).find(|(_, of)| **of == target);
        let table = table.map_or(target.clone(), |((table, _), _)| table.to_string());
        findings.push(format!(
            "{table} holds {found} rows of task {task_id}, and its receipt says {staged}"
        ));
    }
    Ok(findings)
}

/// Every attempt was swept, so what is left is evidence.
async fn of_staging(server: &Server, job: &Job) -> Result<Option<String>, AttemptError> {
    let mut left = staging::list(server, &format!("{}_", job.id)).await?;
    let snapshots = job.id.snapshot_prefix();
    left.retain(|staged| !staged.name.starts_with(&snapshots));
    Ok(left
        .first()
        .map(|first| format!("{} staging tables of the job are left ({})", left.len(), first.name)))
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
