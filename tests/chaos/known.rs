//! What a person can know of rows before deciding about a task: files and tables are compared. The
//! control tables are asked only for states, and for which task has which files.
//!
//! What cannot be known for certain, because a server is away for one, is not known: then nothing is
//! said, and a person gives no command that would claim it.

use std::collections::BTreeSet;

use longshore_shared::task::Chunk;
use longshore_tests::{Scene, TaskRow, literal, name, rows_sql};

use crate::schedule::Shape;
use crate::tables;

/// Quarantined tasks of which nothing is in any table, so that they may be loaded from their beginning.
///
/// A task is published table by table, but where one cannot be emptied the others are all the same. So it
/// takes more than a look at the target: of a job that has ended, the tables of the views hold what their
/// queries make of the target. While it runs they do not; then the server has to know each part that was
/// moved, and it is not asked where tables forget or where parts were cut.
pub(crate) fn find_absent(
    scene: &Scene,
    job: &str,
    shape: &Shape,
    is_cut: bool,
) -> Option<Vec<String>> {
    let tasks = scene.try_tasks()?.0;
    let quarantined = tasks.iter().filter(|task| task.state == "quarantined");
    if has_ended(scene, job, &tasks)? {
        if !do_views_agree(scene, shape)? {
            return None;
        }
        if shape.copies {
            // A piece of a table has no file: either nothing of all of them is there, or it is not known.
            let done: u64 = tasks.iter().map(|t| if t.state == "done" { t.rows } else { 0 }).sum();
            let all = number(scene, &format!("SELECT count() FROM {}.events", scene.db))?;
            return (all == done).then(|| quarantined.map(|task| task.id.clone()).collect());
        }
    } else if shape.copies || shape.forgets || is_cut {
        return None;
    }
    let is_absent = |task: &&TaskRow| -> bool {
        let rows = |table| count_rows(scene, table, &task.id);
        rows("events") == Some(0) && rows("buys") == Some(0)
    };
    Some(quarantined.filter(is_absent).map(|task| task.id.clone()).collect())
}

/// Quarantined tasks of which every row is in every table, of a job that has ended.
pub(crate) fn find_present(scene: &Scene, job: &str, shape: &Shape) -> Option<Vec<String>> {
    let tasks = scene.try_tasks()?.0;
    if !has_ended(scene, job, &tasks)? || !do_views_agree(scene, shape)? {
        return None;
    }
    let wrong = find_differing(scene, shape)?;
    let is_present = |task: &&TaskRow| -> bool {
        if shape.copies {
            return wrong.is_empty();
        }
        let files = files_of(scene, &task.id);
        files.is_some_and(|files| files.iter().all(|file| !wrong.contains(file)))
    };
    let quarantined = tasks.iter().filter(|task| task.state == "quarantined");
    Some(quarantined.filter(is_present).map(|task| task.id.clone()).collect())
}

/// Is every row of every file of a job that has ended in the target once, and all that its views make of it?
pub(crate) fn is_everything_there(scene: &Scene, job: &str, shape: &Shape) -> bool {
    let tasks = scene.try_tasks().map(|tasks| tasks.0).unwrap_or_default();
    has_ended(scene, job, &tasks) == Some(true)
        && do_views_agree(scene, shape) == Some(true)
        && find_differing(scene, shape).is_some_and(|wrong| wrong.is_empty())
}

/// Rows of a task's files in a table; not known of a piece of a table.
pub(crate) fn count_rows(scene: &Scene, table: &str, task: &str) -> Option<u64> {
    let files: Vec<String> = files_of(scene, task)?.iter().map(|file| literal(file)).collect();
    if files.is_empty() {
        return None;
    }
    let files = files.join(", ");
    number(scene, &format!("SELECT count() FROM {}.{table} WHERE file IN ({files})", scene.db))
}

