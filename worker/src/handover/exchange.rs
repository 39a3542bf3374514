//! EXCHANGE of a target with its shadow, and the name under which the old table is kept.

use longshore_shared::clickhouse::{policy, task_delay};
use longshore_shared::faults;
use longshore_shared::schema::table_now;
use longshore_shared::sql;
use longshore_shared::task::{Handover, TableName, kept_name};

use super::shadows::{find, rename, shadow_of};
use super::{late_rows, preflight, unfinished};
use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Exchanges, then gives the old table the name under which it is kept. Every turn looks first.
pub(crate) async fn exchange(
    worker: &Worker,
    claim: &Claim,
    handover: &Handover,
    step: &mut usize,
) -> Result<(), AttemptError> {
    let job = claim.job.id.clone();
    let shadow = shadow_of(claim, handover);
    let kept = kept_name(&handover.target, &job);
    loop {
        worker.lease.check()?;
        *step += 1;
        let found = find(&claim.server, handover).await?;
        let new = found.iter().find(|found| found.is_shadow).map(|found| &found.name);
        let old = found.iter().find(|found| !found.is_shadow).map(|found| &found.name);
        if new == Some(&handover.target) {
            match old {
                Some(name) if *name == shadow => {
                    worker.edge(faults::KEEP_BEFORE).await?;
                    rename(claim, &shadow, &kept, &format!("keep-{step}")).await?;
                    worker.edge(faults::KEEP_AFTER).await?;
                    continue;
                }
                Some(name) if *name != kept => claim.remark(format!("the old table is {name}")),
                Some(_) => {}
                None => claim.remark("the old table was dropped by somebody".to_owned()),
            }
            return late_rows::after(claim, handover, old).await;
        }
        if old != Some(&handover.target) {
            return Err(AttemptError::Unprovable(format!(
                "{} {} after the plan was made",
                handover.target,
                if table_now(&claim.server, &handover.target).await?.is_some() {
                    "was replaced by another table"
                } else {
                    "is gone"
                }
            )));
        }
        match new {
            Some(name) if *name == shadow => {
                worker.edge(faults::EXCHANGE_BEFORE).await?;
                unfinished::refuse(&claim.server, &handover.target).await?;
                preflight::refuse_lost(claim, handover, &shadow).await?;
                worker.lease.check()?;
                send_exchange(claim, handover, &shadow, *step).await?;
                worker.edge(faults::EXCHANGE_AFTER).await?;
            }
            // A power cut took back the exchange and not the rename that followed.
            Some(name) if *name == kept => {
                rename(claim, &kept, &shadow, &format!("back-{step}")).await?;
            }
            _ => {
                return Err(AttemptError::Unprovable(format!(
                    "the shadow of {} with all rows of the job is gone: {shadow}",
                    handover.target
                )));
            }
        }
    }
}

/// Sends one EXCHANGE. Whatever else than OK it answers: it may act later, and a second one would
/// swap back, so the task goes on in a new epoch, behind a rename of the shadow.
async fn send_exchange(
    claim: &Claim,
    handover: &Handover,
    shadow: &TableName,
    step: usize,
) -> Result<(), AttemptError> {
    let id = claim.task.id.query(claim.epoch(), format_args!("exchange-{step}"));
    let answer = claim
        .server
        .call(sql::EXCHANGE_TABLES)
        .name("database", &handover.target.database)
        .name("target", &handover.target.table)
        .name("shadow_database", &shadow.database)
        .name("shadow", &shadow.table)
        .id(&id)
        .execute()
        .await;
    let Err(failure) = answer else { return Ok(()) };
    if !failure.is_unknown() && policy(&failure).needs_operator() {
        return Err(failure.into());
    }
    tracing::warn!(error = %failure, "an exchange gave no result");
    tokio::time::sleep(task_delay(1)).await;
    Err(AttemptError::Unsettled)
}
