//! `longshore restore`: believes the receipts where the task table has forgotten what was done.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::ledger::{self, Ledger};
use longshore_shared::schema::check_drift;
use longshore_shared::store::{REQUEST_ROWS_MAX, Swap, TaskStore};
use longshore_shared::task::{
    Chunk, Job, JobState, Stamp, StateName, Task, TaskEvent, TaskId, TaskState,
};
use serde::Serialize;

use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Count tasks as done that have receipts, after Keeper was put back or rows of it were lost
///
/// A receipt is written after every row of a task was proved to be in its tables. A task that has
/// one and is pending was forgotten by the task table: Keeper was restored from an older copy, or
/// somebody deleted rows. No worker loads such a task; its job pauses. This command says that the
/// rows are still in the tables, and makes those tasks done. Nothing else is changed.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Job id, or the first digits of it
    job: String,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    job_id: String,
    state: JobState,
    /// True when nothing was changed.
    dry_run: bool,
    restored: u64,
    rows: u64,
}

pub(crate) async fn run(args: RestoreArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.job).await?;
    refuse(&session, &job).await?;
    let (mut restored, mut rows) = (0, 0);
    let ids: Vec<TaskId> =
        (0..job.tasks).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect();
    for page in ids.chunks(REQUEST_ROWS_MAX) {
        let briefs = session.store.briefs(page).await?;
        let pending =
            briefs.into_iter().filter(|brief| brief.state == StateName::Pending).collect();
        // Receipts are a table of each server.
        for (server, pending) in session.by_server(&job, pending, |brief| &brief.id).await? {
            let ids: Vec<String> = pending.iter().map(|brief| brief.id.to_string()).collect();
            for entry in ledger::list(&server, &job.id, &ids).await? {
                if let Some(of_task) = restore(&session, &job, &entry, args.dry_run).await? {
                    (restored, rows) = (restored + 1, rows + of_task);
                }
            }
        }
    }
    let (job_id, state) = (job.id.to_string(), job.state);
    let document = Document { job_id, state, dry_run: args.dry_run, restored, rows };
    output.show(&document, words)?;
    Ok(Exit::Done)
}

/// Only while no worker claims its tasks, and only while the tables are those that were filled.
async fn refuse(session: &Session, job: &Job) -> Result<(), Error> {
    if !matches!(job.state, JobState::Planned | JobState::Paused | JobState::Halted) {
        let message = format!("job {} is {}", job.id, job.state.as_str());
        let help = format!("longshore pause {}, then this again", job.id);
        return Err(Report::new(Kind::Conflict, message).help(help).into());
    }
    for (shard, server) in session.reach_all(job).await? {
        if let Some(drift) = check_drift(&server, &job.spec.on(shard).graph).await? {
            let message = format!("the receipts of job {} are of other tables: {drift}", job.id);
            return Err(Report::new(Kind::Conflict, message)
                .help("plan it again, with --again TEXT, into tables that are empty")
                .into());
        }
    }
    Ok(())
}

/// Makes one task done; its rows, when it was changed.
async fn restore(
    session: &Session,
    job: &Job,
    entry: &Ledger,
    dry_run: bool,
) -> Result<Option<u64>, Error> {
    let id: TaskId = entry.task_id.parse()?;
    let Some(task) = session.store.task(&id).await? else { return Ok(None) };
    let rows = rows(job, &task, entry);
    let Ok(progress) = task.progress.next(&TaskEvent::Restored(rows)) else { return Ok(None) };
    debug_assert_eq!(progress.state, TaskState::Done { rows });
    if dry_run {
        return Ok(Some(rows));
    }
    let next = Task { progress, stamp: Stamp::fresh(), ..task.clone() };
    let swapped = session.store.swap_task(&task, &next).await?;
    Ok((swapped == Swap::Won).then_some(rows))
}

/// Rows in the table that the chunk is loaded into, as a worker counts them.
fn rows(job: &Job, task: &Task, entry: &Ledger) -> u64 {
    let Ok(chunk) = Chunk::decode(&task.chunk) else { return entry.rows_read };
    let target = job.spec.load(&chunk).target;
    // Receipts of a job that publishes at its end name its shadows.
    let table = job.spec.graph.tables.iter().find(|table| table.name == *target);
    let target = table.map_or(target, |table| table.destination()).to_string();
    let of_target = entry.targets.iter().find(|(name, _)| *name == target);
    of_target.map_or(entry.rows_read, |(_, rows)| *rows)
}

fn words(document: &Document) -> String {
    let Document { job_id, restored, rows, .. } = document;
    let tasks = text::plural(*restored, "task");
    let rows = text::plural(*rows, "row");
    if document.dry_run {
        return format!("Would count {tasks} of job {job_id} as done by their receipts ({rows}).");
    }
    if *restored == 0 {
        return format!("No pending task of job {job_id} has a receipt: nothing was changed.");
    }
    format!(
        "{tasks} of job {job_id} are done by their receipts ({rows}).\n\nNext: longshore resume {job_id}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_done() {
        let said = |restored, dry_run| {
            let job_id = "0123456789abcdef".to_owned();
            let state = JobState::Paused;
            words(&Document { job_id, state, dry_run, restored, rows: 4_000 })
        };
        insta::assert_snapshot!(said(2, false), @"
        2 tasks of job 0123456789abcdef are done by their receipts (4,000 rows).

        Next: longshore resume 0123456789abcdef
        ");
        insta::assert_snapshot!(said(2, true), @"Would count 2 tasks of job 0123456789abcdef as done by their receipts (4,000 rows).");
        insta::assert_snapshot!(said(0, false), @"No pending task of job 0123456789abcdef has a receipt: nothing was changed.");
    }
}
