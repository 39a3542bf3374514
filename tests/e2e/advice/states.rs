//! States of a job in which somebody asks what to do, and what a person mends in them.

use std::fs;
use std::process::Command;

use longshore_tests::{Format, LONG_LEASE, Midway, Scene};

/// Lease of the workers that an advice starts.
const LEASE: &str = "30s";

/// Carries out what an advice says, as a person at a shell does. Did it go well, and what was said?
pub(crate) fn shell(midway: &Midway, command: &str) -> (bool, String) {
    let command = match command.strip_prefix("longshore-worker") {
        Some(rest) => format!("longshore-worker{rest} --exit-when-idle"),
        None => command.to_owned(),
    };
    let said = Command::new("sh")
        .args(["-eu", "-c", &command])
        .current_dir(midway.scene.folder())
        .env_clear()
        .envs(midway.scene.settings())
        .env("LONGSHORE_LEASE", LEASE)
        .output()
        .expect("a shell");
    let [out, err] =
        [&said.stdout, &said.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (said.status.success(), format!("$ {command}\n{out}{err}"))
}

/// The command that made the plan, once more.
pub(crate) fn plan_again(midway: &Midway) {
    midway.scene.plan(&["--chunk-files-max", "1"]);
}

pub(crate) fn planned() -> Midway {
    let scene = Scene::with_events(3, 100);
    let job = scene.plan(&["--chunk-files-max", "1"]);
    Midway::at_rest(scene, job)
}

pub(crate) fn planner_cut() -> Midway {
    let scene = Scene::with_events(3, 100);
    let plan = scene.plan_program("events", "*", &["--chunk-files-max", "1"]);
    let cut = plan.faults("plan.tasks=exit").run();
    assert!(cut.was_killed(), "{cut}");
    let plans = scene.longshore(["plan", "list", "--json"]).run().ok().json();
    let job = plans["plans"][0]["plan_id"].as_str().expect("a plan").to_owned();
    Midway::at_rest(scene, job)
}

pub(crate) fn paused() -> Midway {
    let mut midway = Midway::new();
    midway.scene.longshore(["pause", &midway.job]).run().ok();
    midway.resume_workers();
    midway
}

pub(crate) fn retry_cut() -> Midway {
    let midway = file_missed();
    put_file_back(&midway);
    let retry = midway.scene.longshore(["retry", &midway.job, "--failed"]);
    let cut = retry.faults("reopen.begun=exit").run();
    assert!(cut.was_killed(), "{cut}");
    midway
}

/// The command was told to end the job, and no worker is there to do it.
pub(crate) fn cancel_cut() -> Midway {
    let midway = workers_gone();
    midway.scene.longshore(["cancel", &midway.job, "--no-wait"]).run().ok();
    assert_eq!(midway.scene.status(&midway.job)["state"], "cancelling");
    midway
}

pub(crate) fn deletion_cut() -> Midway {
    let midway = planned();
    let delete = midway.scene.longshore(["plan", "delete", &midway.job, "--yes"]);
    let cut = delete.faults("delete.marked=exit").run();
    assert!(cut.was_killed(), "{cut}");
    midway
}

pub(crate) fn cancelled() -> Midway {
    let mut midway = Midway::new();
    midway.scene.longshore(["pause", &midway.job]).run().ok();
    midway.resume_workers();
    midway.scene.longshore(["cancel", &midway.job]).run().ok();
    midway
}

pub(crate) fn workers_gone() -> Midway {
    let mut midway = Midway::new();
    midway.kill_workers();
    midway.scene.sign_all_off();
    midway
}

const MISSED: &str = "missed";

/// A file that is away while its task is tried; its name is noted.
pub(crate) fn file_missed() -> Midway {
    let mut midway = Midway::new();
    let files = midway.scene.files_of_task(&midway.task("pending"));
    let file = files.first().expect("one file a task").clone();
    midway.scene.delete(&file);
    fs::write(midway.scene.folder().join(MISSED), &file).expect("a note");
    midway.resume_workers();
    midway
}

pub(crate) fn put_file_back(midway: &Midway) {
    let file = fs::read_to_string(midway.scene.folder().join(MISSED)).expect("a note");
    midway.scene.put_rows(&file, 200, Format::Parquet);
}

/// A file that was written again, with other rows, before its task was tried.
pub(crate) fn file_changed() -> Midway {
    let mut midway = Midway::new();
    let files = midway.scene.files_of_task(&midway.task("pending"));
    let file = files.first().expect("one file a task");
    midway.scene.forget(file);
    midway.scene.put_rows(file, 150, Format::Parquet);
    midway.resume_workers();
    midway
}

pub(crate) fn plan_changed_files(midway: &Midway) {
    let scene = &midway.scene;
    let target = format!("{}.events", scene.db);
    let command = format!(
        "longshore tasks {job} --state failed --files >LIST\n\
         plan=$(longshore plan files --files LIST --target {target} --named-collection {} --json)\n\
         longshore run \"$(echo \"$plan\" | sed 's/.*\"plan_id\":\"\\([0-9a-f]*\\)\".*/\\1/')\" --workers 1",
        scene.bed.collection,
        job = midway.job
    );
    let (is_well, words) = shell(midway, &command);
    assert!(is_well, "{words}");
    // Whoever tries the task again all the same loads nothing.
    midway.scene.longshore(["retry", &midway.job, "--failed"]).run().ok();
    midway.scene.longshore(["run", &midway.job, "--workers", "1"]).run();
}

pub(crate) fn staging_hidden() -> Midway {
    let mut midway = Midway::new();
    rename_staged(&midway, "", "hidden_");
    midway.resume_workers();
    assert_eq!(midway.scene.tasks().count("quarantined"), 1, "{:?}", midway.scene.tasks());
    midway
}

pub(crate) fn staging_back(midway: &Midway) {
    rename_staged(midway, "hidden_", "");
}

/// Renames the staging tables of the task that is being published.
pub(crate) fn rename_staged(midway: &Midway, from: &str, to: &str) {
    let (staging, admin) = (&midway.scene.staging, &midway.scene.admin);
    let tasks = midway.scene.tasks().0;
    let task =
        tasks.iter().find(|task| ["publishing", "quarantined"].contains(&task.state.as_str()));
    let prefix = task.expect("a task").id.replace('-', "_");
    let start = format!("{from}{prefix}");
    for table in midway.scene.staged().iter().filter(|table| table.starts_with(&start)) {
        let name = table.strip_prefix(from).expect("a name");
        if name.starts_with(&format!("{prefix}_e1_v")) {
            continue;
        }
        admin.run(&format!("RENAME TABLE {staging}.`{table}` TO {staging}.`{to}{name}`"));
    }
}

pub(crate) fn receipts_hidden() -> Midway {
    let mut midway = Midway::new();
    let (control, admin) = (midway.scene.control.clone(), midway.scene.admin.clone());
    admin.run(&format!("CREATE TABLE {control}.hidden AS {control}.receipts"));
    admin.run(&format!("INSERT INTO {control}.hidden SELECT * FROM {control}.receipts FINAL"));
    admin.run(&format!("TRUNCATE TABLE {control}.receipts SYNC"));
    midway.resume_workers();
    midway.scene.worker(&midway.job).env("LONGSHORE_LEASE", LONG_LEASE).run();
    midway
}

pub(crate) fn receipts_back(midway: &Midway) {
    let (control, admin) = (&midway.scene.control, &midway.scene.admin);
    admin.run(&format!("INSERT INTO {control}.receipts SELECT * FROM {control}.hidden"));
    admin.run(&format!("DROP TABLE {control}.hidden SYNC"));
}

/// The row of a task that waits is gone.
pub(crate) fn rows_lost() -> Midway {
    lost(&["pending"])
}

/// So, that of a task that is done too, and the plan was given once more: it is pending again.
pub(crate) fn forgotten() -> Midway {
    let midway = lost(&["pending", "done"]);
    plan_again(&midway);
    midway.scene.longshore(["resume", &midway.job]).run().ok();
    midway.scene.worker(&midway.job).env("LONGSHORE_LEASE", LONG_LEASE).run();
    midway
}

fn lost(states: &[&str]) -> Midway {
    let mut midway = Midway::new();
    let keys: Vec<String> =
        states.iter().map(|state| format!("'{}'", midway.task(state))).collect();
    let control = &midway.scene.control;
    let wrong = format!("DELETE FROM {control}.tasks WHERE task_id IN ({})", keys.join(", "));
    midway.scene.admin.run(&wrong);
    midway.resume_workers();
    midway
}

pub(crate) fn staging_dropped() -> Midway {
    let scene = Scene::with_events(3, 100);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.admin.run(&format!("DROP DATABASE {} SYNC", scene.staging));
    scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE).run();
    Midway::at_rest(scene, job)
}

