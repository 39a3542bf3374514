//! `longshore check`: has everything that was planned been loaded? For a build pipeline.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::{TaskBrief, TaskStore};
use longshore_shared::task::{Job, JobState, StateName, TableName};
use serde::Serialize;

use crate::census::{Census, census, find_tasks};
use crate::job::{admission, overlap};
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;
use crate::ui::text;

/// Tasks named in a finding.
const TASKS_MAX: usize = 5;
const CAUSE_CHARS_MAX: usize = 200;

/// Fail when a plan is not loaded, or a job waits for a person
///
/// For a build pipeline: nothing is changed, and the exit code is 8 when there is an error, 0 with
/// warnings only. Jobs that are completed or cancelled are in order.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Job id, or the first digits of it; without it all jobs and plans are checked
    job: Option<String>,

    /// Only jobs that load into this table
    #[arg(long, value_name = "DB.TABLE", conflicts_with = "job")]
    target: Option<TableName>,
}

/// What is wrong. The texts are a contract with pipelines and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Code {
    /// A plan was not submitted, or its job is not completed.
    #[serde(rename = "backfill_required_pending")]
    RequiredPending,
    /// Tasks failed, and no attempt is left.
    #[serde(rename = "backfill_chunk_failed_retry_exhausted")]
    RetryExhausted,
    /// It could not be proved whether rows of a task are in the target.
    #[serde(rename = "backfill_task_quarantined")]
    Quarantined,
    /// A job is paused, by a person or because of a fault.
    #[serde(rename = "backfill_job_paused")]
    Paused,
    /// A job should run, and no worker is there.
    #[serde(rename = "backfill_interrupted")]
    Interrupted,
    /// A plan was made for another environment.
    #[serde(rename = "backfill_environment_mismatch")]
    EnvironmentMismatch,
    /// Plans that are not loaded only give warnings.
    #[serde(rename = "backfill_policy_relaxed")]
    PolicyRelaxed,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::RequiredPending => "backfill_required_pending",
            Self::RetryExhausted => "backfill_chunk_failed_retry_exhausted",
            Self::Quarantined => "backfill_task_quarantined",
            Self::Paused => "backfill_job_paused",
            Self::Interrupted => "backfill_interrupted",
            Self::EnvironmentMismatch => "backfill_environment_mismatch",
            Self::PolicyRelaxed => "backfill_policy_relaxed",
        }
    }
}

/// Does it fail the pipeline?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is not in order. Keys are only ever added.
#[derive(Debug, Serialize)]
struct Finding {
    code: Code,
    severity: Severity,
    job_id: Option<String>,
    target: Option<String>,
    /// The first tasks that it is about.
    tasks: Vec<String>,
    message: String,
    /// What to run.
    remedy: String,
}

/// What `check --json` prints. Keys are only ever added.
#[derive(Debug, Serialize)]
struct Document {
    /// No error.
    ok: bool,
    errors: usize,
    warnings: usize,
    /// Jobs that were looked at.
    jobs: usize,
    findings: Vec<Finding>,
}

/// A job and what is known of it.
struct Looked {
    job: Job,
    census: Census,
    /// The first tasks that failed, then the first that are quarantined.
    failed: Vec<TaskBrief>,
    quarantined: Vec<TaskBrief>,
    is_bound_here: bool,
}

/// What holds for all jobs.
#[derive(Debug, Clone, Copy)]
struct Scene {
    live_workers: u64,
    /// Policy of the configuration.
    fails_on_pending: bool,
}

pub(crate) async fn run(args: CheckArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let jobs = match &args.job {
        Some(job) => vec![session.job(job).await?],
        None => of_target(session.store.jobs().await?, args.target.as_ref()),
    };
    let workers = session.store.workers().await?;
    let scene = Scene {
        live_workers: workers.iter().filter(|worker| !worker.has_lapsed()).count() as u64,
        fails_on_pending: config.policy.fail_check_on_pending,
    };
    let count = jobs.len();
    let mut findings: Vec<Finding> = relaxed(scene).into_iter().collect();
    for job in jobs.into_iter().filter(|job| is_open(job.state)) {
        findings.extend(judge(&read_job(&session, job).await?, scene));
    }
    let document = document(count, findings);
    output.show(&document, words)?;
    Ok(if document.ok { Exit::Done } else { Exit::Problem })
}

/// Jobs that load into a table, the oldest first.
fn of_target(mut jobs: Vec<Job>, target: Option<&TableName>) -> Vec<Job> {
    jobs.retain(|job| target.is_none_or(|table| overlap::tables(job).contains(table)));
    jobs.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    jobs
}

/// Is a job in this state expected to become completed?
fn is_open(state: JobState) -> bool {
    !matches!(state, JobState::Completed | JobState::Cancelled)
}

async fn read_job(session: &Session, job: Job) -> Result<Looked, Error> {
    let store = &session.store;
    let census = census(store, &job).await?;
    let mut ended = [Vec::new(), Vec::new()];
    for (found, state) in ended.iter_mut().zip([StateName::Failed, StateName::Quarantined]) {
        if census.of(state) > 0 {
            *found = find_tasks(store, &job, &[state], TASKS_MAX).await?;
        }
    }
    let [failed, quarantined] = ended;
    let is_bound_here = admission::is_bound_here(session, &job);
    Ok(Looked { job, census, failed, quarantined, is_bound_here })
}

fn relaxed(scene: Scene) -> Option<Finding> {
    (!scene.fails_on_pending).then(|| Finding {
        code: Code::PolicyRelaxed,
        severity: Severity::Warning,
        job_id: None,
        target: None,
        tasks: Vec::new(),
        message:
            "policy.fail_check_on_pending is off: plans that are not loaded only give warnings"
                .to_owned(),
        remedy: "set it to true in longshore.toml".to_owned(),
    })
}

