//! A command's way to the server: opened once, checked once.

use std::collections::HashMap;
use std::time::Duration;

use longshore_shared::clickhouse::{Connection, Server};
use longshore_shared::config::Config;
use longshore_shared::store::{KeeperMapStore, TaskStore, environment};
use longshore_shared::task::{Job, JobId, JobServer};
use tokio::sync::Mutex;

use crate::ui::error::{Error, Kind, Report};
use crate::ui::report;

/// A person waits for the first answer; a firewall that swallows packets gives none.
pub(crate) const FIRST_ANSWER_MAX: Duration = Duration::from_secs(15);
/// A statement that needs no Keeper takes milliseconds.
pub(crate) const PROBE_MAX: Duration = Duration::from_secs(3);
/// Shorter beginnings of a job id match by accident.
const PREFIX_CHARS_MIN: usize = 4;

/// A server whose control tables this program can use.
pub(crate) struct Session {
    pub(crate) server: Server,
    pub(crate) store: KeeperMapStore,
    /// Identity of the environment: plans made for another one are refused.
    pub(crate) environment: String,
    /// The settings that it was opened with.
    pub(crate) config: Config,
    /// Other servers that were seen to be those of a plan, by address and UUID.
    pub(crate) reached: Mutex<HashMap<(String, String), Server>>,
}

impl Session {
    /// Opens the server and checks the control tables.
    pub(crate) async fn open(config: &Config) -> Result<Self, Error> {
        let server = Server::new(config.connection.clone())?;
        let environment =
            bounded(config, &server, FIRST_ANSWER_MAX, environment(&server)).await??;
        Ok(Self::of(server, environment, config))
    }

    fn of(server: Server, environment: String, config: &Config) -> Self {
        let store = KeeperMapStore::new(server.clone());
        Self { server, store, environment, config: config.clone(), reached: Mutex::default() }
    }

    /// This server, as a plan names it.
    pub(crate) async fn home(&self) -> Result<JobServer, Error> {
        let facts = self.server.facts().await?;
        let url = self.server.connection().url.clone();
        Ok(JobServer { url, uuid: facts.server_uuid, graph: None })
    }

    /// Opens a server of a plan as the user of this one; nothing is sent yet.
    pub(crate) fn open_planned(&self, planned: &JobServer) -> Result<Server, Error> {
        let url = planned.url.clone();
        Ok(Server::new(Connection { url, ..self.server.connection().clone() })?)
    }

    /// This session on each further server that a job names; addresses of those that are away.
    pub(crate) async fn elsewhere(&self) -> Result<(Vec<Self>, Vec<String>), Error> {
        self.servers_beside(&self.store.jobs().await?).await
    }

    /// The same for some jobs.
    pub(crate) async fn servers_beside(
        &self,
        jobs: &[Job],
    ) -> Result<(Vec<Self>, Vec<String>), Error> {
        let home = self.home().await?;
        let mut seen = vec![home.uuid];
        let (mut found, mut away) = (Vec::new(), Vec::new());
        for job in jobs {
            for planned in &job.spec.servers {
                if seen.contains(&planned.uuid) {
                    continue;
                }
                seen.push(planned.uuid.clone());
                let server = self.open_planned(planned)?;
                match tokio::time::timeout(PROBE_MAX, server.facts()).await {
                    Ok(Ok(facts)) if facts.server_uuid == planned.uuid => {
                        found.push(Self::of(server, self.environment.clone(), &self.config));
                    }
                    _ => away.push(planned.url.clone()),
                }
            }
        }
        Ok((found, away))
    }

    /// A job by its id, or by a beginning of it that fits no other.
    pub(crate) async fn job(&self, text: &str) -> Result<Job, Error> {
        if let Ok(id) = text.parse::<JobId>() {
            let job = self.store.job(&id).await?;
            return job.ok_or_else(|| no_job(text).into());
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() < PREFIX_CHARS_MIN || !is_hex {
            let message = format!("`{text}` is not a job id");
            let help =
                "a job id has 16 hex digits, its first four or more will do: longshore status";
            return Err(Report::new(Kind::Usage, message).help(help).into());
        }
        let mut jobs = self.store.jobs().await?;
        jobs.retain(|job| job.id.as_str().starts_with(text));
        match jobs.len() {
            0 => Err(no_job(text).into()),
            1 => Ok(jobs.swap_remove(0)),
            _ => {
                let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
                let message = format!("several jobs begin with {text}: {}", ids.join(", "));
                Err(Report::new(Kind::Usage, message).into())
            }
        }
    }
}

/// Waits for an answer, but not for ever, and tells who keeps silent: the server, or its Keeper.
pub(crate) async fn bounded<T>(
    config: &Config,
    server: &Server,
    longest: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Error> {
    if let Ok(answer) = tokio::time::timeout(longest, answer).await {
        return Ok(answer);
    }
    let url = &config.connection.url;
    let seconds = longest.as_secs();
    let report = match tokio::time::timeout(PROBE_MAX, server.facts()).await {
        Ok(Ok(_)) => {
            let message =
                format!("ClickHouse at {url} answers, but has waited {seconds} s for Keeper");
            Report::new(Kind::Unreachable, message).help(report::KEEPER_HELP)
        }
        Ok(Err(failure)) => return Err(failure.into()),
        Err(_) => {
            Report::new(Kind::Unreachable, format!("no answer from {url} within {seconds} s"))
                .help(report::reach_help(config))
        }
    };
    Err(report.into())
}

fn no_job(text: &str) -> Report {
    Report::new(Kind::Usage, format!("there is no job {text}"))
        .help("`longshore status` lists all jobs and plans")
}
