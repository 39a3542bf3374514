//! Finding a task and taking it: a look at open segments by key, then one compare-and-set.
//!
//! Nothing here scans the task table. The board remembers pages of the open segments between
//! claims; what it remembers may be stale, so every claim is decided by the compare-and-set alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use longshore_shared::clickhouse::{Server, ServerFacts};
use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Swap, TaskBrief, TaskStore, segment_tasks};
use longshore_shared::task::{
    Cursor, Epoch, Job, JobId, JobState, Place, Stamp, StateName, Task, TaskEvent, TaskId,
    TaskState, WorkerId,
};
use rand::seq::SliceRandom;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::{Acting, Worker};
use crate::endpoint::Endpoint;
use crate::hindrance::Hindrance;
use crate::trouble::Trouble;
use crate::{finish, swap};

/// How long the list of jobs is good.
const JOBS_FRESH: Duration = Duration::from_millis(500);

/// Looks at the open segments for one claim; each can also open the next segment.
const ROUNDS_MAX: usize = 20;

/// What this worker remembers of the jobs.
#[derive(Default)]
pub(crate) struct Board {
    jobs: Vec<Arc<Job>>,
    jobs_read: Option<Instant>,
    /// Tasks that could be taken when their page was read, the next one last.
    candidates: HashMap<JobId, Vec<TaskId>>,
    /// Jobs of other servers that were told of.
    elsewhere: HashSet<JobId>,
}

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
    /// The epoch we act in.
    pub(crate) fn epoch(&self) -> Epoch {
        self.task.progress.epoch
    }

    /// No attempt is left after this one.
    pub(crate) fn is_used_up(&self) -> bool {
        self.task.progress.attempts >= self.job.spec.limits.attempts_max
    }

    /// It was in quarantine before.
    pub(crate) fn is_doubted(&self) -> bool {
        matches!(&self.task.progress.state, TaskState::Publishing { manifest, .. } if manifest.doubted)
    }

    /// Nothing is published yet: may it still be? Not when somebody cancelled or paused the job.
    pub(crate) fn goes_on(&self) -> Result<(), Trouble> {
        if self.job.state != JobState::Running {
            return Err(Trouble::JobStopped(self.job.state));
        }
        if self.stop.is_cancelled() { Err(Trouble::Draining) } else { Ok(()) }
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
    ) -> Result<(), Trouble> {
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
            Swap::Lost(_) => Err(Trouble::NotOurs),
        }
    }
}

/// Is there anything left to wait for?
pub(crate) enum Found {
    /// A task, now ours.
    Task(Box<Claim>),
    /// Nothing to take at the moment, but a job is running.
    Nothing,
    /// No job is running.
    NoJob,
}

