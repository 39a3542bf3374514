//! What every step of a worker works with.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select_all;
use longshore_shared::clickhouse::{Server, ServerFacts};
use longshore_shared::config::Config;
use longshore_shared::faults::{self, Point};
use longshore_shared::machine::host_name;
use longshore_shared::source::SourceKeys;
use longshore_shared::store::{KeeperMapStore, TaskStore, WorkerRecord};
use longshore_shared::task::{Job, JobId, JobServer, Owner, Place, Task, TaskId, WorkerId};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::crowd::Crowd;
use crate::error::AttemptError;
use crate::lease::Lease;
use crate::servers::{Endpoint, Endpoints};
use crate::waits::governor::Governor;
use crate::waits::outage::Outage;
use crate::waits::replicas::Replicas;

/// A worker and a server that have been well for so long are not in the middle of an outage.
const CALM_MAX: Duration = Duration::from_secs(60);

/// How this worker was started.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Work on this job only.
    pub(crate) job: Option<JobId>,
    /// End when no job is running.
    pub(crate) exit_when_idle: bool,
    /// Shown to people.
    pub(crate) name: String,
    /// File with keys of the store.
    pub(crate) keys_file: Option<PathBuf>,
    /// Workers that one command started together.
    pub(crate) together: Option<u32>,
    /// When a life of this process has lost its lease.
    pub(crate) lost: Arc<Mutex<Option<tokio::time::Instant>>>,
}

/// One life of the worker: from its registration to the loss of its lease or its end.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) server: Server,
    pub(crate) facts: ServerFacts,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) store: KeeperMapStore,
    pub(crate) keys: SourceKeys,
    pub(crate) lease: Lease,
    pub(crate) drain: CancellationToken,
    pub(crate) options: Options,
    pub(crate) slots: u32,
    pub(crate) load_ahead: bool,
    pub(crate) wait_when_busy: bool,
    pub(crate) poll_max: Duration,
    /// Tasks that a slot of this process acts on. A task that names us as its owner and is not in
    /// here was claimed by a write whose answer we gave up on: it is free to take over.
    active: Arc<Mutex<HashSet<TaskId>>>,
    /// What loads beside its own.
    pub(crate) crowd: Crowd,
    /// Loads that run at the same time.
    pub(crate) loads: Semaphore,
    /// Lanes that look for work at the same time.
    pub(crate) looks: Semaphore,
    /// A load is over, or a task.
    pub(crate) moved: Arc<Moved>,
    /// Tasks in hand whose load is not over.
    unloaded: Arc<AtomicU32>,
    /// What its loads wait for.
    pub(crate) outage: Outage,
    /// What its looks for work wait for.
    pub(crate) blind: Outage,
    /// What holds loads back.
    pub(crate) governor: Governor,
    /// Replicas that must have every row before their jobs are completed.
    pub(crate) replicas: Replicas,
    /// What ends the loads in flight of a job.
    stops: Mutex<HashMap<JobId, CancellationToken>>,
}

/// A slot acts on a task for as long as this lives; a panic drops it too.
pub(crate) struct Acting {
    active: Arc<Mutex<HashSet<TaskId>>>,
    task: TaskId,
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.task);
    }
}

/// A task whose load is not over. It fills a slot for as long as this lives.
pub(crate) struct Unloaded {
    tasks: Arc<AtomicU32>,
    moved: Arc<Moved>,
}

/// Tells slots that wait for work that something of this worker has moved on.
#[derive(Default)]
pub(crate) struct Moved {
    waiting: Notify,
    times: AtomicU64,
}

impl Moved {
    pub(crate) fn tell(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.waiting.notify_waiters();
    }

    /// Ends when it is told the next time.
    pub(crate) async fn told(&self) {
        self.waiting.notified().await;
    }

    /// How often it was told.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Drop for Unloaded {
    fn drop(&mut self) {
        self.tasks.fetch_sub(1, Ordering::Relaxed);
        self.moved.tell();
    }
}

impl Worker {
    pub(crate) fn new(
        server: Server,
        facts: ServerFacts,
        keys: SourceKeys,
        (config, slots): (&Config, u32),
        options: Options,
        drain: CancellationToken,
        endpoints: Arc<Endpoints>,
    ) -> Self {
        Self {
            id: WorkerId::fresh(&options.name),
            store: KeeperMapStore::new(server.clone()),
            server,
            facts,
            endpoints,
            keys,
            lease: Lease::new(config.lease),
            drain,
            options,
            slots,
            load_ahead: config.load_ahead,
            wait_when_busy: config.wait_when_busy,
            poll_max: config.poll_max,
            active: Arc::default(),
            crowd: Crowd::new(slots),
            loads: Semaphore::new(slots as usize),
            looks: Semaphore::new(slots as usize),
            moved: Arc::default(),
            unloaded: Arc::default(),
            outage: Outage::default(),
            blind: Outage::default(),
            governor: Governor::default(),
            replicas: Replicas::default(),
            stops: Mutex::default(),
        }
    }

    /// As it registers itself.
    pub(crate) fn record(&self) -> WorkerRecord {
        WorkerRecord {
            id: self.id.clone(),
            lease_ms: u64::try_from(self.lease.ttl().as_millis()).unwrap_or(u64::MAX),
            slots: self.slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host_name(),
            pid: std::process::id(),
            draining: false,
            age_ms: 0,
        }
    }

    /// As the owner of a task whose staging tables are on this server.
    pub(crate) fn owner(&self, url: &str) -> Owner {
        Owner { worker: self.id.clone(), endpoint: url.to_owned() }
    }

