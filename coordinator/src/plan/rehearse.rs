//! Makes and drops one staging set without rows: what cannot be staged is refused at plan time.

use longshore_shared::clickhouse::{Failure, Server, read};
use longshore_shared::schema::{Graph, StagingNames, create_statements, dependents};
use longshore_shared::sql;
use uuid::Uuid;

use crate::exit::{Error, Kind, Report};

/// Makes the staging set of the graph, checks that its clones fire on its twins, and drops it.
pub(crate) async fn rehearse(server: &Server, graph: &Graph) -> Result<(), Error> {
    let mark = Uuid::new_v4().simple().to_string();
    let names = StagingNames::rehearsal(server.staging(), &mark[..12]);
    let outcome = make(server, graph, &names).await;
    let dropped = drop_all(server, graph, &names).await;
    outcome?;
    dropped?;
    Ok(())
}

async fn make(server: &Server, graph: &Graph, names: &StagingNames) -> Result<(), Error> {
    let statements = create_statements(graph, names).map_err(|(view, error)| {
        Report::new(Kind::Usage, format!("view {view} cannot be staged: {error}"))
            .help(format!("write the SELECT of {view} with an alias for its source"))
    })?;
    for (step, statement) in statements.into_iter().enumerate() {
        let made = server.call_text("rehearse", statement).execute().await;
        if let (Err(failure), Some(view)) = (&made, step.checked_sub(graph.tables.len())) {
            let message =
                format!("view {} cannot be staged: {}", graph.views[view].name, failure.message);
            return Err(Report::new(Kind::Usage, message).into());
        }
        made?;
    }
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
        read(|| {
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
