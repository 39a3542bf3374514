//! `longshore gc`: removes what nobody needs any more.
//!
//! What it may touch is decided by `doctor::leftovers`; here every drop is decided once more, on a
//! fresh read of the task, because workers go on meanwhile.

use std::time::Duration;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::store::{Stored, TaskStore, WorkerRecord};
use longshore_shared::task::{Epoch, StateName};
use serde::Serialize;

use crate::doctor::belongings::drop_staged;
use crate::doctor::owners::{Leftover, Owner, Why};
use crate::doctor::{keeper_paths, leftovers, shadows};
use crate::grants::list::name;
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::{Output, Side, table};
use crate::ui::text;

/// Remove staging tables and worker rows that nobody needs any more
///
/// Shows what it would remove; with --yes it removes it. It touches nothing of a task that a worker
/// has in hand, is publishing, or is quarantined, and no table whose name is not Longshore's. Safe
/// while workers run.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Remove it
    #[arg(long)]
    yes: bool,

    /// How long a worker must have been silent, or a plan given up, as 30m or 2h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    older_than: Duration,

    /// Also staging tables of jobs that these control tables do not know
    ///
    /// Only where no other Longshore installation uses the same staging database, or publishes into
    /// tables of the same databases at the end of its jobs. A table under a shadow's name that holds
    /// rows is never removed: it may be the old table of an exchange.
    #[arg(long)]
    unknown_jobs: bool,
}

