//! A job in plain words: what stands still, why, and the next command.

use std::collections::HashMap;

use longshore_shared::config::Config;
use longshore_shared::store::{TaskBrief, TaskStore, WorkerRecord};
use longshore_shared::task::{Epoch, Job, JobState, StateName, TaskId, WorkerId};
use serde::Serialize;

use super::leftovers::{Running, running};
use super::{Finding, Level, advice, unseen};
use crate::census::{Census, census, find_tasks};
use crate::reach::shards;
use crate::session::{PROBE_MAX, Session};
use crate::ui::error::Error;
use crate::ui::text;

/// Tasks shown of each kind; a job that failed as a whole has thousands alike.
const TASKS_MAX: usize = 10;

const JOB: &str = "job";
const TASK: &str = "task";
const WORKERS: &str = "workers";

/// A task that somebody works on, or should. Keys are only ever added.
#[derive(Debug, Serialize)]
pub(crate) struct OpenTask {
    task_id: String,
    state: StateName,
    epoch: u64,
    attempts: u32,
    deaths: u32,
    worker: String,
    /// By the server's clock; nothing when the worker has left.
    heartbeat_age_ms: Option<i64>,
    lapsed: bool,
    queries: Vec<QueryLine>,
}

/// A statement of a task that runs now.
#[derive(Debug, Serialize)]
struct QueryLine {
    query_id: String,
    step: String,
    elapsed_secs: f64,
    rows_read: u64,
    rows_written: u64,
}

/// Everything read of a job at one moment.
pub(crate) struct Look {
    job: Job,
    census: Census,
    workers: HashMap<WorkerId, WorkerRecord>,
    owned: Vec<TaskBrief>,
    ended_badly: Vec<TaskBrief>,
    waiting: Vec<TaskBrief>,
    running: Vec<Running>,
    /// Servers that do not show what runs: the rest is told all the same.
    unseen: Vec<Error>,
}

/// Reads what is needed to judge a job.
pub(crate) async fn read_job(session: &Session, job: Job) -> Result<Look, Error> {
    let store = &session.store;
    let census = census(store, &job).await?;
    let of = |states: &'static [StateName]| find_tasks(store, &job, states, TASKS_MAX);
    let mut ended_badly = of(&[StateName::Quarantined]).await?;
    ended_badly.extend(of(&[StateName::Failed]).await?);
    let owned = of(&[StateName::Claimed, StateName::Publishing]).await?;
    let mut waiting = Vec::new();
    if !job.state.is_terminal() && census.pending > 0 {
        waiting = of(&[StateName::Pending]).await?;
        waiting.retain(|task| !task.error.is_empty());
    }
    let workers =
        store.workers().await?.into_iter().map(|worker| (worker.id.clone(), worker)).collect();
    let (mut all, mut unseen) = (Vec::new(), Vec::new());
    for (_, task) in shards(&job) {
        match running_there(session, &job, &task).await {
            Ok(running) => all.extend(running),
            Err(error) => unseen.push(error),
        }
    }
    Ok(Look { job, census, workers, owned, ended_badly, waiting, running: all, unseen })
}

async fn running_there(session: &Session, job: &Job, task: &TaskId) -> Result<Vec<Running>, Error> {
    let server = session.reach_within(job, task, PROBE_MAX).await?;
    Ok(running(&server, &format!("{}-", job.id)).await?)
}

impl Look {
    /// What to know and what to do, the whole job first.
    pub(crate) fn findings(&self, config: &Config) -> Vec<Finding> {
        let mut found = vec![self.job_itself()];
        let not_seen = |error| unseen("queries", Level::Warning, error, config);
        found.extend(self.unseen.iter().map(not_seen));
        found.extend(self.live_workers());
        found.extend(self.ended_badly.iter().map(|task| bad_end(&self.job, task)));
        let (shown, all) = (self.ended_badly.len() as u64, self.census.unfinished());
        if all > shown {
            let message = format!("and {} more that ended so", text::plural(all - shown, "task"));
            let states = "failed,quarantined";
            let remedy = format!("longshore tasks {} --state {states} --limit {all}", self.job.id);
            found.push(Finding::problem(TASK, message, remedy));
        }
        found.extend(self.owned.iter().map(|task| self.in_hands(task)));
        found.extend(self.waiting.iter().map(|task| self.waits(task)));
        found
    }

