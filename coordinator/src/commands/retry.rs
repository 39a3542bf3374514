//! `longshore retry`: lets tasks that ended badly be done again, many at a time.

use clap::{ArgGroup, Args};
use longshore_shared::config::Config;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Swap, TaskBrief, TaskStore};
use longshore_shared::task::{
    Job, JobEvent, JobState, Reopening, StateName, Task, TaskEvent, TaskId,
};
use serde::Serialize;

use crate::job::admission::{self, ForceArgs, Started};
use crate::job::alter::keeps_changing;
use crate::job::audited::{self, AuditArgs};
use crate::job::choice::{Choice, Chosen};
use crate::job::filter::Filter;
use crate::job::reopen::{self, Counts};
use crate::job::replayable;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Somebody else can change the job between our read and our write; nobody does so for long.
const TRIES_MAX: u32 = 10;

/// Let tasks that ended badly be done again
///
/// A failed task begins anew. A quarantined one goes on where it stands: its moves are looked at
/// once more and finished. What cannot be proved even so needs a person: --accept says that its rows
/// are in the targets, --reload that they are not; both are checked as far as the server can tell.
/// The job runs again afterwards.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true)
    .args(["failed", "quarantined", "replay_done", "task", "condition"])))]
pub(crate) struct RetryArgs {
    /// Job id, or the first digits of it
    job: String,

    #[command(flatten)]
    which: Which,

    /// These tasks, whatever they ended as but done; may be repeated
    #[arg(long, value_name = "TASK")]
    task: Vec<TaskId>,

    /// Only tasks that meet this condition, such as "error~'timed out' and attempts>3" (see
    /// `longshore tasks --help`); alone: failed and quarantined ones that do
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,

    /// Quarantined tasks: load them from their beginning, because nothing of them is in any target
    #[arg(long, conflicts_with = "accept")]
    reload: bool,

    /// Quarantined tasks: they are done, because all of them is in the targets
    #[arg(long)]
    accept: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    audit: AuditArgs,

    #[command(flatten)]
    force: ForceArgs,
}

/// Tasks by what they ended as.
#[derive(Debug, Args)]
struct Which {
    /// Tasks that failed
    #[arg(long)]
    failed: bool,

    /// Tasks in quarantine
    #[arg(long)]
    quarantined: bool,

    /// Tasks that are done: loads them once more, only where the partitions they went into are
    /// empty now
    #[arg(long)]
    replay_done: bool,
}

/// Which tasks are opened again, and how.
#[derive(Debug, Default)]
pub(crate) struct RetryRequest {
    pub(crate) failed: bool,
    pub(crate) quarantined: bool,
    pub(crate) done: bool,
    /// Only these; all when empty.
    pub(crate) tasks: Vec<TaskId>,
    /// Only those that meet it.
    pub(crate) filter: Option<Filter>,
    /// What becomes of quarantined ones.
    pub(crate) quarantined_as: QuarantineDecision,
    /// Of a job that the closing audit has failed.
    pub(crate) audit: AuditArgs,
}

/// What a person says of a quarantined task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum QuarantineDecision {
    /// Nothing: it is looked at again.
    #[default]
    Prove,
    /// Nothing of it is in any target.
    Reload,
    /// All of it is in its targets.
    Accept,
}

/// A job that runs again.
pub(crate) struct Opened {
    pub(crate) job: Job,
    pub(crate) counts: Counts,
    /// What was allowed and is worth knowing.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    job_id: String,
    state: JobState,
    /// True when nothing was changed.
    dry_run: bool,
    failed: u64,
    quarantined: u64,
    done: u64,
    /// What was allowed and is worth knowing.
    notes: Vec<String>,
}

impl RetryArgs {
    fn request(&self) -> Result<RetryRequest, Error> {
        let which = &self.which;
        let by_name = !self.task.is_empty() || self.condition.is_some();
        let quarantined_as = match (self.reload, self.accept) {
            (true, _) => QuarantineDecision::Reload,
            (_, true) => QuarantineDecision::Accept,
            _ => QuarantineDecision::Prove,
        };
        let any = by_name && !(which.failed || which.quarantined || which.replay_done);
        Ok(RetryRequest {
            failed: which.failed || any,
            quarantined: which.quarantined || any,
            done: which.replay_done,
            tasks: self.task.clone(),
            filter: self.condition.as_deref().map(Filter::parse).transpose()?,
            quarantined_as,
            audit: self.audit,
        })
    }
}

