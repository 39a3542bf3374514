//! A view of a replay as a feed of the job, and what the user should know of the whole.

use longshore_shared::clickhouse::{Server, read};
use longshore_shared::schema::{
    ChoiceError, Chosen, GraphView, columns, firing_select, identities,
};
use longshore_shared::task::{Feed, FeedView, TableName};

use crate::exit::{Error, Kind, Report};
use crate::plan::{ColumnChoice, decide_table};

impl From<ChoiceError> for Error {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::Graph(error) => error.into(),
            other => Report::new(Kind::Usage, other.to_string()).into(),
        }
    }
}

/// The feed of a view: its query over its source, its columns by name.
pub(crate) async fn feed(
    server: &Server,
    view: &GraphView,
    notes: &mut Vec<String>,
) -> Result<Feed, Error> {
    let found = identities(server, std::slice::from_ref(&view.source)).await?.pop();
    let Some((_, uuid)) = found else {
        let message = format!("there is no table {}, which {} reads", view.source, view.name);
        return Err(Report::new(Kind::Usage, message).into());
    };
    let select = firing_select(&view.select);
    if select != view.select {
        notes.push(format!(
            "of the UNION ALL of {} only the first SELECT runs, as it does when rows are inserted",
            view.name
        ));
    }
    let target = columns(server, &view.target).await?;
    let from = format!("({select})");
    let schema = decide_table(server, &target, &ColumnChoice::default(), &from).await;
    let schema = schema.map_err(|error| of_view(error, view))?;
    notes.extend(schema.notes.into_iter().map(|note| format!("{}: {note}", view.name)));
    Ok(Feed {
        table: view.source.clone(),
        uuid: Some(uuid),
        origin: view.source.clone(),
        is_snapshot: false,
        remote: None,
        key: Vec::new(),
        view: Some(FeedView {
            name: view.name.clone(),
            defined: view.select.clone(),
            select,
            columns: schema.columns,
            target: view.target.clone(),
        }),
        window: None,
    })
}

/// The flags that a message about columns names are not those of a replay.
fn of_view(error: Error, view: &GraphView) -> Error {
    let Error::Report(report) = error else { return error };
    Report::new(report.kind, format!("{}: {}", view.name, report.message))
        .help(format!("make the columns of {} and of the view the same", view.target))
        .into()
}

/// What the user should know before the replay runs.
pub(crate) async fn notes(server: &Server, chosen: &Chosen) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for table in &chosen.graph.tables {
        let rows = rows_of(server, &table.name).await?;
        if rows > 0 {
            notes.push(format!(
                "{} holds {} already, and the replay adds to them; what the view wrote of the same source rows would be there twice",
                table.name,
                crate::text::plural(rows, "row")
            ));
        }
    }
    for (view, table) in &chosen.left_out {
        notes.push(format!(
            "{view} fires on {table} and is left out: what it writes is not filled (--cascade takes it in)"
        ));
    }
    for (view, table) in &chosen.other_writers {
        notes.push(format!("{view} writes to {table} too and is not replayed"));
    }
    Ok(notes)
}

#[derive(serde::Deserialize, clickhouse::Row)]
struct Rows {
    rows: u64,
}

async fn rows_of(server: &Server, table: &TableName) -> Result<u64, Error> {
    let call = || {
        server
            .call_text(
                "count_parts_rows",
                "SELECT sum(rows) AS rows FROM system.parts WHERE active AND database = {database:String} AND table = {table:String}".to_owned(),
            )
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let found: Rows = read(|| call().fetch_one()).await?;
    Ok(found.rows)
}