    /// The tasks in workers' hands.
    pub(crate) fn open_tasks(&self) -> Vec<OpenTask> {
        let open = |task: &TaskBrief| {
            let worker = self.workers.get(&task.worker);
            OpenTask {
                task_id: task.id.to_string(),
                state: task.state,
                epoch: task.epoch,
                attempts: task.attempts,
                deaths: task.deaths,
                worker: task.worker.to_string(),
                heartbeat_age_ms: worker.map(|worker| worker.age_ms),
                lapsed: worker.is_none_or(WorkerRecord::has_lapsed),
                queries: self.queries(task).map(QueryLine::from).collect(),
            }
        };
        self.owned.iter().map(open).collect()
    }

    fn live(&self) -> u64 {
        self.workers.values().filter(|worker| !worker.has_lapsed()).count() as u64
    }

    fn job_itself(&self) -> Finding {
        let job = &self.job;
        let done = format!(
            "{} of {} done",
            text::count(self.census.done),
            text::plural(self.census.total, "task")
        );
        match job.state {
            JobState::Planning => Finding::warning(
                JOB,
                "its tasks are being written, or its planner was cut",
                advice::PLAN_ON,
            ),
            JobState::Planned => Finding::warning(
                JOB,
                "it is planned and not submitted, so no worker touches it",
                advice::of(advice::SUBMIT, job),
            ),
            JobState::Running => Finding::ok(JOB, format!("it runs: {done}")),
            JobState::Completed => Finding::ok(JOB, format!("it is completed: {done}")),
            JobState::Paused | JobState::Halted => {
                let message = format!("it is {} ({done}): {}", job.state.as_str(), self.reason());
                Finding::problem(JOB, message, advice::of_pause(job, self.census.done == 0))
            }
            JobState::Reopening => Finding::problem(
                JOB,
                format!("a retry was interrupted ({done}), so no worker touches it"),
                advice::of(advice::RESUME, job),
            ),
            JobState::Cancelling => Finding::warning(
                JOB,
                format!("it is being cancelled ({done})"),
                advice::of(advice::CANCEL, job),
            ),
            JobState::Failed if self.census.failed + self.census.quarantined == 0 => {
                let message = format!("it has failed with {done}: {}", self.reason());
                Finding::problem(JOB, message, advice::of(advice::AUDIT, job))
            }
            JobState::Failed => {
                let message = format!("it has ended with {done}, and {}", self.bad_counts());
                Finding::problem(JOB, message, advice::of(advice::LOOK_AT_TASKS, job))
            }
            JobState::Deleting => Finding::warning(
                JOB,
                "it is being deleted: parts of it may be gone",
                advice::of(advice::DELETE, job),
            ),
            JobState::Cancelled => Finding::warning(
                JOB,
                format!("it was cancelled with {done}"),
                advice::of(advice::RESUME_CANCELLED, job),
            ),
        }
    }

    fn bad_counts(&self) -> String {
        let Census { failed, quarantined, .. } = self.census;
        format!("{} failed, {} quarantined", text::count(failed), text::count(quarantined))
    }

    fn reason(&self) -> String {
        let reason = advice::in_a_line(&self.job.reason);
        if reason.is_empty() { "by an operator".to_owned() } else { reason }
    }

    /// Is anybody there to work on it?
    fn live_workers(&self) -> Option<Finding> {
        if self.job.state != JobState::Running {
            return None;
        }
        let live = self.live();
        if live == 0 {
            let message = if self.workers.is_empty() {
                "no worker is running".to_owned()
            } else {
                let last = self.workers.values().map(|worker| worker.age_ms).min();
                let ago = text::duration_ms(last.unwrap_or_default());
                format!("no worker is running: the last heartbeat was {ago} ago")
            };
            return Some(Finding::problem(WORKERS, message, advice::of(advice::WORKER, &self.job)));
        }
        let hands = self.census.claimed + self.census.publishing;
        let message = format!(
            "{} alive, {} in hand",
            text::plural(live, "worker"),
            text::plural(hands, "task")
        );
        Some(Finding::ok(WORKERS, message))
    }

