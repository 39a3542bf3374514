//! The way to the server of a task: what a command learns of a task on another one would be wrong.
//!
//! Servers of one Keeper show the same jobs and tasks through each of them, but receipts, staging
//! tables and targets are on the server that the task is loaded into.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_shared::clickhouse::Server;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::task::{Job, JobServer, Place, TaskId};
use tokio::time::timeout;

use crate::session::{FIRST_ANSWER_MAX, Session};
use crate::ui::error::{Error, Kind, Report};

impl Session {
    /// The server that a task is loaded into. Refused when it does not answer, or when another one
    /// answers at its address.
    pub(crate) async fn reach(&self, job: &Job, task: &TaskId) -> Result<Server, Error> {
        self.reach_within(job, task, FIRST_ANSWER_MAX).await
    }

    /// The same, with another patience.
    pub(crate) async fn reach_within(
        &self,
        job: &Job,
        task: &TaskId,
        longest: Duration,
    ) -> Result<Server, Error> {
        // A plan of an early version does not name its server.
        if job.spec.servers.is_empty() || planted(Bug::LookAtHome) {
            return Ok(self.server.clone());
        }
        let home = self.home().await?;
        match job.spec.place(task, &home.uuid) {
            Place::Home => Ok(self.server.clone()),
            Place::On(planned) | Place::Elsewhere(planned) => {
                self.reach_planned(planned, longest).await
            }
        }
    }

    /// Every server of a job, with its number. Refused when one cannot be reached.
    pub(crate) async fn reach_all(&self, job: &Job) -> Result<Vec<(usize, Server)>, Error> {
        let mut all = Vec::new();
        for (shard, task) in shards(job) {
            all.push((shard, self.reach(job, &task).await?));
        }
        Ok(all)
    }

    /// Things of tasks, server by server. Refused when one of these servers cannot be reached.
    pub(crate) async fn by_server<T>(
        &self,
        job: &Job,
        things: Vec<T>,
        task: impl Fn(&T) -> &TaskId,
    ) -> Result<Vec<(Server, Vec<T>)>, Error> {
        let mut by_shard: BTreeMap<usize, Vec<T>> = BTreeMap::new();
        for thing in things {
            by_shard.entry(job.spec.shard(task(&thing))).or_default().push(thing);
        }
        let mut found = Vec::with_capacity(by_shard.len());
        for things in by_shard.into_values() {
            found.push((self.reach(job, task(&things[0])).await?, things));
        }
        Ok(found)
    }

    async fn reach_planned(&self, planned: &JobServer, longest: Duration) -> Result<Server, Error> {
        let key = (planned.url.clone(), planned.uuid.clone());
        if let Some(server) = self.reached.lock().await.get(&key) {
            return Ok(server.clone());
        }
        let server = self.open_planned(planned)?;
        let url = &planned.url;
        let refused = |kind, message: String, help: &str| -> Error {
            Report::new(kind, format!("{message}. Nothing was changed")).help(help).into()
        };
        let start = "start that server, then give the same command again";
        match timeout(longest, server.facts()).await {
            Ok(Ok(facts)) if facts.server_uuid == planned.uuid => {}
            Ok(Ok(_)) => {
                let message =
                    format!("another server answers at {url}, where the plan has its tasks loaded");
                let help = "bring that server back under this address; if it has moved, give its new one: --server URL";
                return Err(refused(Kind::Conflict, message, help));
            }
            Ok(Err(failure)) => {
                let message =
                    format!("the server at {url}, which these tasks are loaded into: {failure}");
                return Err(refused(Kind::Unreachable, message, start));
            }
            Err(_) => {
                let seconds = longest.as_secs();
                let message = format!(
                    "the server at {url}, which these tasks are loaded into, gave no answer within {seconds} s"
                );
                return Err(refused(Kind::Unreachable, message, start));
            }
        }
        self.reached.lock().await.insert(key, server.clone());
        Ok(server)
    }
}

/// The servers of a job by number, each with a task of it.
pub(crate) fn shards(job: &Job) -> impl Iterator<Item = (usize, TaskId)> {
    let task = |shard: usize| {
        let ordinal = u32::try_from(shard).unwrap_or(u32::MAX);
        (shard, TaskId { job: job.id.clone(), ordinal })
    };
    (0..job.spec.servers.len().max(1)).map(task)
}
