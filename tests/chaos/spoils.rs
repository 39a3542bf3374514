//! Mistakes of people: rows of control tables that somebody deletes, staging tables that somebody empties.

use longshore_tests::{Scene, Tasks, name};

use crate::kind::Kind;
use crate::known;
use crate::schedule::Fault;

/// Tasks that are looked at before one is taken whose staging tables are emptied.
const LOOKED_AT_MAX: usize = 3;
/// So many tasks wait when the row of a job is deleted: it is not the moment in which it ends.
const WAITING_MIN: usize = 3;

/// Does it; false when there is nothing to spoil, or the server is away.
pub(crate) fn spoil(scene: &Scene, job: &str, fault: &Fault) -> bool {
    let Some(tasks) = scene.try_tasks().filter(|tasks| !tasks.0.is_empty()) else {
        return false;
    };
    let task = &tasks.0[fault.pick % tasks.0.len()].id;
    let control = &scene.control;
    let run = |statement: String| scene.admin.try_run(&statement).is_ok();
    match fault.kind {
        Kind::TaskRowGone => run(format!("DELETE FROM {control}.tasks WHERE task_id = '{task}'")),
        Kind::ReceiptRowGone => run(format!(
            "DELETE FROM {control}.receipts WHERE task_id = '{task}' SETTINGS lightweight_deletes_sync = 2"
        )),
        Kind::JobRowGone => tasks.count("pending") >= WAITING_MIN && forget_job(scene, job),
        _ => empty_staging(scene, &tasks, fault).unwrap_or(false),
    }
}

/// Only of a job that lives: in another state its row says what nothing else does, a wish or a finding of
/// the closing audit. False when it is still there.
fn forget_job(scene: &Scene, job: &str) -> bool {
    let row = format!("{}.jobs WHERE job_id = '{job}'", scene.control);
    let living = "state IN ('running', 'paused', 'halted')";
    let deleted = scene.admin.try_run(&format!("DELETE FROM {row} AND {living}"));
    let left = scene.admin.try_run(&format!("SELECT count() FROM {row}"));
    deleted.is_ok() && left.is_ok_and(|left| left == "0")
}

/// Two times of three the whole staging set of a task that is published, rather of one of which nothing
/// is in the target: a person can know of it afterwards. Else any table.
fn empty_staging(scene: &Scene, tasks: &Tasks, fault: &Fault) -> Option<bool> {
    let staging = &scene.staging;
    let tables = scene.admin.try_rows(&format!(
        "SELECT name FROM system.tables WHERE database = '{staging}' \
         AND engine != 'MaterializedView' AND name NOT LIKE '%snapshot%' ORDER BY name"
    ));
    let tables: Vec<String> = tables.ok()?.into_iter().flatten().collect();
    let publishing: Vec<&str> = tasks
        .0
        .iter()
        .filter(|task| task.state == "publishing")
        .map(|task| task.id.as_str())
        .collect();
    let begins = |task: &&&str| known::count_rows(scene, "events", task) == Some(0);
    let task = publishing.iter().take(LOOKED_AT_MAX).find(begins).or_else(|| publishing.first());
    let chosen: Vec<&String> = match task {
        Some(task) if !fault.pick.is_multiple_of(3) => {
            let prefix = format!("{}_e", task.replace('-', "_"));
            tables.iter().filter(|table| table.starts_with(&prefix)).collect()
        }
        _ => tables.get(fault.pick % tables.len().max(1)).into_iter().collect(),
    };
    let verb = if fault.pick.is_multiple_of(5) { "DROP" } else { "TRUNCATE" };
    let empty = |table: &String| {
        scene.admin.try_run(&format!("{verb} TABLE {staging}.{} SYNC", name(table))).is_ok()
    };
    // All of them, not only until one was emptied.
    let emptied: Vec<bool> = chosen.into_iter().map(empty).collect();
    Some(emptied.contains(&true))
}
