//! A plan of a file becomes a plan of these control tables: everything that it relies on must be as
//! it was when it was made.

use longshore_shared::schema::{Graph, check_drift, identities};
use longshore_shared::task::{Job, Mode, Source, TableName};

use super::PlanFile;
use crate::plan::target::rehearse::rehearse;
use crate::plan::target::replicas::check_wait;
use crate::plan::target::shadow::{Marks, rehearse as rehearse_shadows};
use crate::plan::write::rows::write_plan;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Binds a plan of another environment to this one: its targets are the tables of the same names.
pub(crate) async fn rebind(session: &Session, file: &mut PlanFile) -> Result<(), Error> {
    if file.spec.is_sharded() {
        let message = format!("plan {} is bound to the servers that it names", file.id);
        return Err(Report::new(Kind::Conflict, message)
            .help("plan again, with the servers of this environment as --endpoint")
            .into());
    }
    let home = session.home().await?;
    file.spec.rebind(&session.environment, &home.url, &home.uuid);
    let tables = &mut file.spec.graph.tables;
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let found = identities(&session.server, &names).await?;
    for table in tables {
        if let Some((_, uuid)) = found.iter().find(|(name, _)| *name == table.name) {
            table.uuid = Some(*uuid);
        }
    }
    Ok(())
}

/// Targets, views and sources are those of the plan, and its staging tables can be made here.
pub(crate) async fn check(session: &Session, file: &PlanFile) -> Result<(), Error> {
    let (server, spec) = (&session.server, &file.spec);
    let Some(mut graph) = graph_here(session, file).await? else { return Ok(()) };
    if let Some(drift) = check_drift(server, &graph).await? {
        let message = format!("the tables are not those of plan {}: {drift}", file.id);
        return Err(Report::new(Kind::Conflict, message)
            .help("plan again, for the tables as they are")
            .into());
    }
    if let Source::Tables(tables) = &spec.source {
        for feed in tables.feeds.iter().filter(|feed| feed.remote.is_none()) {
            let found = identities(server, std::slice::from_ref(&feed.table)).await?;
            let found = found.first().map(|(_, uuid)| *uuid);
            if found.is_some() && found == feed.uuid {
                continue;
            }
            return Err(missing(file, &feed.table, feed.is_snapshot, found.is_some()).into());
        }
    }
    crate::grants::durable::check_durable(server, spec.durable).await?;
    check_wait(server, &graph, spec.replicas_wait).await?;
    if spec.mode == Mode::Staged {
        rehearse(server, &mut graph).await?;
        rehearse_shadows(server, &graph, spec.publish).await?;
    }
    Ok(())
}

/// The graph of the plan on this server; none when it is not among several that the plan names: then
/// its workers look before they load.
async fn graph_here(session: &Session, file: &PlanFile) -> Result<Option<Graph>, Error> {
    let spec = &file.spec;
    let home = session.home().await?;
    let here = spec.servers.iter().position(|server| server.uuid == home.uuid);
    match (spec.servers.as_slice(), here) {
        ([only], None) if !spec.graph.is_replicated() => {
            let message = format!(
                "plan {} was made on another server of this environment: {}",
                file.id, only.url
            );
            Err(Report::new(Kind::Conflict, message)
                .help("import it there, or plan it for this server with --again TEXT")
                .into())
        }
        ([_, _, ..], here) => Ok(here.map(|shard| spec.on(shard).graph)),
        _ => Ok(Some(spec.graph.clone())),
    }
}

fn missing(file: &PlanFile, table: &TableName, is_snapshot: bool, is_another: bool) -> Report {
    let what = if is_snapshot { "the snapshot" } else { "the table" };
    let state = if is_another { "is another one here" } else { "is not here" };
    let message = format!("plan {} reads {what} {table}, which {state}", file.id);
    Report::new(Kind::Conflict, message).help(
        "a plan that reads tables runs only where they are, and a snapshot is gone when its job has \
         ended: plan again",
    )
}

/// Writes the plan. What other tables' blocks were called elsewhere means nothing here.
pub(crate) async fn publish(
    session: &Session,
    file: PlanFile,
    is_foreign: bool,
) -> Result<(Job, bool), Error> {
    let PlanFile { id, spec, marks, chunks } = file;
    let marks = if is_foreign {
        Marks::of(&session.server, &spec.graph, spec.publish).await?
    } else {
        Marks::from(marks)
    };
    write_plan(session, id, spec, &chunks, marks).await
}

/// What a plan reads, in words.
pub(crate) fn source_words(job: &Job) -> String {
    match &job.spec.source {
        Source::Files(_) => {
            format!("{} ({})", text::plural(job.files, "file"), text::bytes(job.bytes))
        }
        Source::Tables(tables) => {
            let rows = tables.rows.map_or_else(|| "rows".to_owned(), |n| text::plural(n, "row"));
            let origins: Vec<String> =
                tables.feeds.iter().map(|feed| feed.origin.to_string()).collect();
            let unit = tables.budget.as_str();
            format!("{rows} of {} ({} {unit})", origins.join(", "), text::bytes(job.bytes))
        }
    }
}
