//! Changes that a table has accepted and not finished: what is read of it is the state before them.

use longshore_shared::clickhouse::Server;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::{Changes, changes};
use longshore_shared::task::TableName;

use crate::ui::error::{Error, Kind, Report};

/// Refuses a table that is read, or that is to be exchanged or replaced, while a mutation of it is
/// in the queue or lightweight updates are not applied: the plan would undo them. Returns the changes
/// that are finished.
pub(crate) async fn refuse_unfinished(
    server: &Server,
    table: &TableName,
) -> Result<Changes, Error> {
    let found = changes(server, table).await?;
    match found.unfinished().filter(|_| !planted(Bug::SkipUnfinished)) {
        None => Ok(found),
        Some(unfinished) => {
            let message = format!(
                "{}. What is read now is the state before it, and the plan would bring that back",
                unfinished.message
            );
            Err(Report::new(Kind::Conflict, message)
                .help(format!("{}; then plan again", unfinished.help))
                .into())
        }
    }
}
