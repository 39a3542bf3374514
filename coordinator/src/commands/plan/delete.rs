//! `longshore plan delete`: a plan and its tasks leave the control tables.
//!
//! First the job becomes `deleting`, from which there is no way back: nobody submits or retries it from
//! then on. Then its staging tables, snapshots and shadows go, its tasks, its cursor, and
//! last its own row. Wherever this is cut, nothing can be claimed, the plan cannot be made again over
//! tasks of the old one, and deleting again goes on.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::faults;
use longshore_shared::ledger;
use longshore_shared::store::TaskStore;
use longshore_shared::task::{Job, JobEvent, JobState, TaskId};
use serde::Serialize;

use crate::census::{Census, census};
use crate::doctor::{belongings, evidence};
use crate::job::alter::{Altered, alter};
use crate::reach::shards;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Tasks between two looks of a person at what is going on.
const TASKS_AT_ONCE: u32 = 1_000;

/// Delete a plan, its tasks, and the tables that belong to them
///
/// Refused while its job lives. Rows that were loaded stay in their targets, and receipts in the
/// ledger; but nothing remembers any more that they were loaded: the same plan, made again, loads them
/// a second time. Cut in the middle, the same command goes on.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Plan id, or the first digits of it
    plan: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Also when tasks are in quarantine: their staging tables, the evidence of what happened, go too
    #[arg(long)]
    discard_quarantined: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    plan_id: String,
    state: JobState,
    target: String,
    tasks: u32,
    /// Tasks of it that had been loaded: their rows stay.
    done: u64,
    /// Staging tables, snapshots and shadows that were dropped.
    tables: Vec<String>,
}

pub(crate) async fn run(args: DeleteArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.plan).await?;
    let counts = refuse(&session, &job, args.discard_quarantined).await?;
    if !args.yes {
        ask(&job, &counts)?;
    }
    let state = job.state;
    let job = give_up(&session, job, args.discard_quarantined).await?;
    faults::pass(faults::DELETE_MARKED).await?;
    check_same(&session, &job).await?;
    let dropped = belongings::drop_all(&session, &job).await?;
    for url in &dropped.away {
        output.note(&format!(
            "{url} does not answer, or another server answers there: staging tables of this plan that are there stay."
        ));
    }
    faults::pass(faults::DELETE_TABLES).await?;
    check_same(&session, &job).await?;
    forget(&session, &job).await;
    remove_rows(&session, &job).await?;
    let document = Document {
        plan_id: job.id.to_string(),
        state,
        target: job.spec.target.to_string(),
        tasks: job.tasks,
        done: counts.done,
        tables: dropped.tables,
    };
    output.show(&document, words)?;
    Ok(Exit::Done)
}

/// Nobody may act on it, and nothing that a person has to decide may be lost by accident.
async fn refuse(session: &Session, job: &Job, discard: bool) -> Result<Census, Error> {
    let id = &job.id;
    let refused = |message: String, help: String| -> Error {
        Report::new(Kind::Conflict, message).help(help).into()
    };
    if job.state.next(JobEvent::Deleted).is_err() {
        let message = format!("job {id} is {}: it lives", job.state.as_str());
        return Err(refused(message, format!("give it up first: longshore cancel {id}")));
    }
    let counts = census(&session.store, job).await?;
    if counts.claimed + counts.publishing > 0 {
        let message = format!("workers still have tasks of job {id} in hand");
        return Err(refused(message, format!("look at them: longshore status {id}")));
    }
    let doubtful = if discard {
        0
    } else {
        counts.quarantined.max(evidence::of_job(session, job).await?.len() as u64)
    };
    if doubtful > 0 {
        let message = format!(
            "{} of job {id} may have rows in its targets that nothing proves: a person has to decide \
             what becomes of them",
            text::plural(doubtful, "task")
        );
        let help = format!(
            "longshore tasks {id} --state quarantined; to delete the evidence too: --discard-quarantined"
        );
        return Err(refused(message, help));
    }
    Ok(counts)
}