    /// A task that a worker owns, live or not.
    fn in_hands(&self, task: &TaskBrief) -> Finding {
        let (id, worker) = (&task.id, self.workers.get(&task.worker));
        let doing = match task.state {
            StateName::Publishing => "is being published",
            _ => "is being loaded",
        };
        let queries: Vec<String> = self.queries(task).map(query_words).collect();
        let queries =
            if queries.is_empty() { "no query of it runs".to_owned() } else { queries.join("; ") };
        let Some(live) = worker.filter(|worker| !worker.has_lapsed()) else {
            let since = match worker {
                Some(worker) => {
                    format!("whose heartbeat stopped {} ago", text::duration_ms(worker.age_ms))
                }
                None => "which has left".to_owned(),
            };
            let message = format!("{id} {doing} by worker {}, {since}; {queries}", task.worker);
            if self.job.state == JobState::Paused {
                let remedy = "nothing: it goes on when the job does";
                return Finding::warning(TASK, message, remedy).about(id.to_string());
            }
            return if self.job.state.is_terminal() || self.live() > 0 {
                let remedy = "nothing: another worker takes it over";
                Finding::warning(TASK, message, remedy).about(id.to_string())
            } else {
                let remedy = format!(
                    "longshore-worker --job {}   (takes it over; no worker is running)",
                    id.job
                );
                Finding::problem(TASK, message, remedy).about(id.to_string())
            };
        };
        let mut message = format!(
            "{id} {doing} by worker {} (heartbeat {} ago); {queries}",
            task.worker,
            text::duration_ms(live.age_ms)
        );
        let finding = if task.error.is_empty() {
            Finding::ok(TASK, message)
        } else {
            message = format!("{message}; {}", advice::in_a_line(&task.error));
            Finding::warning(TASK, message, advice::of_wait(&self.job, &task.error))
        };
        finding.about(id.to_string())
    }

    fn waits(&self, task: &TaskBrief) -> Finding {
        let attempts = text::plural(task.attempts.into(), "attempt");
        let message = format!(
            "{} waits for its next attempt after {attempts} of {}: {}",
            task.id,
            self.job.spec.limits.attempts_max,
            advice::in_a_line(&task.error)
        );
        let remedy = advice::of_wait(&self.job, &task.error);
        Finding::warning(TASK, message, remedy).about(task.id.to_string())
    }

    fn queries<'a>(&'a self, task: &'a TaskBrief) -> impl Iterator<Item = &'a Running> {
        self.running.iter().filter(|query| {
            TaskId::of_query(&query.query_id)
                .is_some_and(|(id, epoch, _)| id == task.id && epoch == Epoch(task.epoch))
        })
    }
}

/// A task that will not be tried again.
fn bad_end(job: &Job, task: &TaskBrief) -> Finding {
    let (id, cause) = (task.id.to_string(), advice::in_a_line(&task.error));
    let (message, remedy) = if task.state == StateName::Quarantined {
        let message = format!(
            "{id} is quarantined: it could not be proved whether its rows are in the target. {cause}"
        );
        (message, advice::of_task(advice::LOOK_AGAIN, job, &id))
    } else {
        let attempts = text::plural(task.attempts.into(), "attempt");
        let message =
            format!("{id} failed after {attempts}, nothing of it is in the target: {cause}");
        (message, advice::of_failure(job, &id, &task.error))
    };
    Finding::problem(TASK, message, remedy).about(id)
}

impl From<&Running> for QueryLine {
    fn from(query: &Running) -> Self {
        let step = TaskId::of_query(&query.query_id).map_or("", |(_, _, step)| step);
        Self {
            query_id: query.query_id.clone(),
            step: step.to_owned(),
            elapsed_secs: query.elapsed,
            rows_read: query.read_rows,
            rows_written: query.written_rows,
        }
    }
}

fn query_words(query: &Running) -> String {
    let line = QueryLine::from(query);
    format!(
        "its {} has run for {:.1}s, {} read",
        line.step,
        line.elapsed_secs,
        text::plural(line.rows_read, "row")
    )
}

/// The level of a whole look, for its exit code.
pub(crate) fn has_problem(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Problem)
}
