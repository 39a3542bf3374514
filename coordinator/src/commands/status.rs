//! `longshore status`: all jobs, or how one of them stands.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::{Stored, TaskStore, WorkerRecord};
use longshore_shared::task::{Job, JobState, TaskId};
use serde::Serialize;

use super::job_filter::JobFilter;
use crate::census::{Census, census};
use crate::local::progress::{Look, Progress, read_progress};
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::{Output, Side, table};
use crate::ui::text;

/// Characters shown of what a task waits for.
const ERROR_CHARS_MAX: usize = 400;

/// Show all jobs, or how one of them stands
///
/// Counts come from the job's cursor and the few tasks that are open, never from a scan.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Job id, or the first digits of it; without it all jobs and plans are listed
    job: Option<String>,

    /// Show the progress until the job ends or is paused
    ///
    /// The exit code then says how it ended: 0 completed, 3 otherwise.
    #[arg(long, requires = "job")]
    watch: bool,
}

/// One job as `status --json` shows it. Keys are only ever added.
#[derive(Debug, Serialize)]
pub(crate) struct JobStatus {
    pub(crate) job_id: String,
    pub(crate) state: JobState,
    pub(crate) target: String,
    /// Everything is synced to disk before a receipt.
    pub(crate) durable: bool,
    pub(crate) tasks: Census,
    pub(crate) files: u64,
    pub(crate) bytes_total: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) reason: String,
    /// Tasks that may be loaded at the same time; null for no limit.
    pub(crate) loads_max: Option<u32>,
    pub(crate) created_at: Option<String>,
    pub(crate) submitted_at: Option<String>,
    pub(crate) ended_at: Option<String>,
    /// From the last submit to the end; nothing while the job runs.
    pub(crate) elapsed_ms: Option<i64>,
    pub(crate) workers: Vec<WorkerLine>,
    /// Tasks that are loaded and cannot be published at the moment, the first of them.
    pub(crate) hindered: Vec<HinderedLine>,
}

/// A task that is kept from being published.
#[derive(Debug, Serialize)]
pub(crate) struct HinderedLine {
    task_id: String,
    error: String,
}

/// A worker that works on the job, or could.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerLine {
    worker_id: String,
    host: String,
    pid: u32,
    version: String,
    slots: u32,
    draining: bool,
    /// Its heartbeat is older than its lease: its tasks will be taken over.
    lapsed: bool,
    heartbeat_age_ms: i64,
    /// Tasks of this job that it works on.
    tasks: u64,
}

/// What `status` without a job prints, and `jobs list`.
#[derive(Debug, Serialize)]
pub(crate) struct JobList {
    jobs: Vec<JobLine>,
}

#[derive(Debug, Serialize)]
struct JobLine {
    job_id: String,
    state: JobState,
    target: String,
    tasks: u32,
    done: u64,
    failed: u64,
    quarantined: u64,
    files: u64,
    bytes_total: u64,
    created_at: Option<String>,
}

pub(crate) async fn run(args: StatusArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let Some(job) = args.job else {
        let jobs = JobFilter::default().jobs(&session).await?;
        output.show(&list(&session, jobs).await?, list_text)?;
        return Ok(Exit::Done);
    };
    let job = session.job(&job).await?;
    let job = if args.watch { watch(&session, job, output).await? } else { job };
    let status = read(&session.store, &job).await?;
    output.show(&status, status_text)?;
    let is_bad = args.watch && job.state != JobState::Completed;
    Ok(if is_bad { Exit::Unfinished } else { Exit::Done })
}

/// How a job stands.
pub(crate) async fn read<S: TaskStore>(store: &S, job: &Job) -> Stored<JobStatus> {
    let tasks = census(store, job).await?;
    let mut workers: Vec<WorkerLine> = store
        .workers()
        .await?
        .into_iter()
        .map(|worker| worker_line(worker, &tasks))
        .filter(|line| line.tasks > 0 || !line.lapsed)
        .collect();
    workers.sort_by(|a, b| a.worker_id.cmp(&b.worker_id));
    Ok(document(job, tasks, workers))
}

