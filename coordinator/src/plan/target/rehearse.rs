//! Makes and drops one staging set without rows: what cannot be staged is refused at plan time.

use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use longshore_shared::schema::{
    Creation, Graph, GraphView, StagingNames, columns, create_statements, dependents, firing_select,
};
use longshore_shared::sql;
use uuid::Uuid;

use super::columns::types_of;
use crate::ui::error::{Error, Kind, Report};

/// Makes the staging set of the graph, checks that its clones fire on its twins, and drops it.
/// Marks the views that the server fires and would not create again; returns what the user should
/// know of them.
pub(crate) async fn rehearse(server: &Server, graph: &mut Graph) -> Result<Vec<String>, Error> {
    let mark = Uuid::new_v4().simple().to_string();
    let names = StagingNames::rehearsal(server.staging(), &mark[..12]);
    let outcome = make(server, graph, &names).await;
    let dropped = drop_all(server, graph, &names).await;
    let notes = outcome?;
    dropped?;
    Ok(notes)
}

async fn make(
    server: &Server,
    graph: &mut Graph,
    names: &StagingNames,
) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for (step, creation) in statements(graph, names)?.into_iter().enumerate() {
        let made = creation.call(server, "rehearse").execute().await;
        let Some(view) = step.checked_sub(graph.tables.len()) else {
            made?;
            continue;
        };
        match made {
            Ok(_) => {}
            // The view gives a column that its target does not take.
            Err(failure) if failure.code() == Some(Code::THERE_IS_NO_COLUMN) => {
                graph.views[view].gives_more = true;
                let again = statements(graph, names)?.swap_remove(step);
                let made = again.call(server, "rehearse").execute().await;
                made.map_err(|_| unstaged(&graph.views[view], failure))?;
                notes.extend(surplus(server, &graph.views[view]).await?);
            }
            Err(failure) => return Err(unstaged(&graph.views[view], failure)),
        }
    }
    check(server, graph, names).await?;
    Ok(notes)
}

fn statements(graph: &Graph, names: &StagingNames) -> Result<Vec<Creation>, Error> {
    create_statements(graph, names).map_err(|(view, error)| {
        Report::new(Kind::Usage, format!("view {view} cannot be staged: {error}"))
            .help(format!("write the SELECT of {view} with an alias for its source"))
            .into()
    })
}

fn unstaged(view: &GraphView, failure: Failure) -> Error {
    let Failure { message, .. } = &failure;
    let GraphView { name, source, .. } = view;
    // What is missing is reported with the grant.
    if !failure.is_refusal() || failure.code() == Some(Code::ACCESS_DENIED) {
        return failure.into();
    }
    Report::new(Kind::Usage, format!("view {name} cannot be staged: {message}"))
        .help(format!(
            "if an INSERT into {source} fails with this too, mend the view (ALTER TABLE {name} MODIFY \
             QUERY …) or drop it; else detach it for the time of the load, and fill its target afterwards"
        ))
        .into()
}

/// What becomes of the columns that a view gives and its target does not take.
async fn surplus(server: &Server, view: &GraphView) -> Result<Vec<String>, Error> {
    let given = types_of(server, &format!("({})", firing_select(&view.select)), &[]).await?;
    let target = columns(server, &view.target).await?;
    let kind = |name: &str| {
        let found = target.iter().find(|column| column.name == *name);
        found.map(|column| column.default_kind.as_str())
    };
    let of = |wanted: fn(Option<&str>) -> bool| {
        let names = given.iter().map(|(name, _)| name.as_str()).filter(|name| wanted(kind(name)));
        names.collect::<Vec<_>>().join(", ")
    };
    let GraphView { name, target, .. } = view;
    let lost = of(|kind| kind.is_none_or(|kind| kind == "ALIAS"));
    let set = of(|kind| kind == Some("MATERIALIZED"));
    let mut notes = Vec::new();
    if !lost.is_empty() {
        notes.push(format!(
            "{name} gives columns that {target} does not store: {lost}; they are left out, as the \
             server leaves them out of an INSERT"
        ));
    }
    if !set.is_empty() {
        notes.push(format!(
            "{name} fills MATERIALIZED columns of {target}: {set}; the values of the view are kept, \
             as the server keeps them in an INSERT"
        ));
    }
    Ok(notes)
}

/// Each clone fires on its twin.
async fn check(server: &Server, graph: &Graph, names: &StagingNames) -> Result<(), Error> {
    let twins: Vec<_> = (0..graph.tables.len()).map(|at| names.table(graph, at)).collect();
    for (twin, fires) in dependents(server, &twins).await? {
        let position = twins.iter().position(|name| *name == twin).unwrap_or_default();
        let expected =
            graph.views.iter().filter(|view| view.source == graph.tables[position].name).count();
        if fires.len() != expected {
            let message = format!(
                "{} views fire on {}, but {} of their clones fire on its staging twin",
                expected,
                graph.tables[position].name,
                fires.len()
            );
            return Err(Report::new(Kind::Usage, message).into());
        }
    }
    Ok(())
}

async fn drop_all(server: &Server, graph: &Graph, names: &StagingNames) -> Result<(), Failure> {
    let views = (0..graph.views.len()).map(|at| (sql::DROP_VIEW, names.view(graph, at)));
    let tables = (0..graph.tables.len()).map(|at| (sql::DROP_TABLE, names.table(graph, at)));
    for (statement, name) in views.chain(tables) {
        retry_idempotent(|| {
            server
                .call(statement)
                .name("database", &name.database)
                .name("table", &name.table)
                .execute()
        })
        .await?;
    }
    Ok(())
}