pub(crate) async fn run(args: RetryArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let request = args.request()?;
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    if let Some(other) = args.task.iter().find(|task| task.job != job.id) {
        let message = format!("task {other} is not of job {}", job.id);
        return Err(Report::new(Kind::Usage, message).into());
    }
    let (job, counts, notes) = if args.dry_run {
        let chosen = choose(&session, &job, &request).await?;
        (job, counted(&chosen), Vec::new())
    } else {
        let Opened { job, counts, notes } = open(&session, job, &request, args.force).await?;
        (job, counts, notes)
    };
    output.notes(&notes);
    let document = Document {
        job_id: job.id.to_string(),
        state: job.state,
        dry_run: args.dry_run,
        failed: counts.failed,
        quarantined: counts.quarantined,
        done: counts.done,
        notes,
    };
    output.show(&document, words)?;
    Ok(Exit::Done)
}

/// Opens the tasks again and lets the job run.
///
/// Everything that can be refused is refused before the first change.
pub(crate) async fn open(
    session: &Session,
    job: Job,
    request: &RetryRequest,
    force: ForceArgs,
) -> Result<Opened, Error> {
    let mut job = job;
    for lost in 0..TRIES_MAX {
        replayable::refuse(&job)?;
        if planted(Bug::ForgetWish) && job.state == JobState::Reopening {
            job.spec.reopening = None;
            return finish(session, job, Vec::new()).await;
        }
        let chosen = choose(session, &job, request).await?;
        let recorded = record(&job, &chosen);
        // An earlier command was cut. What it has written down is carried out, unless this one asks for more, or
        // for something else.
        let is_recorded = job.spec.reopening.as_deref() == Some(&recorded);
        let is_begun = job.state == JobState::Reopening && job.spec.reopening.is_some();
        if is_begun && (is_recorded || planted(Bug::KeepDecision)) {
            return finish(session, job, Vec::new()).await;
        }
        let is_interrupted = matches!(job.state, JobState::Reopening | JobState::Cancelled);
        let is_idle = recorded == Reopening::default();
        audited::refuse(session, &job, is_idle, request.audit).await?;
        if is_idle && !is_interrupted && !audited::is_all_done(session, &job).await? {
            return Err(nothing(session, &job).await?);
        }
        let change = |next: &mut Job| {
            next.spec.reopening = Some(Box::new(recorded));
            next.spec.audit_failed = None;
        };
        let words = "tasks are opened again";
        let event = JobEvent::Reopening;
        let started =
            admission::start_exactly(session, &job, event, words, force, lost, change).await?;
        match started {
            Started::Now(job, notes) => return finish(session, job, notes).await,
            // What was chosen is true of the job as it was: it is chosen anew.
            Started::Changed(now) => job = now,
            Started::Refused if job.state == JobState::Reopening => {
                return finish(session, job, Vec::new()).await;
            }
            Started::Refused => {
                let message = format!("job {} is {}", job.id, job.state.as_str());
                return Err(Report::new(Kind::Conflict, message)
                    .help("try again when it has ended")
                    .into());
            }
        }
    }
    Err(keeps_changing(&job))
}

/// Adds what was chosen to what an earlier command has written down and not carried out.
fn record(job: &Job, chosen: &Chosen) -> Reopening {
    let mut request = job.spec.reopening.as_deref().cloned().unwrap_or_default();
    for choice in chosen {
        request.add(choice.id.ordinal, choice.was, &choice.event);
    }
    request
}

/// Carries out what stands in the row of the job, and lets it run.
async fn finish(session: &Session, job: Job, notes: Vec<String>) -> Result<Opened, Error> {
    let request = job.spec.reopening.as_deref().cloned().unwrap_or_default();
    let Some(counts) = reopen::carry_out(session, &job, &request).await? else {
        let now = session.store.job(&job.id).await?;
        let job = now.ok_or_else(|| keeps_changing(&job))?;
        return Ok(Opened { job, counts: Counts::default(), notes });
    };
    let mut next = job.after(JobEvent::Reopened, "")?;
    next.spec.reopening = None;
    match session.store.swap_job(&job, &next).await? {
        Swap::Won => Ok(Opened { job: next, counts, notes }),
        // Somebody else finished the same, or has cancelled the job since.
        Swap::Lost(Some(job)) => Ok(Opened { job, counts, notes }),
        Swap::Lost(None) => Err(keeps_changing(&job)),
    }
}