fn document(job: &Job, tasks: Census, workers: Vec<WorkerLine>) -> JobStatus {
    JobStatus {
        job_id: job.id.to_string(),
        state: job.state,
        target: job.spec.target.to_string(),
        durable: job.spec.durable,
        files: job.files,
        bytes_total: job.bytes,
        rows: tasks.rows,
        bytes: tasks.bytes,
        reason: job.reason.clone(),
        loads_max: job.spec.loads_max,
        created_at: text::time(job.created_ms),
        submitted_at: text::time(job.submitted_ms),
        ended_at: text::time(job.ended_ms),
        hindered: hindered(&tasks),
        elapsed_ms: (job.ended_ms > 0).then_some(job.ended_ms - job.submitted_ms),
        tasks,
        workers,
    }
}

fn hindered(census: &Census) -> Vec<HinderedLine> {
    let line = |(task, error): &(TaskId, String)| HinderedLine {
        task_id: task.to_string(),
        error: error.clone(),
    };
    census.hindered.iter().map(line).collect()
}

fn worker_line(worker: WorkerRecord, census: &Census) -> WorkerLine {
    WorkerLine {
        lapsed: worker.has_lapsed(),
        tasks: census.owners.get(&worker.id).copied().unwrap_or(0),
        worker_id: worker.id.0,
        host: worker.host,
        pid: worker.pid,
        version: worker.version,
        slots: worker.slots,
        draining: worker.draining,
        heartbeat_age_ms: worker.age_ms,
    }
}

/// Shows the progress until nothing goes on by itself any more.
async fn watch(session: &Session, job: Job, output: Output) -> Result<Job, Error> {
    let mut progress = Progress::new(output);
    let mut now = job;
    while now.state == JobState::Running {
        let Some(look) = read_progress(&session.store, &now.id).await? else {
            break;
        };
        progress.show(&look);
        let Look { job, .. } = look;
        now = job;
        if now.state == JobState::Running {
            tokio::time::sleep(progress.pause()).await;
        }
    }
    progress.finish();
    Ok(now)
}

fn status_text(status: &JobStatus) -> String {
    let tasks = &status.tasks;
    let mut lines = vec![
        format!("job       {}  {}", status.job_id, status.state.as_str()),
        format!("target    {}{}", status.target, if status.durable { ", durable" } else { "" }),
        format!(
            "done      {} of {} tasks, {} rows, {} of {}",
            text::count(tasks.done),
            text::count(tasks.total),
            text::count(status.rows),
            text::bytes(status.bytes),
            text::bytes(status.bytes_total)
        ),
        format!(
            "open      {} pending, {} claimed, {} publishing",
            text::count(tasks.pending),
            text::count(tasks.claimed),
            text::count(tasks.publishing)
        ),
    ];
    if tasks.unfinished() > 0 {
        let (failed, quarantined) = (text::count(tasks.failed), text::count(tasks.quarantined));
        lines.push(format!("not done  {failed} failed, {quarantined} quarantined"));
    }
    if let Some(limit) = status.loads_max {
        lines.push(format!("limit     {} at a time", text::plural(limit.into(), "load")));
    }
    if !status.reason.is_empty() {
        lines.push(format!("reason    {}", status.reason));
    }
    for HinderedLine { task_id, error } in &status.hindered {
        lines.push(format!("waiting   {task_id}: {}", text::line(error, ERROR_CHARS_MAX)));
    }
    let times = [
        ("planned", &status.created_at),
        ("submitted", &status.submitted_at),
        ("ended", &status.ended_at),
    ];
    let times = times.iter().filter_map(|(word, at)| Some((word, at.as_ref()?)));
    lines.extend(times.map(|(word, at)| format!("{word:<9} {at}")));
    if let Some(elapsed) = status.elapsed_ms {
        lines.push(format!("took      {}", text::duration_ms(elapsed)));
    }
    if !status.workers.is_empty() && !status.state.is_terminal() {
        lines.push(String::new());
        lines.push(workers_text(&status.workers));
    }
    lines.extend(next(status).map(|next| format!("\nNext: {next}")));
    lines.join("\n")
}

