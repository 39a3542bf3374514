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
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::AttemptError;

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
    /// Since when it has answered every time.
    pub(crate) since: Instant,
    /// Ends when the server is away. Never of the worker's own: that ends the lease.
    pub(crate) gone: CancellationToken,
}

impl Endpoint {
    /// Whoever answers must be the server that was looked at first. `answered` is who did, when an
    /// answer said so.
    pub(crate) async fn check(&self, answered: Option<&str>) -> Result<(), AttemptError> {
        let asked = match answered {
            Some(uuid) => uuid.to_owned(),
            None => self.server.facts().await?.server_uuid,
        };
        if asked == self.facts.server_uuid || planted(Bug::TrustAddress) {
            return Ok(());
        }
        self.gone.cancel();
        Err(AttemptError::AnotherServer(self.url.clone()))
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
    pub(crate) fn ready(self: &Arc<Self>, url: &str, uuid: Option<&str>) -> Option<Endpoint> {
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
        while let Some(facts) = self.await_answer(&server, uuid.as_deref()).await {
            let gone = CancellationToken::new();
            let url = url.clone();
            let since = Instant::now();
            let endpoint = Endpoint { server: server.clone(), facts, url, since, gone };
            tracing::info!(url = endpoint.url, "this server answers");
            self.set(&endpoint.url, Some(endpoint.clone()));
            self.stay(&endpoint).await;
            self.set(&endpoint.url, None);
        }
    }

    /// Asks until the server answers; nothing when nobody wants it any more.
    async fn await_answer(&self, server: &Server, uuid: Option<&str>) -> Option<ServerFacts> {
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

    /// After a failure: does another server answer at the address? One that does not answer is none.
    pub(crate) async fn another_at(&self, endpoint: &Endpoint) -> Option<AttemptError> {
        match timeout(self.patience / 3, endpoint.check(None)).await {
            Ok(Err(other @ AttemptError::AnotherServer(_))) => Some(other),
            _ => None,
        }
    }

    /// After a failure: is the server still there? When not, nothing more is claimed for it.
    pub(crate) async fn has_left(&self, endpoint: &Endpoint) -> bool {
        let answer = timeout(self.patience / 3, endpoint.server.facts());
        if !endpoint.gone.is_cancelled() && !matches!(answer.await, Ok(Ok(_))) {
            self.leave(endpoint);
        }
        endpoint.gone.is_cancelled()
    }
}
