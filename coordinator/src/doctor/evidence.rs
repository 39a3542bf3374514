//! Tasks that were about to move rows, and no receipt says how that ended: their staging tables are
//! evidence, whatever the task table says of them.

use std::collections::HashSet;

use longshore_shared::ledger;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::task::{Job, TaskId};

use crate::session::Session;
use crate::ui::error::Error;

/// Those of a job, on the server of each of its tasks.
pub(crate) async fn of_job(session: &Session, job: &Job) -> Result<HashSet<TaskId>, Error> {
    let mut found = HashSet::new();
    if planted(Bug::SweepEvidence) {
        return Ok(found);
    }
    for (_, server) in session.reach_all(job).await? {
        found.extend(ledger::unsettled_tasks(&server, &job.id).await?);
    }
    Ok(found)
}
