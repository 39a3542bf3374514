//! `docs/recovery.md`: each test makes the damage, and then runs the recipe's commands as the page has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::advice::states::{self, column_added, target_dropped, workers_gone};
use longshore_tests::{CLICKHOUSE, LONG_LEASE, Midway, OwnBed, Scene, drawn_few, name};

/// Recipes that are tried at the same time.
const LANES: usize = 4;

/// Lease of the workers that a recipe starts.
const RECIPE_LEASE: &str = "30s";

/// A block of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Shell(String),
    Sql(String),
}

/// The damage that a recipe is for, and how the job must end.
type Damage = fn() -> Midway;

const COMPLETED: &str = "completed";

/// Every recipe with its damage. The one of a server has a test of its own.
const RECIPES: &[(&str, Damage, &str)] = &[
    ("A worker machine died", workers_gone, COMPLETED),
    ("The laptop was closed during run", workers_gone, COMPLETED),
    ("The job does not move", workers_gone, COMPLETED),
    ("Half of the rows are visible", workers_gone, COMPLETED),
    ("An upgrade is due in the middle of a job", workers_gone, COMPLETED),
    ("The job has to stop now", workers_gone, "cancelled"),
    ("The job is paused because a table changed", column_added, COMPLETED),
    ("Tasks have failed", file_missed, COMPLETED),
    ("A task is quarantined", staging_hidden, COMPLETED),
    ("A quarantined task is in no target", staging_lost, COMPLETED),
    ("A quarantined task is in its targets", moved_by_hand, COMPLETED),
    ("The closing audit failed a job", receipts_hidden, COMPLETED),
    ("Somebody dropped the staging database", staging_database_dropped, COMPLETED),
    ("Somebody dropped the target", target_dropped, COMPLETED),
    ("Keeper was restored from a backup, or task rows were deleted", rows_deleted, COMPLETED),
    ("Wrong rows were loaded", completed, COMPLETED),
];
const OF_SERVERS: &str = "The server or its Keeper was away";

/// The recipes of the page, with their blocks.
fn recipes() -> BTreeMap<String, Vec<Block>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recovery.md");
    let text = fs::read_to_string(page).expect("docs/recovery.md");
    let mut recipes: BTreeMap<String, Vec<Block>> = BTreeMap::new();
    let (mut heading, mut block): (String, Option<(bool, String)>) = (String::new(), None);
    for line in text.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some((true, String::new())),
            (None, "```sql") => block = Some((false, String::new())),
            (Some(_), "```") => {
                let (is_shell, text) = block.take().expect("a block");
                let block = if is_shell { Block::Shell(text) } else { Block::Sql(text) };
                recipes.entry(heading.clone()).or_default().push(block);
            }
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, line) => {
                if let Some(title) = line.strip_prefix("## ") {
                    heading = title.to_owned();
                    recipes.entry(heading.clone()).or_default();
                }
            }
        }
    }
    recipes
}

/// Runs the blocks of a recipe.
fn follow(midway: &Midway, blocks: &[Block], title: &str) {
    let scene = &midway.scene;
    let target = format!("{}.events", scene.db);
    for block in blocks {
        match block {
            Block::Sql(text) => {
                let text = text.replace("$TARGET", &target).replace("$DATABASE", &scene.db);
                scene.admin.run_all(&text);
            }
            Block::Shell(text) => {
                let plan = format!(
                    "longshore plan files --target {target} --url '{}' --named-collection {} --chunk-files-max 1",
                    scene.key("*"),
                    scene.bed.collection
                );
                let said = Command::new("sh")
                    .args(["-eu", "-c", text])
                    .current_dir(scene.folder())
                    .env_clear()
                    .envs(scene.settings())
                    // Workers that died were signed off; those here must not lapse on a busy machine.
                    .env("LONGSHORE_LEASE", RECIPE_LEASE)
                    .envs([("JOB", &midway.job), ("TARGET", &target), ("PLAN", &plan)])
                    .output()
                    .expect("a shell");
                let words = format!(
                    "{title}\n{text}\n{}{}",
                    String::from_utf8_lossy(&said.stdout),
                    String::from_utf8_lossy(&said.stderr)
                );
                assert!(said.status.success(), "{words}");
            }
        }
    }
}