/// What `gc --json` prints. Keys are only ever added.
#[derive(Debug, Serialize)]
struct Document {
    /// False when nothing was touched.
    removed: bool,
    staging: Vec<StagingLine>,
    workers: Vec<WorkerLine>,
    /// Staging tables of unknown jobs that were left alone.
    unknown_jobs: Vec<String>,
    /// Tables under the names of shadows of unknown jobs that hold rows: a person decides.
    holding_rows: Vec<HoldingLine>,
    /// Paths in Keeper of staging tables that a killed server did not finish to make or to drop.
    keeper_paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct HoldingLine {
    table: String,
    /// None when the engine does not tell.
    rows: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StagingLine {
    table: String,
    kind: &'static str,
    why: Why,
    age_secs: u64,
}

#[derive(Debug, Serialize)]
struct WorkerLine {
    worker_id: String,
    host: String,
    pid: u32,
    heartbeat_age_ms: i64,
}

pub(crate) async fn run(args: GcArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let (others, away) = session.elsewhere().await?;
    for url in away {
        output.note(&format!(
            "{url} does not answer, or another server answers there: what is left there stays."
        ));
    }
    let mut document = Document {
        removed: args.yes,
        staging: Vec::new(),
        workers: Vec::new(),
        unknown_jobs: Vec::new(),
        holding_rows: Vec::new(),
        keeper_paths: Vec::new(),
    };
    // Staging tables are on the server of their task; workers and jobs are everywhere the same.
    for session in std::iter::once(&session).chain(&others) {
        let found = leftovers::staging(session, args.older_than).await?;
        let (holding, left): (Vec<Leftover>, Vec<Leftover>) =
            found.leftovers.into_iter().partition(Leftover::needs_a_person);
        document.holding_rows.extend(holding.iter().map(holding_line));
        let (left, unknown): (Vec<Leftover>, Vec<Leftover>) =
            left.into_iter().partition(|left| args.unknown_jobs || left.why != Why::UnknownJob);
        document.unknown_jobs.extend(unknown.iter().map(Leftover::table));
        for left in left {
            if !args.yes || remove(session, &left).await? {
                document.staging.push(line(left));
            }
        }
        for path in keeper_paths::list_unowned(&session.server).await? {
            let refusal =
                if args.yes { keeper_paths::remove(&session.server, &path).await? } else { None };
            match refusal {
                None => document.keeper_paths.push(path),
                Some(words) => output.note(&format!(
                    "{path} stays in Keeper: {words}\n\
                     To let this user remove it: GRANT SYSTEM DROP REPLICA ON *.* TO {}",
                    name(&session.server.connection().user)
                )),
            }
        }
    }
    for worker in leftovers::workers(&session, args.older_than).await? {
        if !args.yes || sign_off(&session, &worker, args.older_than).await? {
            document.workers.push(worker_line(worker));
        }
    }
    output.show(&document, words)?;
    Ok(Exit::Done)
}

/// Drops one table or clone, if it is still nobody's. False when it was left alone.
async fn remove(session: &Session, left: &Leftover) -> Stored<bool> {
    if let Owner::Task(task, epoch) = &left.owner {
        let now = session.store.task(task).await?;
        let now = now.map(|task| (task.progress.state.name(), task.progress.epoch));
        let is_known = session.store.job(&task.job).await?.is_some();
        if !still_over(left.why, now, *epoch, is_known) {
            return Ok(false);
        }
    }
    if let Owner::Shadow(shadow) = &left.owner
        && !shadows::is_still(session, left, shadow).await?
    {
        return Ok(false);
    }
    if let Owner::Snapshot(job) = &left.owner {
        let now = session.store.job(job).await?.map(|job| job.state);
        if leftovers::snapshot_why(now) != Some(left.why) {
            return Ok(false);
        }
    }
    drop_staged(&session.server, &left.database, &left.staged).await?;
    Ok(true)
}

/// Is a table that was found left over still so, by what is now in force?
fn still_over(why: Why, now: Option<(StateName, Epoch)>, epoch: Epoch, is_known: bool) -> bool {
    match why {
        // A plan with this id was made meanwhile: its tasks are new, the table may be theirs.
        Why::UnknownJob => !is_known,
        _ => is_known && leftovers::why(now, epoch).is_some(),
    }
}

/// Removes the row of a dead worker, if it is still dead.
async fn sign_off(session: &Session, worker: &WorkerRecord, age: Duration) -> Stored<bool> {
    let now = session.store.worker(&worker.id).await?;
    if !now.is_some_and(|now| leftovers::is_stale(&now, age)) {
        return Ok(false);
    }
    session.store.remove_worker(&worker.id).await?;
    Ok(true)
}

fn line(left: Leftover) -> StagingLine {
    let kind = if left.staged.engine == "MaterializedView" { "view" } else { "table" };
    let table = left.table();
    StagingLine { table, kind, why: left.why, age_secs: left.staged.age_secs }
}

fn holding_line(left: &Leftover) -> HoldingLine {
    let rows = match &left.owner {
        Owner::Shadow(shadow) => shadow.rows(),
        _ => None,
    };
    HoldingLine { table: left.table(), rows }
}

fn worker_line(worker: WorkerRecord) -> WorkerLine {
    WorkerLine {
        worker_id: worker.id.0,
        host: worker.host,
        pid: worker.pid,
        heartbeat_age_ms: worker.age_ms,
    }
}

fn words(document: &Document) -> String {
    let Document { removed, staging, workers, unknown_jobs, holding_rows, keeper_paths } = document;
    let mut parts = Vec::new();
    if !staging.is_empty() {
        let columns = [("STAGING TABLE", Side::Left), ("AGE", Side::Right), ("WHY", Side::Left)];
        let rows = staging.iter().map(|line| {
            let age = text::seconds(Duration::from_secs(line.age_secs));
            vec![line.table.clone(), age, line.why.as_str().to_owned()]
        });
        parts.push(table(&columns, rows.collect()));
    }
    if !workers.is_empty() {
        let columns =
            [("WORKER", Side::Left), ("HOST", Side::Left), ("LAST HEARTBEAT", Side::Right)];
        let rows = workers.iter().map(|line| {
            let age = format!("{} ago", text::duration_ms(line.heartbeat_age_ms));
            vec![line.worker_id.clone(), line.host.clone(), age]
        });
        parts.push(table(&columns, rows.collect()));
    }
    if !keeper_paths.is_empty() {
        parts.push(format!("PATH IN KEEPER\n{}", keeper_paths.join("\n")));
    }
    let tables = text::plural(staging.len() as u64, "staging table");
    let rows = text::plural(workers.len() as u64, "worker row");
    let sum = match keeper_paths.len() as u64 {
        0 => format!("{tables} and {rows}"),
        paths => format!("{tables}, {rows} and {} in Keeper", text::plural(paths, "path")),
    };
    let is_clean = staging.is_empty() && workers.is_empty() && keeper_paths.is_empty();
    parts.push(match (is_clean, *removed) {
        (true, _) => "There is nothing to remove.".to_owned(),
        (false, true) => format!("Removed {sum}."),
        (false, false) => format!("Would remove {sum}. To remove them: longshore gc --yes"),
    });
    if let Some(first) = unknown_jobs.first() {
        parts.push(format!(
            "Left alone: {} of jobs that these control tables do not know, as {first}.\n\
             If no other installation uses this staging database: longshore gc --unknown-jobs",
            text::plural(unknown_jobs.len() as u64, "staging table")
        ));
    }
    if !holding_rows.is_empty() {
        parts.push(holding_words(holding_rows));
    }
    parts.join("\n\n")
}

fn holding_words(holding: &[HoldingLine]) -> String {
    let lines = holding.iter().map(|line| {
        let rows =
            line.rows.map_or_else(|| "rows unknown".into(), |rows| text::plural(rows, "row"));
        format!("  {} ({rows})", line.table)
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "Left alone: {} with rows under a shadow's name, of jobs that these control tables do not know:\n{}\n\
         Such a table holds what its job loaded, or it is the old table of an exchange. gc never removes it.\n\
         Compare its rows with those of the target. To keep it: RENAME TABLE. To remove it: DROP TABLE.",
        text::plural(holding.len() as u64, "table"),
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_task_that_went_on_meanwhile_keeps_its_tables() {
        let at = |state, epoch| Some((state, Epoch(epoch)));
        assert!(still_over(Why::Over, at(StateName::Pending, 1), Epoch(1), true));
        // Claimed again since: the older epoch is its new owner's to drop.
        assert!(!still_over(Why::Over, at(StateName::Claimed, 2), Epoch(1), true));
        assert!(!still_over(Why::Over, at(StateName::Publishing, 2), Epoch(2), true));
        assert!(!still_over(Why::Ended, at(StateName::Quarantined, 2), Epoch(2), true));
        assert!(still_over(Why::UnknownJob, None, Epoch(1), false));
        assert!(!still_over(Why::UnknownJob, at(StateName::Pending, 0), Epoch(1), true));
        assert!(!still_over(Why::Ended, at(StateName::Done, 2), Epoch(2), false));
    }

    #[test]
    fn a_dry_run_says_how_to_act() {
        let mut document = Document {
            removed: false,
            staging: vec![StagingLine {
                table: "0123456789abcdef_0000001_e1_0_events".into(),
                kind: "table",
                why: Why::Ended,
                age_secs: 7_200,
            }],
            workers: vec![WorkerLine {
                worker_id: "host-0a1b2c3d".into(),
                host: "host".into(),
                pid: 7,
                heartbeat_age_ms: 4_000_000,
            }],
            unknown_jobs: vec!["fedcba9876543210_0000000_e1_0_t".into()],
            holding_rows: vec![HoldingLine {
                table: "d.t_shadow_fedcba9876543210_0_e2".into(),
                rows: Some(450),
            }],
            keeper_paths: Vec::new(),
        };
        insta::assert_snapshot!(words(&document), @"
        STAGING TABLE                         AGE  WHY
        0123456789abcdef_0000001_e1_0_events   2h  its task has ended

        WORKER         HOST  LAST HEARTBEAT
        host-0a1b2c3d  host   1h 6m 40s ago

        Would remove 1 staging table and 1 worker row. To remove them: longshore gc --yes

        Left alone: 1 staging table of jobs that these control tables do not know, as fedcba9876543210_0000000_e1_0_t.
        If no other installation uses this staging database: longshore gc --unknown-jobs

        Left alone: 1 table with rows under a shadow's name, of jobs that these control tables do not know:
          d.t_shadow_fedcba9876543210_0_e2 (450 rows)
        Such a table holds what its job loaded, or it is the old table of an exchange. gc never removes it.
        Compare its rows with those of the target. To keep it: RENAME TABLE. To remove it: DROP TABLE.
        ");
        document = Document {
            removed: true,
            staging: Vec::new(),
            workers: Vec::new(),
            unknown_jobs: Vec::new(),
            holding_rows: Vec::new(),
            keeper_paths: Vec::new(),
        };
        assert_eq!(words(&document), "There is nothing to remove.");
    }
}
