//! Finding a task: a look at open segments by key. Nothing here scans the task table.
//!
//! The board remembers pages of the open segments between claims; what it remembers may be stale, so
//! every claim is decided by the compare-and-set alone ([`try_claim::try_claim`]).

mod ending;
mod limit;
mod look;
mod try_claim;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use longshore_shared::store::{TaskStore, segment_tasks};
use longshore_shared::task::{Job, JobId, JobState, Place, TaskEvent, TaskId};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::job_change;
use crate::worker::Worker;
use ending::{Closing, Ending};
use look::{Looked, orphans, scan_open_segments};
use try_claim::try_claim;

/// How long the list of jobs is good.
const JOBS_FRESH: Duration = Duration::from_millis(500);

/// Looks at the open segments for one claim; each can also open the next segment.
const ROUNDS_MAX: usize = 20;
/// A worker that finished the last segment has this long to close the job before others try.
const CLOSE_PAUSE: Duration = Duration::from_secs(1);
/// A suspect that is not alone after all waits so long.
const ALONE_PAUSE: Duration = Duration::from_secs(2);

/// What this worker remembers of the jobs.
#[derive(Default)]
pub(crate) struct Board {
    jobs: Vec<Arc<Job>>,
    jobs_read: Option<Instant>,
    /// Tasks that could be taken when their page was read, the next one last.
    candidates: HashMap<JobId, Vec<TaskId>>,
    /// Tasks besides the candidates, and those in hand here, that may be loaded at the same time.
    besides: HashMap<JobId, u64>,
    /// When the jobs were first seen whose segments are all finished.
    finished: HashMap<JobId, Instant>,
    /// Jobs of other servers that were told of.
    elsewhere: HashSet<JobId>,
    /// The last look, if it was in vain.
    vain: Option<Vain>,
    /// Jobs that a lane of this worker is closing.
    closing: Closing,
}

/// A look that found nothing to take.
#[derive(Clone, Copy)]
struct Vain {
    began: Instant,
    /// How often something of this worker had moved on before it.
    moved: u64,
    /// A job is running.
    is_running: bool,
}

/// Is there anything left to wait for?
pub(crate) enum Found {
    /// A task, now ours.
    Task(Box<Claim>),
    /// A job to be closed: [`close`].
    Ending(Ending),
    /// Nothing to take at the moment, but a job is running.
    Nothing,
    /// No job is running.
    NoJob,
}