/// The tasks that the request means, each with its event. Refused when something speaks against one.
async fn choose(session: &Session, job: &Job, request: &RetryRequest) -> Result<Chosen, Error> {
    let tasks = reopen::touched(&session.store, job).await?;
    let is_meant = |task: &&TaskBrief| {
        (request.tasks.is_empty() || request.tasks.contains(&task.id))
            && request.filter.as_ref().is_none_or(|filter| filter.matches(task))
    };
    let of = |state| tasks.iter().filter(is_meant).filter(move |task| task.state == state);
    let mut chosen: Chosen = Vec::new();
    if request.failed {
        let failed = of(StateName::Failed);
        chosen.extend(failed.map(|task| Choice::of(task, TaskEvent::Reopened)));
    }
    if request.quarantined {
        for task in of(StateName::Quarantined) {
            let event = match request.quarantined_as {
                QuarantineDecision::Prove => TaskEvent::Reopened,
                QuarantineDecision::Accept => {
                    let server = session.reach(job, &task.id).await?;
                    let of_task = quarantined(session, &task.id).await?;
                    replayable::check_accepted(&server, &of_task).await?;
                    TaskEvent::Accepted
                }
                QuarantineDecision::Reload => {
                    let server = session.reach(job, &task.id).await?;
                    replayable::check_absent(&server, &quarantined(session, &task.id).await?)
                        .await?;
                    TaskEvent::Reset
                }
            };
            chosen.push(Choice::of(task, event));
        }
    }
    if request.done {
        let done: Vec<&TaskBrief> = of(StateName::Done).collect();
        if !done.is_empty() {
            replayable::refuse_replay(job)?;
            replayable::check_empty(session, job, &done).await?;
        }
        chosen.extend(done.iter().map(|task| Choice::of(task, TaskEvent::Reset)));
    }
    chosen.extend(last_too(job, &tasks, &chosen));
    Ok(chosen)
}

/// The task that publishes failed because others did: it is tried again with them.
fn last_too(job: &Job, tasks: &[TaskBrief], chosen: &Chosen) -> Option<Choice> {
    let id = job.last_task()?;
    let last = tasks.iter().find(|task| task.id == id)?;
    let is_new = !chosen.is_empty() && chosen.iter().all(|choice| choice.id != last.id);
    (is_new && last.state == StateName::Failed).then(|| Choice::of(last, TaskEvent::Reopened))
}

async fn quarantined(session: &Session, id: &TaskId) -> Result<Task, Error> {
    let task = session.store.task(id).await?;
    task.ok_or_else(|| Report::new(Kind::Conflict, format!("task {id} is gone")).into())
}

/// Why there is nothing to open again.
async fn nothing(session: &Session, job: &Job) -> Result<Error, Error> {
    let census = crate::census::census(&session.store, job).await?;
    let message = format!("job {} has no such tasks", job.id);
    let help = match (census.failed, census.quarantined) {
        (0, 0) => format!("longshore tasks {} shows all", job.id),
        (0, _) => format!(
            "its quarantined tasks need a decision: longshore retry {} --quarantined looks at them once more",
            job.id
        ),
        _ => format!("longshore tasks {} --state failed,quarantined", job.id),
    };
    Ok(Report::new(Kind::Conflict, message).help(help).into())
}

fn counted(chosen: &Chosen) -> Counts {
    let of = |wanted| chosen.iter().filter(|choice| choice.was == wanted).count() as u64;
    Counts {
        failed: of(StateName::Failed),
        quarantined: of(StateName::Quarantined),
        done: of(StateName::Done),
    }
}

fn words(document: &Document) -> String {
    let Document { job_id, failed, quarantined, done, .. } = document;
    let parts: Vec<String> = [("failed", failed), ("quarantined", quarantined), ("done", done)]
        .into_iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{} {what}", text::count(*count)))
        .collect();
    let sum = failed + quarantined + done;
    let tasks = text::plural(sum, "task");
    if document.dry_run {
        return format!("Would open {tasks} of job {job_id} again ({}).", parts.join(", "));
    }
    format!(
        "Opened {tasks} of job {job_id} again ({}); it is {}.\n\nNext: longshore status {job_id} --watch",
        parts.join(", "),
        document.state.as_str()
    )
}