/// What is not in order with a job that is neither completed nor cancelled.
fn judge(looked: &Looked, scene: Scene) -> Vec<Finding> {
    let Looked { job, census, .. } = looked;
    let id = &job.id;
    let finding = |code, tasks: &[TaskBrief], message: String, remedy: String| Finding {
        code,
        severity: Severity::Error,
        job_id: Some(id.to_string()),
        target: Some(job.spec.target.to_string()),
        tasks: tasks.iter().map(|task| task.id.to_string()).collect(),
        message,
        remedy,
    };
    let mut found = Vec::new();
    if let Some((message, remedy)) = pending(job, census) {
        let pending = finding(Code::RequiredPending, &[], message, remedy);
        let severity = if scene.fails_on_pending { Severity::Error } else { Severity::Warning };
        found.push(Finding { severity, ..pending });
    }
    if census.failed > 0 {
        let message = format!(
            "{} failed, and no attempt is left{}",
            text::plural(census.failed, "task"),
            cause(&looked.failed)
        );
        let remedy = format!("longshore retry {id} --failed, once the cause is gone");
        found.push(finding(Code::RetryExhausted, &looked.failed, message, remedy));
    }
    if census.quarantined > 0 {
        let message = format!(
            "it could not be proved whether the rows of {} are in the target{}",
            text::plural(census.quarantined, "task"),
            cause(&looked.quarantined)
        );
        let remedy = format!("longshore retry {id} --quarantined");
        found.push(finding(Code::Quarantined, &looked.quarantined, message, remedy));
    }
    if matches!(job.state, JobState::Paused | JobState::Halted) {
        let reason = text::line(&job.reason, CAUSE_CHARS_MAX);
        let reason = if reason.is_empty() { "by an operator".to_owned() } else { reason };
        let message = format!("the job is {}: {reason}", job.state.as_str());
        let remedy = format!("longshore resume {id}, once the cause is gone");
        found.push(finding(Code::Paused, &[], message, remedy));
    }
    let open = census.pending + census.claimed + census.publishing;
    if job.state.is_worked_on() && open > 0 && scene.live_workers == 0 {
        let message =
            format!("no worker is alive, and {} not ended", text::plural(open, "task") + has(open));
        let remedy = format!("start longshore-worker, or longshore run {id} --workers 4");
        found.push(finding(Code::Interrupted, &[], message, remedy));
    }
    if !looked.is_bound_here {
        let message = "the plan was made for another environment".to_owned();
        let command = if job.state == JobState::Planned { "submit" } else { "resume" };
        let remedy = format!("plan it again here, or longshore {command} {id} --force-environment");
        found.push(finding(Code::EnvironmentMismatch, &[], message, remedy));
    }
    found
}

fn has(number: u64) -> &'static str {
    if number == 1 { " has" } else { " have" }
}

/// Why a job counts as pending, and the next command.
fn pending(job: &Job, census: &Census) -> Option<(String, String)> {
    let id = &job.id;
    let done =
        format!("{} of {} done", text::count(census.done), text::plural(census.total, "task"));
    let watch = format!("longshore status {id} --watch");
    Some(match job.state {
        JobState::Planning => (
            "the plan is not whole: its planner was cut, or is at work".to_owned(),
            "give the same longshore plan again".to_owned(),
        ),
        JobState::Planned => {
            ("the plan was never submitted".to_owned(), format!("longshore submit {id}"))
        }
        JobState::Running => (format!("the job runs: {done}"), watch),
        JobState::Failed => (
            format!("the job has ended without being completed: {done}"),
            format!("longshore retry {id} --failed, or give it up: longshore cancel {id}"),
        ),
        JobState::Paused | JobState::Halted => {
            (format!("the job does not go on: {done}"), format!("longshore resume {id}"))
        }
        JobState::Reopening => (
            format!("tasks of the job are being opened again: {done}"),
            format!("if that was interrupted: longshore resume {id}"),
        ),
        // It will not be completed, and nobody asks for it any more.
        JobState::Cancelling | JobState::Cancelled | JobState::Deleting | JobState::Completed => {
            return None;
        }
    })
}

/// The cause of the first.
fn cause(tasks: &[TaskBrief]) -> String {
    let cause = tasks.first().map(|task| text::line(&task.error, CAUSE_CHARS_MAX));
    cause.filter(|cause| !cause.is_empty()).map_or_else(String::new, |cause| format!(": {cause}"))
}

fn document(jobs: usize, findings: Vec<Finding>) -> Document {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    Document { ok: errors == 0, errors, warnings, jobs, findings }
}

fn words(document: &Document) -> String {
    let mut lines = Vec::new();
    for finding in &document.findings {
        let about = match (&finding.job_id, &finding.target) {
            (Some(job), Some(target)) => format!("{job} for {target}: "),
            _ => String::new(),
        };
        let (severity, code) = (finding.severity.as_str(), finding.code.as_str());
        lines.push(format!("{severity:8}{code}"));
        lines.push(format!("        {about}{}", finding.message));
        lines.push(format!("        {}", finding.remedy));
    }
    let jobs = text::plural(document.jobs as u64, "job");
    let parts = [(document.errors, "error"), (document.warnings, "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| text::plural(count as u64, noun))
        .collect::<Vec<_>>();
    let sum = if parts.is_empty() { "all is loaded".to_owned() } else { parts.join(", ") };
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("{jobs} checked: {sum}."));
    lines.join("\n")
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