    /// Passes an edge of the protocol: the lease must still be trusted there.
    pub(crate) async fn edge(&self, point: Point) -> Result<(), AttemptError> {
        faults::pass(point).await?;
        self.lease.check()
    }

    /// Marks a task as acted on here; none when a slot of this process acts on it already.
    pub(crate) fn begin(&self, task: &TaskId) -> Option<Acting> {
        let is_new =
            self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(task.clone());
        is_new.then(|| Acting { active: Arc::clone(&self.active), task: task.clone() })
    }

    /// Waits until a load may begin; it may go on for as long as what comes back lives.
    pub(crate) async fn slot(
        &self,
        stop: &CancellationToken,
    ) -> Result<SemaphorePermit<'_>, AttemptError> {
        tokio::select! {
            slot = self.loads.acquire() => slot.map_err(|_| AttemptError::Draining),
            () = stop.cancelled() => Err(AttemptError::Draining),
        }
    }

    /// A task was taken that is to be loaded.
    pub(crate) fn unloaded(&self) -> Unloaded {
        self.unloaded.fetch_add(1, Ordering::Relaxed);
        Unloaded { tasks: Arc::clone(&self.unloaded), moved: Arc::clone(&self.moved) }
    }

    /// Tasks in hand whose load is not over.
    pub(crate) fn to_load(&self) -> u32 {
        self.unloaded.load(Ordering::Relaxed)
    }

    /// Are all slots filled? A task that is taken then has to wait until a load is over.
    pub(crate) fn is_full(&self) -> bool {
        self.to_load() >= self.slots
    }

    /// Does a slot of this process act on it?
    pub(crate) fn acts_on(&self, task: &TaskId) -> bool {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).contains(task)
    }

    /// Ends when this worker drains, or when loads of the job in flight are to be given back.
    pub(crate) fn stop_of(&self, job: &JobId) -> CancellationToken {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was used up belongs to a job that goes on again.
        let stop = stops.get(job).filter(|stop| !stop.is_cancelled()).cloned();
        let stop = stop.unwrap_or_else(|| self.drain.child_token());
        stops.insert(job.clone(), stop.clone());
        stop
    }

    /// Gives back the loads in flight of jobs that were cancelled or halted.
    pub(crate) async fn look_after_jobs(&self) -> Result<(), AttemptError> {
        let in_hand: HashSet<JobId> = {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            active.iter().map(|task| task.job.clone()).collect()
        };
        self.stops
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|job, _| in_hand.contains(job));
        for id in in_hand {
            let Some(job) = self.store.job(&id).await?.map(Arc::new) else { continue };
            if job.state.gives_back() {
                self.stop_of(&id).cancel();
            } else if self.wait_when_busy {
                // While all slots load nobody asks for the next claim: it must not be decided by an old look.
                self.governor.refresh(&job, self.servers_there(&job));
            }
        }
        Ok(())
    }

    /// Have this worker and the server of a task been well for a while?
    pub(crate) async fn is_calm(&self, job: &Job, task: &TaskId) -> bool {
        let calm = (self.lease.ttl() * 2).min(CALM_MAX);
        let uptime_secs = match job.spec.place(task, &self.facts.server_uuid) {
            Place::Home => match self.server.facts().await {
                Ok(facts) => facts.uptime_secs,
                Err(_) => return false,
            },
            // It is watched, and not asked here: one that hangs must not hold up others.
            Place::On(server) => match self.endpoints.ready(&server.url, Some(&server.uuid)) {
                Some(endpoint) if endpoint.since.elapsed() >= calm => calm.as_secs(),
                _ => return false,
            },
            Place::Elsewhere(_) => return false,
        };
        self.lease.healthy_for() >= calm && uptime_secs >= calm.as_secs()
    }

    fn home(&self, url: &str) -> Endpoint {
        let url = url.to_owned();
        let (server, facts) = (self.server.clone(), self.facts.clone());
        let (since, gone) = (tokio::time::Instant::now(), CancellationToken::new());
        Endpoint { server, facts, url, since, gone }
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

    /// The servers of a job that are there, each with its number in the job.
    pub(crate) fn servers_there(&self, job: &Job) -> Vec<(usize, Server)> {
        if job.spec.servers.is_empty() {
            return vec![(0, self.server.clone())];
        }
        let found = |server: &JobServer| self.found(server).map(|endpoint| endpoint.server);
        let all = job.spec.servers.iter().map(found).enumerate();
        all.filter_map(|(at, server)| Some((at, server?))).collect()
    }

    /// Every server of a job; nothing while one of them is away.
    pub(crate) fn all_servers(&self, job: &Job) -> Option<Vec<Server>> {
        let there = self.servers_there(job);
        (there.len() == job.spec.servers.len().max(1))
            .then(|| there.into_iter().map(|(_, server)| server).collect())
    }

    fn found(&self, server: &JobServer) -> Option<Endpoint> {
        if server.uuid == self.facts.server_uuid {
            return Some(self.home(&server.url));
        }
        self.endpoints.ready(&server.url, Some(&server.uuid))
    }

    /// Runs what asks all servers of a job, for as long as they are there. Nothing when one of them is away, or
    /// went away: it must not hold up the tasks of other servers and other jobs.
    pub(crate) async fn while_all_there<T>(
        &self,
        job: &Job,
        run: impl Future<Output = T>,
    ) -> Option<T> {
        if job.spec.servers.is_empty() {
            return Some(run.await);
        }
        let there = job.spec.servers.iter().map(|server| self.found(server));
        let there: Vec<Endpoint> = there.collect::<Option<_>>()?;
        let any_away = select_all(there.iter().map(|endpoint| Box::pin(endpoint.gone.cancelled())));
        tokio::select! {
            result = run => Some(result),
            _ = any_away => None,
        }
    }
}
