//! Rows that receipts name and tables do not hold any more: what a power loss took.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::ledger::{self, Loss};
use longshore_shared::sql;
use longshore_shared::task::{Job, JobSpec, JobState, Mode};
use serde::Deserialize;

use super::Finding;
use crate::session::Session;
use crate::ui::error::Error;
use crate::ui::text;

const CHECK: &str = "losses";
const RECOVERY: &str = "what to do: docs/recovery.md, The closing audit failed a job";

#[derive(Deserialize, Row)]
#[allow(dead_code, reason = "columns of the answer")]
struct Received {
    task_id: String,
    rows_read: u64,
    targets: Vec<(String, u64)>,
}

#[derive(Deserialize, Row)]
struct Started {
    started_ms: i64,
}

/// Looks on every server of a job that was submitted.
pub(crate) async fn of_job(session: &Session, job: &Job) -> Result<Vec<Finding>, Error> {
    if matches!(job.state, JobState::Planning | JobState::Planned | JobState::Deleting) {
        return Ok(Vec::new());
    }
    let (mut found, mut received) = (Vec::new(), 0);
    for (shard, server) in session.reach_all(job).await? {
        let spec = if job.spec.is_sharded() { job.spec.on(shard) } else { job.spec.clone() };
        let lost = ledger::lost(&server, &job.id, &spec).await?;
        found.extend(lost.into_iter().map(told));
        found.extend(unproved(&server, job, &spec).await?);
        if job.state == JobState::Completed {
            found.extend(exchanged(&server, &spec).await?);
            received += receipts(&server, job).await?;
        }
    }
    let tasks = u64::from(job.tasks);
    if job.state == JobState::Completed && received < tasks {
        let missing = text::plural(tasks - received, "task");
        let message = format!("{missing} of the completed job have no receipt in force any more");
        found.push(Finding::problem(CHECK, message, RECOVERY));
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "its tables hold every part that its receipts name"));
    }
    Ok(found)
}

fn told(loss: Loss) -> Finding {
    if loss.is_certain {
        return Finding::problem(CHECK, loss.words, RECOVERY);
    }
    let remedy = format!(
        "its TTL or its engine may have emptied and removed them, or the server has made a broken part again from \
         those that it was merged from: both look the same. If the server lost its power, {RECOVERY}"
    );
    Finding::warning(CHECK, loss.words, remedy)
}

async fn receipts(server: &Server, job: &Job) -> Result<u64, Error> {
    let call = || server.call(sql::AUDIT_RECEIPTS).name("control", server.control());
    let rows: Vec<Received> = retry_idempotent(|| call().param("job", &job.id).fetch_all()).await?;
    Ok(rows.len() as u64)
}

/// Somebody may have exchanged it again since.
async fn exchanged(server: &Server, spec: &JobSpec) -> Result<Vec<Finding>, Error> {
    let found = ledger::not_exchanged(server, spec).await?;
    let remedy = format!("if nobody has changed it on purpose, {RECOVERY}");
    Ok(found.into_iter().map(|words| Finding::warning(CHECK, words, remedy.clone())).collect())
}

/// Rows without an identity: a direct load, or partitions that were replaced.
async fn unproved(server: &Server, job: &Job, spec: &JobSpec) -> Result<Option<Finding>, Error> {
    let is_direct = spec.mode == Mode::Direct;
    let is_replaced = spec.publish.mode == longshore_shared::task::PublishMode::Replace;
    if spec.durable || !(is_direct || is_replaced) {
        return Ok(None);
    }
    let Started { started_ms } =
        retry_idempotent(|| server.call(sql::SERVER_STARTED).fetch_one()).await?;
    if started_ms < job.submitted_ms {
        return Ok(None);
    }
    let what = if is_direct { "a direct load" } else { "partitions that were replaced" };
    let message = format!(
        "the server was started again after this job was submitted, and nothing tells whether rows of {what} are \
         still there"
    );
    let remedy = "if it lost its power, count the rows of the target; --durable prevents it";
    Ok(Some(Finding::warning(CHECK, message, remedy)))
}
