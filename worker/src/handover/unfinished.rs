//! Changes that a target has accepted and not finished: a swap would undo them for good.

use longshore_shared::clickhouse::Server;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::changes;
use longshore_shared::task::TableName;

use crate::error::AttemptError;

/// Refuses to take the place of a table, or of a partition of it, while a mutation is in its queue or
/// lightweight updates are not applied: the shadow does not have what they change.
pub(crate) async fn refuse(server: &Server, target: &TableName) -> Result<(), AttemptError> {
    if planted(Bug::SkipUnfinished) {
        return Ok(());
    }
    match changes(server, target).await?.unfinished() {
        None => Ok(()),
        Some(unfinished) => Err(AttemptError::Unfinished(format!(
            "{}. What is loaded does not have it, so nothing more is published: {}; then resume the job",
            unfinished.message, unfinished.help
        ))),
    }
}