pub(crate) fn target_dropped() -> Midway {
    let mut midway = Midway::new();
    midway.scene.admin.run(&format!("DROP TABLE {}.events", midway.scene.db));
    midway.resume_workers();
    midway
}

pub(crate) fn undrop(midway: &Midway) {
    midway.scene.admin.run(&format!("UNDROP TABLE {}.events", midway.scene.db));
}

pub(crate) fn column_added() -> Midway {
    let mut midway = Midway::new();
    midway
        .scene
        .admin
        .run(&format!("ALTER TABLE {}.events ADD COLUMN extra UInt8", midway.scene.db));
    midway.resume_workers();
    midway
}

pub(crate) fn drop_column(midway: &Midway) {
    midway.scene.admin.run(&format!("ALTER TABLE {}.events DROP COLUMN extra", midway.scene.db));
}

pub(crate) fn made_again() -> Midway {
    let mut midway = Midway::new();
    let (db, admin) = (midway.scene.db.clone(), midway.scene.admin.clone());
    admin.run(&format!("CREATE TABLE {db}.other AS {db}.events"));
    admin.run(&format!("DROP TABLE {db}.events SYNC"));
    admin.run(&format!("RENAME TABLE {db}.other TO {db}.events"));
    midway.resume_workers();
    midway
}

/// The way that the advice tells in words: the job is given up, its other tables are emptied, and all
/// of it is loaded by a new plan.
pub(crate) fn load_anew(midway: &Midway) {
    let (scene, db) = (&midway.scene, &midway.scene.db);
    scene.longshore(["cancel", &midway.job]).run();
    for table in ["daily", "buys"] {
        scene.admin.run(&format!("TRUNCATE TABLE {db}.{table} SYNC"));
    }
    let job = scene.plan(&["--again", "the table is a new one"]);
    scene.longshore(["run", &job, "--workers", "1"]).run().ok();
}