/// Puts the rows of a task that is in no table into the target by hand, and so into the tables of the
/// views. Not while anything of it is staged, which could be moved there as well.
pub(crate) fn put_by_hand(scene: &Scene, shape: &Shape, task: &str) -> Option<()> {
    let staged = number(
        scene,
        &format!(
            "SELECT sum(rows) FROM system.parts WHERE database = '{}' AND startsWith(table, '{}_e')",
            scene.staging,
            task.replace('-', "_")
        ),
    )?;
    let files = files_of(scene, task)?;
    if staged > 0 || files.is_empty() {
        return None;
    }
    for (file, rows) in tables::files(shape).filter(|(file, _)| files.contains(file)) {
        let rows = rows_sql(&file, rows);
        scene.admin.try_run(&format!("INSERT INTO {}.events {rows}", scene.db)).ok()?;
    }
    Some(())
}

/// Has the job ended, and every task of it? Then nothing of it changes by itself.
fn has_ended(scene: &Scene, job: &str, tasks: &[TaskRow]) -> Option<bool> {
    let row = format!("SELECT state FROM {}.jobs WHERE job_id = '{job}'", scene.control);
    let is_over = |task: &TaskRow| matches!(task.state.as_str(), "done" | "failed" | "quarantined");
    Some(scene.admin.try_run(&row).ok()? == "failed" && tasks.iter().all(is_over))
}

/// Names of the files of a task.
fn files_of(scene: &Scene, task: &str) -> Option<Vec<String>> {
    let chunk =
        format!("SELECT hex(chunk) FROM {}.tasks WHERE task_id = {}", scene.control, literal(task));
    let hex = scene.admin.try_run(&chunk).ok()?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..hex.len() / 2).map(byte).collect::<Option<_>>()?;
    let chunk = Chunk::decode(&bytes).ok()?;
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    Some(chunk.files().iter().map(|file| name(&file.path)).collect())
}

/// Does the target of every view hold what its query makes of the table that it reads?
fn do_views_agree(scene: &Scene, shape: &Shape) -> Option<bool> {
    let whole = "SELECT count(), sum(cityHash64(*)) FROM";
    for view in ["daily_mv", "buys"].iter().chain(shape.deep.then_some(&"months")) {
        let (found, expected) = target_and_query(scene, view)?;
        let found = scene.admin.try_run(&format!("{whole} {found} SETTINGS final = 1")).ok()?;
        if found != scene.admin.try_run(&format!("{whole} {expected}")).ok()? {
            return Some(false);
        }
    }
    if !shape.deep {
        return Some(true);
    }
    let (found, expected) = target_and_query(scene, "users_mv")?;
    let merged = |from: &str| {
        scene.admin.try_run(&format!(
            "SELECT kind, uniqExactMerge(seen), sum(value) FROM {from} GROUP BY kind ORDER BY kind"
        ))
    };
    Some(merged(&found).ok()? == merged(&expected).ok()?)
}

/// What a view has put into its target, and what its query makes now.
fn target_and_query(scene: &Scene, view: &str) -> Option<(String, String)> {
    let select = scene.admin.try_run(&format!(
        "SELECT as_select FROM system.tables WHERE database = '{}' AND name = '{view}' FORMAT TSVRaw",
        scene.db
    ));
    Some((format!("{}.{}", scene.db, name(view)), format!("({})", select.ok()?)))
}

/// Files of which the target does not hold every row once. What is in them is made anew, so that a store
/// that is away keeps nobody from looking.
fn find_differing(scene: &Scene, shape: &Shape) -> Option<BTreeSet<String>> {
    let files = tables::files(shape).filter(|(_, rows)| *rows > 0);
    let made: Vec<String> = files.map(|(file, rows)| rows_sql(&file, rows)).collect();
    let digest = |from: &str| {
        let rows = scene.admin.try_rows(&format!(
            "SELECT file, count(), uniqExact(n, checksum), sum(cityHash64(file, n, day, kind, value, checksum)) \
             FROM {from} GROUP BY file"
        ));
        Some(rows.ok()?.into_iter().collect::<BTreeSet<Vec<String>>>())
    };
    let found = digest(&format!("{}.events", scene.db))?;
    let expected = digest(&format!("({})", made.join(" UNION ALL ")))?;
    Some(found.symmetric_difference(&expected).map(|row| row[0].clone()).collect())
}

fn number(scene: &Scene, statement: &str) -> Option<u64> {
    scene.admin.try_run(statement).ok()?.parse().ok()
}