/// Takes the next task of any running job.
pub(crate) async fn next(worker: &Worker) -> Result<Found, Trouble> {
    let mut board = worker.board.lock().await;
    let jobs = board.running_jobs(worker).await?;
    let mut running = false;
    for job in jobs {
        match board.take_from(worker, &job).await {
            Ok(Some(claim)) => return Ok(Found::Task(Box::new(claim))),
            Ok(None) => running = true,
            Err(missing @ (Trouble::TaskMissing(_) | Trouble::CursorMissing(_))) => {
                finish::pause(worker, &job, &missing).await?;
                board.jobs_read = None;
            }
            // A person has to mend it: the job says so, unless that is what cannot be written.
            Err(trouble) if trouble.lasting().is_some() => {
                if finish::pause(worker, &job, &trouble).await.is_err() {
                    return Err(trouble);
                }
                board.jobs_read = None;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(if running { Found::Nothing } else { Found::NoJob })
}

impl Board {
    /// Forgets what was read of the segments: somebody lapsed, so their tasks are to be found.
    pub(crate) fn forget_pages(&mut self) {
        self.candidates.clear();
    }

    async fn running_jobs(&mut self, worker: &Worker) -> Result<Vec<Arc<Job>>, Trouble> {
        if self.jobs_read.is_none_or(|read| read.elapsed() > JOBS_FRESH) {
            let wanted = worker.options.job.as_ref();
            let jobs = match wanted {
                Some(id) => worker.store.job(id).await?.into_iter().collect(),
                None => worker.store.jobs().await?,
            };
            let mut running: Vec<Arc<Job>> = jobs
                .into_iter()
                .filter(|job| job.state.is_worked_on() && self.is_ours(worker, job))
                .map(Arc::new)
                .collect();
            running.sort_by_key(|job| (job.submitted_ms, job.id.clone()));
            self.candidates.retain(|id, _| running.iter().any(|job| job.id == *id));
            (self.jobs, self.jobs_read) = (running, Some(Instant::now()));
        }
        Ok(self.jobs.clone())
    }

    /// Is this worker on the server that the job is bound to? Told once when it is not.
    fn is_ours(&mut self, worker: &Worker, job: &Job) -> bool {
        let first = TaskId { job: job.id.clone(), ordinal: 0 };
        let planned = match job.spec.place(&first, &worker.facts.server_uuid) {
            Place::Home | Place::On(_) => return true,
            Place::Elsewhere(server) => server,
        };
        if self.elsewhere.insert(job.id.clone()) {
            tracing::warn!(
                job = %job.id,
                planned = %planned.url,
                here = %worker.server.connection().url,
                "left alone: the job was planned on another server; its tables are there"
            );
        }
        false
    }

    async fn take_from(
        &mut self,
        worker: &Worker,
        job: &Arc<Job>,
    ) -> Result<Option<Claim>, Trouble> {
        if job.state == JobState::Cancelling {
            let found = wind_down(worker, job).await?;
            self.jobs_read = self.jobs_read.filter(|_| found.is_some());
            return Ok(found);
        }
        // What is found and not taken is found again: after some rounds the slot rests first.
        for _ in 0..ROUNDS_MAX {
            // Nothing is taken then, so the same tasks would be found again for ever.
            if worker.drain.is_cancelled() {
                return Ok(None);
            }
            while let Some(id) = self.candidates.get_mut(&job.id).and_then(Vec::pop) {
                if let Some(claim) = take(worker, job, &id).await? {
                    return Ok(Some(claim));
                }
            }
            let Some(cursor) = worker.store.cursor(&job.id).await? else {
                return Err(Trouble::CursorMissing(job.id.clone()));
            };
            let (candidates, cursor) = look(worker, job, cursor).await?;
            if !candidates.is_empty() {
                self.candidates.insert(job.id.clone(), candidates);
            } else if cursor.frontier < job.segments() {
                // Won or lost, somebody has opened it.
                worker.store.swap_cursor(&cursor, &cursor.opened()).await?;
            } else {
                if cursor.finished_segments() == job.segments() {
                    finish::job(worker, job, &cursor).await?;
                    self.jobs_read = None;
                }
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// Reads the open segments until one has something to take; marks those that have ended.
async fn look(
    worker: &Worker,
    job: &Job,
    mut cursor: Cursor,
) -> Result<(Vec<TaskId>, Cursor), Trouble> {
    let mut open = cursor.open_segments();
    // Every worker begins elsewhere, so that they do not all want the same task.
    open.shuffle(&mut rand::rng());
    for segment in open {
        let ids = segment_tasks(job, segment);
        let page = worker.store.briefs(&ids).await?;
        if let Some(missing) = ids.iter().find(|id| !page.iter().any(|brief| brief.id == **id)) {
            return Err(Trouble::TaskMissing(missing.clone()));
        }
        let mut tally = longshore_shared::task::Tally::default();
        let ended = page.iter().filter(|b| tally.add(b.state, b.rows, b.bytes)).count();
        if ended == page.len() {
            // The cursor was read before the page: a task reopened in between changes the cursor.
            let next = cursor.finishing(segment, tally);
            match worker.store.swap_cursor(&cursor, &next).await? {
                Swap::Won => cursor = next,
                Swap::Lost(Some(now)) => cursor = now,
                Swap::Lost(None) => {}
            }
            continue;
        }
        let mut candidates = orphans(worker, &page).await?;
        candidates.retain(|id| worker.reaches(job, id));
        // What publishes the others' work waits until all of them have ended.
        let is_last_left =
            ended + 1 == page.len() && cursor.finished_segments() + 1 == job.segments();
        let waits = swap::last_of(job).filter(|_| !is_last_left);
        let mut pending: Vec<TaskId> = page
            .iter()
            .filter(|brief| brief.state == StateName::Pending && brief.due)
            .filter(|brief| Some(&brief.id) != waits.as_ref())
            .filter(|brief| worker.reaches(job, &brief.id))
            .map(|brief| brief.id.clone())
            .collect();
        pending.shuffle(&mut rand::rng());
        // Orphans go first: they stand last in the list.
        pending.append(&mut candidates);
        if !pending.is_empty() {
            return Ok((pending, cursor));
        }
    }
    Ok((Vec::new(), cursor))
}

/// Of a cancelled job: takes what dead workers left in flight, and closes the job when nothing is.
async fn wind_down(worker: &Worker, job: &Arc<Job>) -> Result<Option<Claim>, Trouble> {
    let open = worker.store.cursor(&job.id).await?.map(|cursor| cursor.open_segments());
    let mut in_flight = false;
    for segment in open.unwrap_or_default() {
        let page = worker.store.briefs(&segment_tasks(job, segment)).await?;
        for id in orphans(worker, &page).await? {
            if let Some(claim) = take(worker, job, &id).await? {
                return Ok(Some(claim));
            }
        }
        in_flight |= page.iter().any(|brief| brief.state.is_owned());
    }
    // Whoever claims a task after this look reads the job after its claim, and gives it back.
    if !in_flight && !worker.drain.is_cancelled() {
        finish::cancelled(worker, job).await?;
    }
    Ok(None)
}

/// Tasks whose owner has lapsed or left, or which we own without knowing it.
async fn orphans(worker: &Worker, page: &[TaskBrief]) -> Result<Vec<TaskId>, Trouble> {
    let owned = || page.iter().filter(|brief| brief.state.is_owned());
    let others: HashSet<&WorkerId> =
        owned().map(|brief| &brief.worker).filter(|id| **id != worker.id).collect();
    let mut gone: HashSet<&WorkerId> = HashSet::new();
    for other in others {
        let record = worker.store.worker(other).await?;
        if record.is_none_or(|record| record.has_lapsed()) || planted(Bug::IgnoreLease) {
            gone.insert(other);
        }
    }
    let orphan = |brief: &&TaskBrief| {
        gone.contains(&brief.worker) || (brief.worker == worker.id && !worker.acts_on(&brief.id))
    };
    Ok(owned().filter(orphan).map(|brief| brief.id.clone()).collect())
}

/// The job as a task of one of its servers sees it.
fn on_its_server(job: Arc<Job>, task: &TaskId) -> Arc<Job> {
    if !job.spec.is_sharded() {
        return job;
    }
    let spec = job.spec.on(job.spec.shard(task));
    Arc::new(Job { spec, ..Job::clone(&job) })
}

/// Takes one task by compare-and-set; `None` when somebody else has it.
async fn take(worker: &Worker, job: &Arc<Job>, id: &TaskId) -> Result<Option<Claim>, Trouble> {
    if worker.drain.is_cancelled() {
        return Ok(None);
    }
    let Some(acting) = worker.begin(id) else { return Ok(None) };
    let began = Instant::now();
    let task = worker.store.task(id).await?.ok_or_else(|| Trouble::TaskMissing(id.clone()))?;
    // While its server is away nobody can do anything for it.
    let Some(endpoint) = worker.endpoint(job, &task) else { return Ok(None) };
    let by = worker.owner(&endpoint.url);
    let event = match task.progress.state.owner() {
        None => TaskEvent::Claimed { by },
        Some(owner) => {
            // Decided on a fresh read: the owner may have renewed its lease since the page was read.
            let ours = owner.worker == worker.id;
            let live = worker.store.worker(&owner.worker).await?;
            let lapsed = live.is_none_or(|record| record.has_lapsed());
            if !ours && !lapsed && !planted(Bug::IgnoreLease) {
                return Ok(None);
            }
            TaskEvent::TakenOver { by }
        }
    };
    let Ok(progress) = task.progress.next(&event) else { return Ok(None) };
    worker.edge(faults::CLAIM_BEFORE).await?;
    let next = Task { progress, stamp: Stamp::fresh(), ..task.clone() };
    match worker.store.swap_task(&task, &next).await? {
        Swap::Lost(_) => Ok(None),
        Swap::Won => {
            worker.edge(faults::CLAIM_AFTER).await?;
            // What was known of the job is older than the claim: it may be cancelled by now.
            let job = worker.store.job(&job.id).await?.map_or_else(|| Arc::clone(job), Arc::new);
            Ok(Some(Claim {
                stop: worker.stop_of(&job.id),
                job: on_its_server(job, &next.id),
                task: next,
                server: endpoint.server.clone(),
                facts: endpoint.facts.clone(),
                endpoint,
                is_loading: AtomicBool::new(false),
                began,
                loaded_here: false,
                hindrance: Hindrance::default(),
                remarks: std::sync::Mutex::default(),
                _acting: acting,
            }))
        }
    }
}
