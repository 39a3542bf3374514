//! A claim: a task that is this worker's in one epoch, and the server where it is worked on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use longshore_shared::clickhouse::{Server, ServerFacts};
use longshore_shared::store::{Swap, TaskStore};
use longshore_shared::task::{Epoch, Job, JobState, Owner, Stamp, StateName, Task, TaskEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{AttemptError, Remedy};
use crate::servers::Endpoint;
use crate::waits::hindrance::Hindrance;
use crate::worker::{Acting, Unloaded, Worker};

/// A task that is ours, in one epoch.
pub(crate) struct Claim {
    pub(crate) job: Arc<Job>,
    pub(crate) task: Task,
    /// The server that holds the target of the task, and its staging tables.
    pub(crate) server: Server,
    pub(crate) facts: ServerFacts,
    pub(crate) endpoint: Endpoint,
    /// The load was sent.
    pub(crate) is_loading: AtomicBool,
    pub(crate) began: Instant,
    /// Tasks of the job that may be loaded at the same time, itself included.
    pub(crate) among: u64,
    /// Until its load is over it fills a slot.
    unloaded: std::sync::Mutex<Option<Unloaded>>,
    /// The manifest was taken in this very claim: no earlier epoch can have moved anything.
    pub(crate) loaded_here: bool,
    /// What keeps it from being published.
    pub(crate) hindrance: Hindrance,
    /// What a person should know of an attempt that went well.
    remarks: std::sync::Mutex<Vec<String>>,
    /// Ends when the worker drains, or when loads of the job in flight are to be given back.
    pub(crate) stop: CancellationToken,
    /// No other slot of this process takes it meanwhile.
    _acting: Acting,
}

impl Claim {
    /// Right after the compare-and-set that took the task.
    pub(crate) fn new(
        job: Arc<Job>,
        task: Task,
        endpoint: Endpoint,
        stop: CancellationToken,
        began: Instant,
        acting: Acting,
        unloaded: Unloaded,
    ) -> Self {
        Self {
            stop,
            job,
            task,
            server: endpoint.server.clone(),
            facts: endpoint.facts.clone(),
            endpoint,
            is_loading: AtomicBool::new(false),
            began,
            among: 1,
            unloaded: std::sync::Mutex::new(Some(unloaded)),
            loaded_here: false,
            hindrance: Hindrance::default(),
            remarks: std::sync::Mutex::default(),
            _acting: acting,
        }
    }

    /// The load is over: the server is free for the next one while this is counted and published.
    pub(crate) fn is_loaded(&self) {
        self.unloaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }

    /// The epoch we act in.
    pub(crate) fn epoch(&self) -> Epoch {
        self.task.progress.epoch
    }

    /// Is this the task that publishes what all others have loaded?
    pub(crate) fn is_last(&self) -> bool {
        self.job.is_last(&self.task.id)
    }

    /// No attempt is left after this one.
    pub(crate) fn is_used_up(&self) -> bool {
        self.task.progress.attempts >= self.job.spec.limits.attempts_max
    }

    /// How often the load was too heavy, as far as anybody can tell: the next one is lighter.
    pub(crate) fn weight(&self) -> u32 {
        self.task.progress.attempts + self.task.progress.deaths
    }

    /// Nothing is published yet: may it still be? Not when somebody cancelled or paused the job.
    pub(crate) fn ensure_running(&self) -> Result<(), AttemptError> {
        if self.job.state != JobState::Running {
            return Err(AttemptError::JobStopped(self.job.state));
        }
        if self.stop.is_cancelled() { Err(AttemptError::Draining) } else { Ok(()) }
    }

    /// Notes what a person should know, whatever the end.
    pub(crate) fn remark(&self, words: String) {
        tracing::warn!("{words}");
        self.remarks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(words);
    }

    /// Everything that was noted.
    pub(crate) fn remarks(&self) -> String {
        self.remarks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).join("; ")
    }

    /// Changes the task by an event, if it is still ours.
    pub(crate) async fn advance(
        &mut self,
        worker: &Worker,
        event: &TaskEvent,
    ) -> Result<(), AttemptError> {
        worker.lease.check()?;
        let next = Task {
            progress: self.task.progress.next(event)?,
            stamp: Stamp::fresh(),
            ..self.task.clone()
        };
        match worker.store.swap_task(&self.task, &next).await? {
            Swap::Won => {
                self.loaded_here |= matches!(event, TaskEvent::Loaded { .. });
                self.task = next;
                Ok(())
            }
            Swap::Lost(_) => Err(AttemptError::NotOurs),
        }
    }

    /// What became of an attempt, when it failed because its server went away, or because another one
    /// answered at its address: that is no fault of the task or of the job.
    pub(crate) async fn judged(&self, worker: &Worker, error: AttemptError) -> AttemptError {
        let counts = matches!(error.remedy(), Remedy::PauseJob | Remedy::Fail | Remedy::Retry);
        if counts && let Some(other) = worker.endpoints.another_at(&self.endpoint).await {
            return other;
        }
        let is_home = self.server.connection().url == worker.server.connection().url;
        let may_be = matches!(error, AttemptError::Failure(_) | AttemptError::Unsettled);
        if is_home || !may_be || !worker.endpoints.has_left(&self.endpoint).await {
            return error;
        }
        self.away()
    }

    /// A step on the task's server, given up when that goes away.
    pub(crate) async fn while_there<T>(
        &self,
        step: impl Future<Output = Result<T, AttemptError>>,
    ) -> Result<T, AttemptError> {
        tokio::select! {
            outcome = step => outcome,
            () = self.endpoint.gone.cancelled() => Err(self.away()),
        }
    }

    /// The server of this task is away.
    pub(crate) fn away(&self) -> AttemptError {
        let is_loading = self.is_loading.load(std::sync::atomic::Ordering::Relaxed);
        AttemptError::Away { url: self.endpoint.url.clone(), is_loading }
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
