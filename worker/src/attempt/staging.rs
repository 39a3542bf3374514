//! The staging set of one attempt: fresh tables that nobody else ever wrote to.

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Server, retry_idempotent, uuid_text};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Graph, StagingNames, create_statements, drop_statement};
use longshore_shared::sql;
use longshore_shared::task::{Mode, StateName, TableName};
use serde::Deserialize;
use uuid::Uuid;

use super::{proof, recall};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// The names of a set that is complete and checked.
pub(crate) struct StagingSet {
    pub(crate) names: StagingNames,
}

/// A table or view clone in the staging database.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) name: String,
    pub(crate) engine: String,
    pub(crate) uuid: Uuid,
    /// The views that fire on it, in order.
    pub(crate) dependents: Vec<TableName>,
    /// Identity of the server that listed it.
    pub(crate) server_uuid: String,
    /// The server's clock before it was listed, in milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// Seconds since the server was started.
    pub(crate) uptime_secs: u64,
}

#[derive(Deserialize, Row)]
struct StagedRow {
    name: String,
    engine: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
    dependencies_database: Vec<String>,
    dependencies_table: Vec<String>,
    server_uuid: String,
    now_ms: i64,
    uptime_secs: u64,
}

#[derive(Deserialize, Row)]
struct Parts {
    parts: u64,
}

/// Makes the twins and clones of this attempt.
pub(crate) async fn create(worker: &Worker, claim: &Claim) -> Result<StagingSet, AttemptError> {
    let (server, graph) = (&claim.server, &claim.job.spec.graph);
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    let statements = create_statements(graph, &names)
        .map_err(|(view, error)| AttemptError::View(view, error))?;
    let skipped = |text: &str| planted(Bug::SkipViews) && text.starts_with("CREATE MATERIALIZED");
    let statements = statements.into_iter().filter(|made| !skipped(&made.text));
    let mut was_there = false;
    for (step, statement) in statements.enumerate() {
        if step > 0 {
            worker.edge(faults::STAGE_BETWEEN).await?;
        }
        let id = claim.task.id.query(claim.epoch(), format_args!("stage-{step}"));
        let made = statement.call(server, "create_staging").id(&id).execute().await;
        match made {
            // Our own statement, sent before and answered never.
            Err(failure) if failure.code() == Some(Code::TABLE_ALREADY_EXISTS) => was_there = true,
            made => drop(made?),
        }
    }
    if was_there {
        check_empty(claim, &names).await?;
        // Who made them is not certain; of what was made here the manifest is early enough (`check_views`).
        let there = list(server, names.prefix()).await?;
        check_views(graph, &names, &there)?;
    }
    worker.edge(faults::STAGE_AFTER).await?;
    Ok(StagingSet { names })
}

/// A table that was there should be our own, made by a statement whose answer was lost. One with
/// rows is not: the control tables were made again, for one, and the same plan was loaded before.
async fn check_empty(claim: &Claim, names: &StagingNames) -> Result<(), AttemptError> {
    let server = &claim.server;
    let call = || server.call(sql::COUNT_STAGED_PARTS).param("staging", server.staging());
    let found: Parts =
        retry_idempotent(|| call().param("prefix", names.prefix()).fetch_one()).await?;
    recall::refuse_sets(claim).await?;
    if found.parts == 0 {
        return Ok(());
    }
    Err(AttemptError::Count(format!(
        "{}… in {} held rows already",
        names.prefix(),
        server.staging()
    )))
}

/// Every clone fires on its twin, and nothing else does.
pub(crate) fn check_views(
    graph: &Graph,
    names: &StagingNames,
    there: &[Staged],
) -> Result<(), AttemptError> {
    if graph.views.is_empty() || planted(Bug::SkipViews) {
        return Ok(());
    }
    for (position, table) in graph.tables.iter().enumerate() {
        let views = graph.views.iter().enumerate().filter(|(_, view)| view.source == table.name);
        let mut expected: Vec<_> = views.map(|(at, _)| names.view(graph, at)).collect();
        expected.sort();
        let twin = names.table(graph, position).table;
        let fires =
            there.iter().find(|staged| staged.name == twin).map(|staged| &staged.dependents);
        if fires != Some(&expected) {
            return Err(AttemptError::Count(format!(
                "the view clones on the staging twin of {} are not those of the plan",
                table.name
            )));
        }
    }
    Ok(())
}

