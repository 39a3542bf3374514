//! What was left behind, told by `doctor`. Finding it is `leftovers`; removing it is `gc`.

use std::time::Duration;

use longshore_shared::config::Config;
use longshore_shared::store::StoreError;

use super::owners::{self, Leftover, Why};
use super::{Finding, Level, keeper_paths, leftovers, unseen};
use crate::grants::list::{Grant, name};
use crate::grants::may::may;
use crate::session::Session;
use crate::ui::text;

const STAGING: &str = "staging";
const WORKERS: &str = "worker rows";
const ROWS: &str = "task rows";
const QUERIES: &str = "queries";

/// Task rows that a look may list: each costs the server a read of its key.
const SCAN_MAX: u64 = 50_000;

/// Looks for everything that nobody needs.
pub(crate) async fn check(session: &Session, age: Duration, config: &Config) -> Vec<Finding> {
    let told = |check, found: Result<Finding, StoreError>| {
        found.unwrap_or_else(|error| unseen(check, Level::Warning, &error.into(), config))
    };
    let mut all = vec![
        told(STAGING, staging(session, age).await),
        told(WORKERS, workers(session, age).await),
        told(ROWS, rows(session).await),
        told(QUERIES, queries(session).await),
    ];
    // Staging tables and statements are on the server of their task.
    let (others, away) = match session.elsewhere().await {
        Ok(found) => found,
        Err(error) => {
            all.push(unseen(STAGING, Level::Warning, &error, config));
            return all;
        }
    };
    for other in others {
        let url = &other.server.connection().url;
        all.push(told(STAGING, staging(&other, age).await).about(url));
        all.push(told(QUERIES, queries(&other).await).about(url));
    }
    for url in away {
        let message = "not checked: it does not answer, or another server answers at its address";
        let remedy = "nothing, if no open job needs it; else bring that server back";
        all.push(Finding::warning(STAGING, message, remedy).about(url));
    }
    all
}

async fn staging(session: &Session, age: Duration) -> Result<Finding, StoreError> {
    let (server, database) = (&session.server, session.server.staging());
    // The server lists only what the user may see, and says nothing of the rest.
    let grant = Grant {
        privileges: "SHOW TABLES".to_owned(),
        on: format!("{}.*", name(database)),
        why: "",
    };
    if !may(server, &grant.privileges, &grant.on).await? {
        let user = &server.connection().user;
        let message = format!("not checked: user `{user}` may not see the tables of `{database}`");
        return Ok(Finding::warning(STAGING, message, grant.statement(user)));
    }
    let found = leftovers::staging(session, age).await?;
    if !found.foreign.is_empty() {
        let message = format!(
            "{} in `{database}` are not Longshore's, as `{}`; they are never touched",
            text::plural(found.foreign.len() as u64, "table"),
            found.foreign[0]
        );
        let remedy = "give the staging tables a database of their own (--staging-database)";
        return Ok(Finding::warning(STAGING, message, remedy));
    }
    let paths = keeper_paths::list_unowned(server).await?;
    if let (true, Some(first)) = (found.leftovers.is_empty(), paths.first()) {
        let message = format!(
            "{} in Keeper without a table, as {first}: the server was killed while it made or dropped it",
            text::plural(paths.len() as u64, "path")
        );
        return Ok(Finding::warning(STAGING, message, "longshore gc"));
    }
    if found.leftovers.is_empty() {
        return Ok(Finding::ok(STAGING, format!("nothing is left over in `{database}`")));
    }
    let (holding, left): (Vec<Leftover>, Vec<Leftover>) =
        found.leftovers.into_iter().partition(Leftover::needs_a_person);
    if let Some(first) = holding.first() {
        let message = format!(
            "{} with rows under a shadow's name, as {}: no job is known here that filled them",
            text::plural(holding.len() as u64, "table"),
            first.table()
        );
        let remedy = "longshore gc   (lists them with their rows; it never removes them)\n\
                      it may be the old table of an exchange: compare it with the target, then rename or drop it by hand";
        return Ok(Finding::warning(STAGING, message, remedy));
    }
    let count = text::plural(left.len() as u64, "table");
    let message = format!("{count} in `{database}` belong to nothing that goes on");
    let foreign = left.iter().all(|left| left.why == Why::UnknownJob);
    let remedy = if foreign { "longshore gc --unknown-jobs" } else { "longshore gc" };
    Ok(Finding::warning(STAGING, message, remedy))
}

async fn workers(session: &Session, age: Duration) -> Result<Finding, StoreError> {
    let stale = leftovers::workers(session, age).await?;
    if stale.is_empty() {
        return Ok(Finding::ok(WORKERS, "none is left over"));
    }
    let count = text::plural(stale.len() as u64, "row");
    let message = format!("{count} of workers that died more than {} ago", text::seconds(age));
    Ok(Finding::warning(WORKERS, message, "longshore gc"))
}

async fn rows(session: &Session) -> Result<Finding, StoreError> {
    let jobs = owners::jobs(session).await?;
    let tasks: u64 = jobs.values().map(|job| u64::from(job.tasks)).sum();
    let unknown = leftovers::unknown_rows(session, &jobs, tasks <= SCAN_MAX).await?;
    let Some((first, rows)) = unknown.iter().next() else {
        let message = if tasks <= SCAN_MAX {
            "each belongs to a job".to_owned()
        } else {
            format!("not listed, there are {}; each cursor belongs to a job", text::count(tasks))
        };
        return Ok(Finding::ok(ROWS, message));
    };
    let message = format!(
        "{} ({first}: {} rows) was being planned and is not finished",
        text::plural(unknown.len() as u64, "job"),
        text::count(*rows)
    );
    let remedy = "run the same `longshore plan` again: it goes on where it stopped";
    Ok(Finding::warning(ROWS, message, remedy))
}

async fn queries(session: &Session) -> Result<Finding, StoreError> {
    let ownerless = leftovers::ownerless(session).await?;
    let Some(first) = ownerless.first() else {
        return Ok(Finding::ok(QUERIES, "each that runs for a task has a live worker"));
    };
    let message = format!(
        "{} of tasks run without a live worker, as {} for {:.0}s",
        text::plural(ownerless.len() as u64, "statement"),
        first.query_id,
        first.elapsed
    );
    let remedy = "nothing: whoever takes the task over stops them first";
    Ok(Finding::warning(QUERIES, message, remedy))
}