/// Takes the next task of any running job.
///
/// Slots of one worker share what they see: a look of another slot that found nothing is good for `fresh`,
/// as long as nothing of this worker has moved on since.
pub(crate) async fn find_work(
    worker: &Worker,
    board: &Mutex<Board>,
    fresh: Duration,
) -> Result<Found, AttemptError> {
    let asked = Instant::now();
    let mut board = board.lock().await;
    let (began, moved) = (Instant::now(), worker.moved.times());
    if let Some(vain) = board.vain
        && vain.moved == moved
        && (vain.began >= asked || vain.began.elapsed() < fresh)
    {
        return Ok(if vain.is_running { Found::Nothing } else { Found::NoJob });
    }
    board.vain = None;
    let jobs = board.running_jobs(worker).await?;
    let mut running = false;
    for job in jobs {
        match board.take_from(worker, &job).await {
            Ok(Taken::Task(claim)) => return Ok(Found::Task(claim)),
            Ok(Taken::Ending(job)) => match board.closing.begin(job) {
                Some(ending) => return Ok(Found::Ending(ending)),
                None => running = true,
            },
            Ok(Taken::Nothing) => running = true,
            Err(missing @ (AttemptError::TaskMissing(_) | AttemptError::CursorMissing(_))) => {
                job_change::pause(worker, &job, &missing).await?;
                board.jobs_read = None;
            }
            // A person has to mend it: the job says so, unless that is what cannot be written.
            Err(trouble) if trouble.needs_operator().is_some() => {
                if job_change::pause(worker, &job, &trouble).await.is_err() {
                    return Err(trouble);
                }
                board.jobs_read = None;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    // What was found out about a job that has changed meanwhile is no answer for others.
    let is_settled = board.jobs_read.is_some();
    board.vain = is_settled.then_some(Vain { began, moved, is_running: running });
    Ok(if running { Found::Nothing } else { Found::NoJob })
}

/// What one job has for a lane.
enum Taken {
    Task(Box<Claim>),
    /// It is over as far as this look saw: the row that the look is true of.
    Ending(Arc<Job>),
    Nothing,
}

impl From<Option<Claim>> for Taken {
    fn from(claim: Option<Claim>) -> Self {
        claim.map_or(Self::Nothing, |claim| Self::Task(Box::new(claim)))
    }
}

/// Closes a job that [`find_work`] has found.
///
/// # Errors
/// When its server is away, or the words of what a person has to mend cannot be written to the job.
pub(crate) async fn close(
    worker: &Worker,
    board: &Mutex<Board>,
    ending: Ending,
) -> Result<(), AttemptError> {
    let is_changed = ending::close(worker, &ending).await?;
    let mut board = board.lock().await;
    board.jobs_read = board.jobs_read.filter(|_| !is_changed);
    board.vain = None;
    Ok(())
}

impl Board {
    /// Forgets what was read of the segments: somebody lapsed, so their tasks are to be found.
    pub(crate) fn forget_pages(&mut self) {
        self.candidates.clear();
        self.vain = None;
    }

    /// Tasks of the job that may be loaded at the same time as the one that was just taken, itself
    /// included. What is remembered may be stale: then a load is narrower than it could be.
    fn among(&self, worker: &Worker, job: &JobId) -> u64 {
        let candidates = self.candidates.get(job).map_or(0, Vec::len);
        let candidates = u64::try_from(candidates).unwrap_or(u64::MAX);
        let besides = self.besides.get(job).copied().unwrap_or_default();
        u64::from(worker.to_load()).saturating_add(candidates).saturating_add(besides)
    }

    /// Whoever finishes the last segment closes the job; the others do when that takes too long.
    fn is_ours_to_close(&mut self, job: &JobId, has_won: bool) -> bool {
        let seen = *self.finished.entry(job.clone()).or_insert_with(Instant::now);
        has_won || seen.elapsed() > CLOSE_PAUSE
    }

    /// Is there another task for each slot of all workers? Those of the others may have been taken since
    /// the page was read, one a slot.
    fn is_plenty(&self, worker: &Worker, job: &JobId) -> bool {
        // A segment that nobody has opened holds tasks for many.
        if self.besides.get(job) == Some(&u64::MAX) {
            return true;
        }
        let candidates = self.candidates.get(job).map_or(0, Vec::len);
        let candidates = u64::try_from(candidates).unwrap_or(u64::MAX);
        let all = worker.crowd.last_seen();
        candidates.saturating_add(worker.slots.into()) >= all.saturating_mul(2)
    }

    async fn running_jobs(&mut self, worker: &Worker) -> Result<Vec<Arc<Job>>, AttemptError> {
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
            self.besides.retain(|id, _| running.iter().any(|job| job.id == *id));
            self.finished.retain(|id, _| running.iter().any(|job| job.id == *id));
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

    async fn take_from(&mut self, worker: &Worker, job: &Arc<Job>) -> Result<Taken, AttemptError> {
        if job.state == JobState::Cancelling {
            let found = wind_down(worker, job).await?;
            self.jobs_read = self.jobs_read.filter(|_| !matches!(found, Taken::Nothing));
            return Ok(found);
        }
        // Ahead of a free slot only where enough is left for everybody.
        if worker.is_full() && !self.is_plenty(worker, &job.id) {
            return Ok(Taken::Nothing);
        }
        let is_held = limit::is_held(worker, job).await?;
        let limit = job.spec.loads_max;
        if is_held || limit.is_some() {
            // What was free a moment ago is decided anew.
            self.candidates.remove(&job.id);
        }
        // What is found and not taken is found again: after some rounds the slot rests first.
        for _ in 0..ROUNDS_MAX {
            // Nothing is taken then, so the same tasks would be found again for ever.
            if worker.drain.is_cancelled() {
                return Ok(Taken::Nothing);
            }
            while let Some(id) = self.candidates.get_mut(&job.id).and_then(Vec::pop) {
                if let Some(mut claim) = try_claim(worker, job, &id).await? {
                    if limit::is_one_too_many(worker, &mut claim).await? {
                        return Ok(Taken::Nothing);
                    }
                    claim.among = self.among(worker, &job.id).min(limit.unwrap_or(u32::MAX).into());
                    return Ok(Taken::Task(Box::new(claim)));
                }
                // Others were quicker since the page was read: of the rest of it they may have taken
                // anything. With many workers each of them would try every task in vain.
                self.candidates.remove(&job.id);
            }
            let Some(cursor) = worker.store.cursor(&job.id).await? else {
                return Err(AttemptError::CursorMissing(job.id.clone()));
            };
            let may_load = !is_held && limit::has_room(worker, job, &cursor).await?;
            let Looked { candidates, others, elsewhere, suspects, cursor, has_won } =
                scan_open_segments(worker, job, cursor, may_load).await?;
            let is_open = cursor.frontier >= job.segments();
            self.besides.insert(job.id.clone(), if is_open { elsewhere } else { u64::MAX });
            if !candidates.is_empty() {
                self.candidates.insert(job.id.clone(), candidates);
            } else if may_load && cursor.frontier < job.segments() {
                // Won or lost, somebody has opened it.
                worker.store.swap_cursor(&cursor, &cursor.opened()).await?;
            } else if may_load && others == 0 && !suspects.is_empty() {
                return Ok(take_alone(worker, job, &suspects).await?.into());
            } else {
                if cursor.finished_segments() == job.segments()
                    && self.is_ours_to_close(&job.id, has_won)
                {
                    return Ok(Taken::Ending(Arc::clone(job)));
                }
                return Ok(Taken::Nothing);
            }
        }
        Ok(Taken::Nothing)
    }
}

/// Takes a task that is suspected of killing workers or the server. Nothing else of the job is in
/// hand then, and both this worker and the server have been well for a while: if one of them dies
/// now, it was this task.
async fn take_alone(
    worker: &Worker,
    job: &Arc<Job>,
    suspects: &[TaskId],
) -> Result<Option<Claim>, AttemptError> {
    let Some(id) = suspects.iter().min() else { return Ok(None) };
    if !worker.is_calm(job, id).await {
        return Ok(None);
    }
    let Some(mut claim) = try_claim(worker, job, id).await? else { return Ok(None) };
    let mut first = 0;
    while first < job.segments() {
        let page = worker.store.briefs(&segment_tasks(job, first)).await?;
        if page.iter().any(|brief| brief.state.is_owned() && brief.id != *id) {
            let error = "waits until it can be loaded alone".to_owned();
            let delay_ms = u64::try_from(ALONE_PAUSE.as_millis()).unwrap_or(0);
            let epoch = claim.epoch();
            let event = TaskEvent::Interrupted { epoch, delay_ms, error, died: false };
            claim.advance(worker, &event).await?;
            return Ok(None);
        }
        first += 1;
    }
    tracing::warn!(task = %id, "loaded alone: its worker died or the server restarted before");
    Ok(Some(claim))
}

/// Of a cancelled job: takes what dead workers left in flight, and closes the job when nothing is.
async fn wind_down(worker: &Worker, job: &Arc<Job>) -> Result<Taken, AttemptError> {
    // What is looked at below is true of this row, and only this row is closed.
    let Some(fresh) = worker.store.job(&job.id).await? else { return Ok(Taken::Nothing) };
    if fresh.state != JobState::Cancelling {
        return Ok(Taken::Nothing);
    }
    let open = worker.store.cursor(&job.id).await?.map(|cursor| cursor.open_segments());
    let mut in_flight = false;
    for segment in open.unwrap_or_default() {
        let page = worker.store.briefs(&segment_tasks(job, segment)).await?;
        for id in orphans(worker, &page).await? {
            if let Some(claim) = try_claim(worker, job, &id).await? {
                return Ok(Taken::Task(Box::new(claim)));
            }
        }
        in_flight |= page.iter().any(|brief| brief.state.is_owned());
    }
    // Whoever claims a task after this look reads the job after its claim, and gives it back.
    if !in_flight && !worker.drain.is_cancelled() {
        return Ok(Taken::Ending(Arc::new(fresh)));
    }
    Ok(Taken::Nothing)
}