fn workers_text(workers: &[WorkerLine]) -> String {
    let columns = [
        ("WORKER", Side::Left),
        ("HOST", Side::Left),
        ("PID", Side::Right),
        ("TASKS", Side::Right),
        ("SLOTS", Side::Right),
        ("HEARTBEAT", Side::Left),
    ];
    let rows = workers.iter().map(|worker| {
        let mut heartbeat = format!("{} ago", text::duration_ms(worker.heartbeat_age_ms));
        if worker.lapsed {
            heartbeat.push_str(", lapsed: others take its tasks over");
        } else if worker.draining {
            heartbeat.push_str(", draining");
        }
        vec![
            worker.worker_id.clone(),
            worker.host.clone(),
            worker.pid.to_string(),
            worker.tasks.to_string(),
            worker.slots.to_string(),
            heartbeat,
        ]
    });
    table(&columns, rows.collect())
}

fn next(status: &JobStatus) -> Option<String> {
    let id = &status.job_id;
    let is_alone = status.workers.iter().all(|worker| worker.lapsed);
    match status.state {
        JobState::Planning => Some("the same longshore plan again makes it whole".to_owned()),
        JobState::Planned => Some(format!("longshore run {id} --workers 4")),
        JobState::Paused | JobState::Halted => {
            Some(format!("once the cause is gone: longshore resume {id}"))
        }
        JobState::Reopening => Some(format!("a retry was interrupted: longshore resume {id}")),
        JobState::Cancelling => Some(format!("longshore cancel {id} waits for its end")),
        JobState::Deleting => Some(format!("longshore plan delete {id} --yes goes on with it")),
        JobState::Running if is_alone => {
            Some(format!("no worker is alive; start some: longshore run {id} --workers 4"))
        }
        JobState::Running => Some(format!("longshore status {id} --watch")),
        JobState::Failed => Some(format!(
            "longshore tasks {id} --state failed,quarantined; once the cause is gone: longshore resume {id}"
        )),
        JobState::Completed | JobState::Cancelled => None,
    }
}

/// Some jobs, and how far they are.
pub(crate) async fn list(session: &Session, jobs: Vec<Job>) -> Result<JobList, Error> {
    let mut lines = Vec::with_capacity(jobs.len());
    for job in jobs {
        let tasks = census(&session.store, &job).await?;
        lines.push(JobLine {
            job_id: job.id.to_string(),
            state: job.state,
            target: job.spec.target.to_string(),
            tasks: job.tasks,
            done: tasks.done,
            failed: tasks.failed,
            quarantined: tasks.quarantined,
            files: job.files,
            bytes_total: job.bytes,
            created_at: text::time(job.created_ms),
        });
    }
    Ok(JobList { jobs: lines })
}

pub(crate) fn list_text(list: &JobList) -> String {
    if list.jobs.is_empty() {
        return "There are no jobs yet.\n\n\
                Next: longshore plan files --target DATABASE.TABLE --url URL"
            .to_owned();
    }
    let columns = [
        ("JOB", Side::Left),
        ("STATE", Side::Left),
        ("TARGET", Side::Left),
        ("TASKS", Side::Right),
        ("DONE", Side::Right),
        ("FAILED", Side::Right),
        ("BYTES", Side::Right),
        ("PLANNED", Side::Left),
    ];
    let rows = list.jobs.iter().map(|job| {
        vec![
            job.job_id.clone(),
            job.state.as_str().to_owned(),
            job.target.clone(),
            text::count(job.tasks.into()),
            text::count(job.done),
            text::count(job.failed + job.quarantined),
            text::bytes(job.bytes_total),
            job.created_at.clone().unwrap_or_default(),
        ]
    });
    table(&columns, rows.collect())
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
