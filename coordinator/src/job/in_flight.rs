//! What of a job is in flight: in whose hands its tasks are, and what the server still runs of it.

use std::collections::{HashMap, HashSet};

use clickhouse::Row;
use longshore_shared::clickhouse::retry_idempotent;
use longshore_shared::sql;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Job, StateName};
use serde::{Deserialize, Serialize};

use crate::census::find_tasks;
use crate::local::dead_workers;
use crate::reach::shards;
use crate::session::{PROBE_MAX, Session};
use crate::ui::error::Error;
use crate::ui::{report, text};

/// Tasks in flight that are told one by one.
const TASKS_MAX: usize = 1_000;

/// A task in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct InFlight {
    pub(crate) task_id: String,
    pub(crate) state: StateName,
    pub(crate) worker: String,
    /// Its worker still beats.
    pub(crate) alive: bool,
    /// Statements of it that the server runs now, by query id.
    pub(crate) queries: Vec<String>,
}

#[derive(Deserialize, Row)]
struct Running {
    query_id: String,
    #[allow(dead_code, reason = "a column of the statement")]
    user: String,
    #[allow(dead_code, reason = "a column of the statement")]
    elapsed: f64,
    #[allow(dead_code, reason = "a column of the statement")]
    read_rows: u64,
    #[allow(dead_code, reason = "a column of the statement")]
    written_rows: u64,
}

/// Everything in flight. Workers of this machine that are gone are signed off first, so that their
/// tasks are taken over at once.
pub(crate) async fn read_all(session: &Session, job: &Job) -> Result<Vec<InFlight>, Error> {
    dead_workers::sign_off(&session.store).await?;
    let owned = [StateName::Claimed, StateName::Publishing];
    let tasks = find_tasks(&session.store, job, &owned, TASKS_MAX).await?;
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let workers: HashMap<_, _> = session
        .store
        .workers()
        .await?
        .into_iter()
        .map(|worker| (worker.id.clone(), !worker.has_lapsed()))
        .collect();
    let prefix = format!("{}-", job.id);
    let mut running: Vec<Running> = Vec::new();
    let of_tasks: HashSet<usize> = tasks.iter().map(|task| job.spec.shard(&task.id)).collect();
    for (_, task) in shards(job).filter(|(shard, _)| of_tasks.contains(shard)) {
        // What runs is shown and decides nothing: a server that is away does not stop the command.
        match session.reach_within(job, &task, PROBE_MAX).await {
            Ok(server) => running.extend(
                retry_idempotent(|| {
                    server
                        .call(sql::LIST_OWN_QUERIES)
                        .param("prefix", &prefix)
                        .fetch_all::<Running>()
                })
                .await?,
            ),
            Err(error) => {
                let words = report::of(&error, Some(&session.config)).message;
                tracing::warn!("the statements that still run there are not shown: {words}");
            }
        }
    }
    let in_flight = tasks.into_iter().map(|task| {
        let prefix = task.id.query_prefix();
        let own = running.iter().filter(|query| query.query_id.starts_with(&prefix));
        InFlight {
            task_id: task.id.to_string(),
            state: task.state,
            alive: workers.get(&task.worker).copied().unwrap_or(false),
            worker: task.worker.0,
            queries: own.map(|query| query.query_id.clone()).collect(),
        }
    });
    Ok(in_flight.collect())
}

/// In words, for people; nothing when nothing is in flight.
pub(crate) fn words(in_flight: &[InFlight]) -> Option<String> {
    if in_flight.is_empty() {
        return None;
    }
    let count = |alive| in_flight.iter().filter(|task| task.alive == alive).count() as u64;
    let mut parts = Vec::new();
    if count(true) > 0 {
        parts.push(format!("{} in the hands of live workers", text::count(count(true))));
    }
    if count(false) > 0 {
        let queries: usize =
            in_flight.iter().filter(|task| !task.alive).map(|task| task.queries.len()).sum();
        let still = match queries {
            0 => String::new(),
            _ => format!(
                " ({} of theirs still run on the server)",
                text::plural(queries as u64, "statement")
            ),
        };
        parts.push(format!(
            "{} of workers that are gone{still}: taken over by the next free worker",
            text::count(count(false))
        ));
    }
    let sum = text::plural(in_flight.len() as u64, "task");
    Some(format!("In flight: {sum}, {}.", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_in_whose_hands_tasks_are() {
        let task = |alive, queries: &[&str]| InFlight {
            task_id: "0123456789abcdef-0000001".into(),
            state: StateName::Claimed,
            worker: "a".into(),
            alive,
            queries: queries.iter().map(|id| (*id).to_owned()).collect(),
        };
        assert_eq!(words(&[]), None);
        insta::assert_snapshot!(
            words(&[task(true, &[]), task(false, &["q"]), task(false, &[])]).unwrap(),
            @"In flight: 3 tasks, 1 in the hands of live workers, 2 of workers that are gone (1 statement of theirs still run on the server): taken over by the next free worker."
        );
    }
}