#[test]
fn every_recipe_does_what_it_says() {
    let all = recipes();
    let tested: Vec<&str> = RECIPES.iter().map(|(title, ..)| *title).chain([OF_SERVERS]).collect();
    // What stands before the first heading is the first look.
    let written: Vec<&str> =
        all.keys().map(String::as_str).filter(|title| !title.is_empty()).collect();
    for title in &written {
        assert!(tested.contains(title), "no test runs the recipe `{title}`");
    }
    assert_eq!(tested.len(), written.len(), "a recipe is missing in docs/recovery.md: {written:?}");
    let first_look = &all[""];
    assert_eq!(first_look.len(), 1);
    let (all, visited) = (&all, &drawn_few(RECIPES, LANES));
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                for (title, damage, end) in visited.iter().skip(lane).step_by(LANES) {
                    let midway = damage();
                    follow(&midway, first_look, title);
                    follow(&midway, &all[*title], title);
                    assert_end(&midway, title, end);
                }
            });
        }
    });
}

fn assert_end(midway: &Midway, title: &str, end: &str) {
    let status = midway.scene.status(&midway.job);
    assert_eq!(status["state"], end, "{title}: {status}");
    if end == COMPLETED {
        midway.scene.assert_exact();
        midway.scene.assert_clean(&midway.job);
    } else {
        midway.assert_honest();
    }
}

#[test]
fn a_server_that_was_killed() {
    let bed = OwnBed::start();
    let mut midway = Midway::of(Scene::on(&bed.bed).and_events(6, 200));
    bed.signal(CLICKHOUSE, "KILL");
    bed.restart(CLICKHOUSE);
    midway.kill_workers();
    midway.scene.sign_all_off();
    follow(&midway, &recipes()[OF_SERVERS], OF_SERVERS);
    assert_end(&midway, OF_SERVERS, COMPLETED);
}

/// The staging tables of the task that publishes, under their own names.
fn staged_for_publishing(midway: &Midway) -> Vec<String> {
    let prefix = midway.task("publishing").replace('-', "_");
    let staged = midway.scene.staged();
    let views = format!("{prefix}_e1_v");
    staged.into_iter().filter(|one| one.starts_with(&prefix) && !one.starts_with(&views)).collect()
}

/// A file that was away for a while.
fn file_missed() -> Midway {
    let midway = states::file_missed();
    assert_eq!(midway.scene.tasks().count("failed"), 1, "{:?}", midway.scene.tasks());
    states::put_file_back(&midway);
    midway
}

/// Somebody renamed staging tables while their task was published, and renames them back.
fn staging_hidden() -> Midway {
    let midway = states::staging_hidden();
    states::staging_back(&midway);
    midway
}

/// Receipts were gone when the job was closed; they are put back, and the job is still failed.
fn receipts_hidden() -> Midway {
    let midway = states::receipts_hidden();
    let status = midway.scene.status(&midway.job);
    assert_eq!(status["state"], "failed", "the audit has seen that receipts are missing: {status}");
    states::receipts_back(&midway);
    midway
}

fn staging_lost() -> Midway {
    let mut midway = Midway::new();
    for table in staged_for_publishing(&midway) {
        let table = format!("{}.{}", midway.scene.staging, name(&table));
        midway.scene.admin.run(&format!("DROP TABLE {table} SYNC"));
    }
    midway.resume_workers();
    assert_eq!(midway.scene.tasks().count("quarantined"), 1, "{:?}", midway.scene.tasks());
    midway
}

/// Somebody inserted the staged rows into the target, whose views fired, and dropped what was staged.
fn moved_by_hand() -> Midway {
    let mut midway = Midway::new();
    let (staging, db, admin) =
        (midway.scene.staging.clone(), midway.scene.db.clone(), midway.scene.admin.clone());
    for table in staged_for_publishing(&midway) {
        let from = format!("{staging}.{}", name(&table));
        if table.ends_with("_events") {
            admin.run(&format!("INSERT INTO {db}.events SELECT * FROM {from}"));
        }
        admin.run(&format!("DROP TABLE {from} SYNC"));
    }
    midway.resume_workers();
    assert_eq!(midway.scene.tasks().count("quarantined"), 1, "{:?}", midway.scene.tasks());
    midway
}

fn staging_database_dropped() -> Midway {
    let mut midway = Midway::new();
    midway.scene.admin.run(&format!("DROP DATABASE {} SYNC", midway.scene.staging));
    midway.resume_workers();
    midway
}

fn rows_deleted() -> Midway {
    let mut midway = Midway::new();
    let keys = ["pending", "done", "publishing"].map(|state| format!("'{}'", midway.task(state)));
    let control = &midway.scene.control;
    let wrong = format!("DELETE FROM {control}.tasks WHERE task_id IN ({})", keys.join(", "));
    midway.scene.admin.run(&wrong);
    midway.resume_workers();
    midway
}

fn completed() -> Midway {
    let mut midway = Midway::new();
    midway.resume_workers();
    midway.scene.worker(&midway.job).env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    midway
}
