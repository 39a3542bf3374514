//! The servers of jobs that load into several: opened once, and left alone while they are away.
//!
//! A worker keeps its lease through its own server, so another one that hangs or is gone must not
//! hold up more than its own tasks. Each is watched: one that has not answered for a lease is away,
//! what is in hand there is let go, and nothing of it is claimed until it answers again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_shared::clickhouse::{Connection, Server, ServerFacts};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::task::{Job, JobServer, Owner, Place, StateName, Task, TaskEvent, TaskId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::claim::Claim;
use crate::context::Worker;
use crate::trouble::{Remedy, Trouble};

/// Longest pause between two looks for a server that is away.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(10);
/// A server that is away is forgotten when nobody wanted it for so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// A server that answered.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) server: Server,
    pub(crate) facts: ServerFacts,
    /// As the plan writes it: this stands in the task row.
    pub(crate) url: String,
    /// Ends when the server is away. Never of the worker's own: that ends the lease.
    pub(crate) gone: CancellationToken,
}

impl Endpoint {
    /// Whoever answers must be the server that was looked at first. `answered` is who did, when an
    /// answer said so.
    pub(crate) async fn check(&self, answered: Option<&str>) -> Result<(), Trouble> {
        let asked = match answered {
            Some(uuid) => uuid.to_owned(),
            None => self.server.facts().await?.server_uuid,
        };
        if asked == self.facts.server_uuid || planted(Bug::TrustAddress) {
            return Ok(());
        }
        self.gone.cancel();
        Err(Trouble::AnotherServer(self.url.clone()))
    }
}

struct Known {
    wanted: Instant,
    ready: Option<Endpoint>,
}

/// All servers but the worker's own.
pub(crate) struct Endpoints {
    home: Connection,
    /// Without an answer for so long a server is away.
    patience: Duration,
    known: Mutex<HashMap<String, Known>>,
}

impl Endpoints {
    pub(crate) fn new(home: Connection, patience: Duration) -> Arc<Self> {
        Arc::new(Self { home, patience, known: Mutex::default() })
    }

    /// The server at this address, unless it is away. The first time it is only looked for.
    fn ready(self: &Arc<Self>, url: &str, uuid: Option<&str>) -> Option<Endpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(url) {
            known.wanted = Instant::now();
            return known.ready.clone();
        }
        known.insert(url.to_owned(), Known { wanted: Instant::now(), ready: None });
        let watch = Arc::clone(self).watch(url.to_owned(), uuid.map(str::to_owned));
        tokio::spawn(watch);
        None
    }

    /// Looks for a server, and looks after it, until nobody wants it any more.
    async fn watch(self: Arc<Self>, url: String, uuid: Option<String>) {
        let connection = Connection { url: url.clone(), ..self.home.clone() };
        let server = match Server::new(connection) {
            Ok(server) => server,
            Err(error) => return tracing::error!(%error, url, "this server cannot be opened"),
        };
        while let Some(facts) = self.look(&server, uuid.as_deref()).await {
            let gone = CancellationToken::new();
            let url = url.clone();
            let endpoint = Endpoint { server: server.clone(), facts, url, gone };
            tracing::info!(url = endpoint.url, "this server answers");
            self.set(&endpoint.url, Some(endpoint.clone()));
            self.stay(&endpoint).await;
            self.set(&endpoint.url, None);
        }
    }

    /// Asks until the server answers; nothing when nobody wants it any more.
    async fn look(&self, server: &Server, uuid: Option<&str>) -> Option<ServerFacts> {
        let url = &server.connection().url;
        let mut pause = (self.patience / 10).min(LOOK_PAUSE_MAX);
        let mut told = String::new();
        loop {
            let words = match timeout(self.patience, server.facts()).await {
                Ok(Ok(facts)) if uuid.is_none_or(|uuid| uuid == facts.server_uuid) => {
                    return Some(facts);
                }
                Ok(Ok(_)) => "another server answers at the address of a job's server".to_owned(),
                Ok(Err(failure)) => failure.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if told != words {
                tracing::warn!(url, "a server of a job is away, its tasks wait: {words}");
                told = words;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LOOK_PAUSE_MAX);
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.get(url).is_none_or(|known| known.wanted.elapsed() > FORGET_AFTER) {
                known.remove(url);
                return None;
            }
        }
    }

    /// Ends when the server is away.
    async fn stay(&self, endpoint: &Endpoint) {
        let mut answered = Instant::now();
        while !endpoint.gone.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(self.patience / 3) => {}
                // A step has met another server at the address.
                () = endpoint.gone.cancelled() => break,
            }
            let asked = Instant::now();
            let answer = timeout(self.patience / 3, endpoint.server.facts()).await;
            let is_same = |uuid: &str| *uuid == endpoint.facts.server_uuid;
            if let Ok(Ok(facts)) = answer {
                if is_same(&facts.server_uuid) || planted(Bug::TrustAddress) {
                    answered = asked;
                } else {
                    self.leave(endpoint);
                }
            } else if answered.elapsed() > self.patience {
                self.leave(endpoint);
            }
        }
    }

    fn leave(&self, endpoint: &Endpoint) {
        endpoint.gone.cancel();
        self.set(&endpoint.url, None);
    }

    fn set(&self, url: &str, ready: Option<Endpoint>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(url) {
            known.ready = ready;
        }
    }

    /// After a failure: is the server still there? When not, nothing more is claimed for it.
    async fn has_left(&self, endpoint: &Endpoint) -> bool {
        let answer = timeout(self.patience / 3, endpoint.server.facts());
        if !endpoint.gone.is_cancelled() && !matches!(answer.await, Ok(Ok(_))) {
            self.leave(endpoint);
        }
        endpoint.gone.is_cancelled()
    }
}