fn ask(job: &Job, counts: &Census) -> Result<(), Error> {
    let what = format!(
        "plan {} ({}, {} into {})",
        job.id,
        job.state.as_str(),
        text::plural(job.tasks.into(), "task"),
        job.spec.target
    );
    let consent = |message: String| -> Error {
        Report::new(Kind::NeedsConsent, message).help("--yes deletes it without asking").into()
    };
    if !std::io::stdin().is_terminal() {
        return Err(consent(format!("{what} would be deleted, and there is nobody to ask")));
    }
    if counts.done > 0 {
        eprintln!(
            "{} of it are loaded. Their rows stay, but the same plan, made again, loads them again.",
            text::plural(counts.done, "task")
        );
    }
    eprint!("Delete {what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(consent(format!("{what} was not deleted"))),
    }
}

/// From here on nobody else acts on the job: what comes after `deleting` is only its end. Another
/// command that deletes it is fenced off by the new stamp.
async fn give_up(session: &Session, job: Job, discard: bool) -> Result<Job, Error> {
    let reason = format!("to go on: longshore plan delete {} --yes", job.id);
    match alter(&session.store, job, JobEvent::Deleted, &reason).await? {
        Altered::Now(job) => Ok(job),
        // It was retried since we looked.
        Altered::Refused(job) => {
            refuse(session, &job, discard).await?;
            Err(gone(&job))
        }
    }
}

/// A command that slept must not act on the next life of its plan: another one may have finished the deletion,
/// and the same plan may have been made again.
async fn check_same(session: &Session, job: &Job) -> Result<(), Error> {
    let now = session.store.job(&job.id).await?;
    if now.is_some_and(|now| now.stamp == job.stamp) {
        return Ok(());
    }
    Err(gone(job))
}

/// What the ledger proves of this plan is of a life that is over. On a server that is away it stays:
/// the same plan, made again, is not loaded there then, and says so.
async fn forget(session: &Session, job: &Job) {
    for (_, task) in shards(job) {
        let forgotten = async {
            let server = session.reach(job, &task).await?;
            Ok::<_, Error>(ledger::forget(&server, &job.id).await?)
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(?error, "receipts of this plan stay in the ledger");
        }
    }
}

async fn remove_rows(session: &Session, job: &Job) -> Result<(), Error> {
    let mut first = 0;
    let page = u32::try_from(faults::batch(TASKS_AT_ONCE as usize)).unwrap_or(TASKS_AT_ONCE);
    while first < job.tasks {
        let end = first.saturating_add(page).min(job.tasks);
        let ids: Vec<TaskId> =
            (first..end).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect();
        if !session.store.remove_tasks(job, &ids).await? {
            return Err(gone(job));
        }
        faults::pass(faults::DELETE_BATCH).await?;
        first = end;
    }
    if !session.store.remove_job(job).await? {
        return Err(gone(job));
    }
    Ok(())
}

fn gone(job: &Job) -> Error {
    let message = format!("somebody else changes or deletes plan {} at the same time", job.id);
    Report::new(Kind::Conflict, message).help("longshore plan list").into()
}

fn words(document: &Document) -> String {
    let Document { plan_id, target, .. } = document;
    let mut lines = vec![format!(
        "Deleted plan {plan_id}: {} and {}.",
        text::plural(document.tasks.into(), "task"),
        text::plural(document.tables.len() as u64, "table")
    )];
    if document.done > 0 {
        lines.push(format!(
            "The rows of {} stay in {target}; the same plan, made again, loads them again.",
            text::plural(document.done, "task")
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_stays() {
        let mut document = Document {
            plan_id: "0123456789abcdef".into(),
            state: JobState::Planned,
            target: "db.t".into(),
            tasks: 40,
            done: 0,
            tables: Vec::new(),
        };
        insta::assert_snapshot!(words(&document), @"Deleted plan 0123456789abcdef: 40 tasks and 0 tables.");
        document.done = 3;
        document.tables = vec!["a".into()];
        insta::assert_snapshot!(words(&document), @"
        Deleted plan 0123456789abcdef: 40 tasks and 1 table.
        The rows of 3 tasks stay in db.t; the same plan, made again, loads them again.
        ");
    }
}