/// What is in the staging database under names that begin so, views first.
pub(crate) async fn list(server: &Server, prefix: &str) -> Result<Vec<Staged>, AttemptError> {
    let rows: Vec<StagedRow> = retry_idempotent(|| {
        server
            .call(sql::LIST_STAGING)
            .param("staging", server.staging())
            .param("control", server.control())
            .param("prefix", prefix)
            .fetch_all()
    })
    .await?;
    let staged = |row: StagedRow| Staged {
        name: row.name,
        engine: row.engine,
        uuid: row.uuid,
        dependents: in_order(row.dependencies_database, row.dependencies_table),
        server_uuid: row.server_uuid,
        now_ms: row.now_ms,
        uptime_secs: row.uptime_secs,
    };
    Ok(rows.into_iter().map(staged).collect())
}

fn in_order(databases: Vec<String>, tables: Vec<String>) -> Vec<TableName> {
    let pairs = databases.into_iter().zip(tables);
    let mut names: Vec<_> = pairs.map(|(database, table)| TableName { database, table }).collect();
    names.sort();
    names
}

/// The set of a task, by names that are on its server only. What comes back says which server it was.
///
/// # Errors
/// When another server answers at the address: nothing that comes back from there is of this task.
pub(crate) async fn list_own(claim: &Claim, prefix: &str) -> Result<Vec<Staged>, AttemptError> {
    let found = list(&claim.server, prefix).await?;
    claim.endpoint.check(found.first().map(|staged| staged.server_uuid.as_str())).await?;
    Ok(found)
}

/// A part with rows in a staging table.
#[derive(Debug, Deserialize, Row)]
pub(crate) struct StagedPart {
    pub(crate) table: String,
    pub(crate) partition_id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "uuid_text")]
    pub(crate) uuid: Uuid,
    pub(crate) hash: String,
    pub(crate) rows: u64,
}

/// The parts of some staging tables, by table and partition.
pub(crate) async fn parts(
    server: &Server,
    twins: &[&TableName],
) -> Result<Vec<StagedPart>, AttemptError> {
    if twins.is_empty() {
        return Ok(Vec::new());
    }
    let tables: Vec<&str> = twins.iter().map(|twin| twin.table.as_str()).collect();
    let call = || server.call(sql::LIST_PARTS).param("staging", server.staging());
    let mut rows: Vec<StagedPart> =
        retry_idempotent(|| call().list("tables", &tables).fetch_all()).await?;
    if planted(Bug::HashesAsSet) {
        for row in &mut rows {
            row.uuid = proof::hash_as_identity(&row.hash);
        }
    }
    Ok(rows)
}

/// Drops one table or clone and waits until it is gone.
pub(crate) async fn drop_one(server: &Server, staged: &Staged) -> Result<(), AttemptError> {
    let is_view = staged.engine == "MaterializedView";
    let statement = if is_view { sql::DROP_VIEW } else { sql::DROP_TABLE };
    retry_idempotent(|| {
        server
            .call(statement)
            .name("database", server.staging())
            .name("table", &staged.name)
            .execute()
    })
    .await?;
    Ok(())
}

/// Drops the set of this epoch. Only for a task that has ended or was given back.
pub(crate) async fn drop_set(claim: &Claim) -> Result<(), AttemptError> {
    debug_assert!(!matches!(
        claim.task.progress.state.name(),
        StateName::Publishing | StateName::Quarantined
    ));
    let server = &claim.server;
    if claim.is_last() || claim.job.spec.mode == Mode::Direct {
        for staged in list(server, &claim.task.id.staging_set(claim.epoch())).await? {
            drop_one(server, &staged).await?;
        }
        return Ok(());
    }
    let names = StagingNames::of_task(server.staging(), &claim.task.id, claim.epoch());
    let statement = drop_statement(&claim.job.spec.graph, &names);
    retry_idempotent(|| server.call_text("drop_staging", statement.clone()).execute()).await?;
    Ok(())
}

/// Drops the sets of older epochs of a task that is not publishing.
pub(crate) async fn drop_older(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    let mut older = list(&claim.server, &claim.task.id.staging_prefix()).await?;
    // Never a newer set: we may be fenced off ourselves and not know it yet.
    let is_older =
        |staged: &Staged| claim.task.id.staging_epoch(&staged.name) < Some(claim.epoch());
    older.retain(|staged| claim.task.id.staging_epoch(&staged.name).is_some() && is_older(staged));
    if !older.is_empty() {
        recall::refuse_sets(claim).await?;
    }
    for staged in older {
        worker.lease.check()?;
        drop_one(&claim.server, &staged).await?;
    }
    Ok(())
}