impl Worker {
    fn home(&self, url: &str) -> Endpoint {
        let url = url.to_owned();
        let (server, facts) = (self.server.clone(), self.facts.clone());
        Endpoint { server, facts, url, gone: CancellationToken::new() }
    }

    /// Where a task is to be worked on; nothing while that server is away, or when it is not ours.
    pub(crate) fn endpoint(&self, job: &Job, task: &Task) -> Option<Endpoint> {
        let own = &self.server.connection().url;
        match job.spec.place(&task.id, &self.facts.server_uuid) {
            Place::Home if job.spec.is_sharded() => {
                Some(self.home(job.spec.server(&task.id).map_or(own, |server| &server.url)))
            }
            Place::Home => Some(self.home(own)),
            Place::On(JobServer { url, uuid, .. }) => self.endpoints.ready(url, Some(uuid)),
            Place::Elsewhere(_) => None,
        }
    }

    /// Can this task be worked on at the moment?
    pub(crate) fn reaches(&self, job: &Job, task: &TaskId) -> bool {
        match job.spec.place(task, &self.facts.server_uuid) {
            Place::Home => true,
            Place::On(server) => self.endpoints.ready(&server.url, Some(&server.uuid)).is_some(),
            Place::Elsewhere(_) => false,
        }
    }

    /// Every server of a job; nothing while one of them is away.
    pub(crate) fn all_servers(&self, job: &Job) -> Option<Vec<Server>> {
        if job.spec.servers.is_empty() {
            return Some(vec![self.server.clone()]);
        }
        let server = |server: &JobServer| {
            if server.uuid == self.facts.server_uuid {
                return Some(self.server.clone());
            }
            self.endpoints.ready(&server.url, Some(&server.uuid)).map(|found| found.server)
        };
        job.spec.servers.iter().map(server).collect()
    }
}

impl Claim {
    /// What became of an attempt, when it failed because its server went away, or because another one
    /// answered at its address: that is no fault of the task or of the job.
    pub(crate) async fn judged(&self, worker: &Worker, trouble: Trouble) -> Trouble {
        let counts = matches!(trouble.remedy(), Remedy::PauseJob | Remedy::Fail | Remedy::Retry);
        if counts && let Err(other @ Trouble::AnotherServer(_)) = self.endpoint.check(None).await {
            return other;
        }
        let is_home = self.server.connection().url == worker.server.connection().url;
        let may_be = matches!(trouble, Trouble::Failure(_) | Trouble::Unsettled);
        if is_home || !may_be || !worker.endpoints.has_left(&self.endpoint).await {
            return trouble;
        }
        self.away()
    }

    /// A step on the task's server, given up when that goes away.
    pub(crate) async fn while_there<T>(
        &self,
        step: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        tokio::select! {
            outcome = step => outcome,
            () = self.endpoint.gone.cancelled() => Err(self.away()),
        }
    }

    /// The server of this task is away.
    pub(crate) fn away(&self) -> Trouble {
        let is_loading = self.is_loading.load(std::sync::atomic::Ordering::Relaxed);
        Trouble::Away { url: self.endpoint.url.clone(), is_loading }
    }

    /// Nobody owns a publishing task any more whose server this worker does not reach: another may.
    pub(crate) async fn release(&mut self, worker: &Worker) {
        if self.task.progress.state.name() != StateName::Publishing {
            return;
        }
        let by = Owner { endpoint: self.endpoint.url.clone(), ..Owner::nobody() };
        if let Err(error) = self.advance(worker, &TaskEvent::TakenOver { by, died: false }).await {
            tracing::warn!(%error, "could not let the task go; it is taken over when needed");
        }
    }
}
