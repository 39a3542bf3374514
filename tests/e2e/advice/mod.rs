//! What `longshore doctor JOB` advises is followed as it stands, in the state in which it is printed:
//! the rows are in the target once afterwards. `docs/doctor.md` lists the advice.

pub(crate) mod states;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use longshore_tests::{Midway, Scene, drawn_few};

use states::*;

/// States that are tried at the same time.
const LANES: usize = 3;

/// What a person does whom an advice tells to mend something.
type Mend = fn(&Midway);

/// A state, what a person mends in it, and how the job must end.
#[derive(Clone)]
struct State {
    /// The row of the page.
    title: &'static str,
    /// Words of the advice.
    says: &'static str,
    make: fn() -> Midway,
    mend: Mend,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Every row is there once.
    Exact,
    /// So too, when the same plan is given again and run.
    Planned,
    /// What is done is there once, and nothing else.
    Honest(&'static str),
    /// The plan is gone, and nothing of it is in the target.
    Gone,
}

const fn state(
    title: &'static str,
    says: &'static str,
    make: fn() -> Midway,
    mend: Mend,
    end: End,
) -> State {
    State { title, says, make, mend, end }
}

fn nothing(_: &Midway) {}

const STATES: &[State] = &[
    state("a plan that is not submitted", "longshore submit JOB", planned, nothing, End::Exact),
    state("a planner was cut", "it makes the plan whole", planner_cut, plan_again, End::Planned),
    state("an operator paused the job", "longshore resume JOB", paused, nothing, End::Exact),
    state("a retry was cut", "longshore resume JOB", retry_cut, nothing, End::Exact),
    state(
        "a cancel was cut",
        "longshore cancel JOB",
        cancel_cut,
        nothing,
        End::Honest("cancelled"),
    ),
    state(
        "a deletion was cut",
        "longshore plan delete JOB --yes",
        deletion_cut,
        nothing,
        End::Gone,
    ),
    state("the job was cancelled", "longshore resume JOB", cancelled, nothing, End::Exact),
    state("a task failed", "longshore retry JOB --failed", file_missed, put_file_back, End::Exact),
    state(
        "a task's file changed",
        "load them by a job of their own",
        file_changed,
        plan_changed_files,
        End::Honest("failed"),
    ),
    state(
        "a task is in quarantine",
        "longshore retry JOB --quarantined",
        staging_hidden,
        staging_back,
        End::Exact,
    ),
    state(
        "the closing audit failed the job",
        "longshore run JOB",
        receipts_hidden,
        receipts_back,
        End::Exact,
    ),
    state("no worker is there", "longshore-worker --job JOB", workers_gone, nothing, End::Exact),
    state(
        "task rows were lost, receipts are there",
        "longshore restore JOB",
        forgotten,
        nothing,
        End::Exact,
    ),
    state(
        "task rows were lost",
        "the command that made the plan",
        rows_lost,
        plan_again,
        End::Exact,
    ),
    state(
        "the staging database was dropped",
        "longshore init",
        staging_dropped,
        nothing,
        End::Exact,
    ),
    state("a table was dropped", "UNDROP TABLE", target_dropped, undrop, End::Exact),
    state("a table or view changed", "undo the change", column_added, drop_column, End::Exact),
    state(
        "a table was dropped and made again",
        "--again TEXT",
        made_again,
        load_anew,
        End::Honest("cancelled"),
    ),
];

/// Rows of the page that another test follows, or that say what is outside of Longshore.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tasks failed, or are in quarantine", "a list: the tasks' own advice follows below it"),
    ("the same, and nothing is loaded", "altered_while_nothing_is_loaded"),
    (
        "a mutation is in the queue",
        "unfinished::a_change_that_comes_before_the_swap_pauses_the_job",
    ),
    (
        "lightweight updates are not applied",
        "unfinished::lightweight_updates_that_are_not_applied_are_not_undone",
    ),
    ("the server has too little memory", "the server's own configuration; then as `a task failed`"),
    (
        "a table has too many parts",
        "words::what_keeps_a_task_from_being_published_is_told_while_it_lasts",
    ),
    ("the named collection was dropped", "the server's own configuration; then as `a task failed`"),
    ("a grant is missing", "grants::a_job_runs_with_the_printed_grants_and_each_of_them_is_needed"),
];

/// The states of the page.
fn page() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    let text = fs::read_to_string(page).expect("docs/doctor.md");
    let (_, part) = text.split_once("## What it advises").expect("the part about advice");
    let part = part.split("\n## ").next().expect("a part");
    let rows = part.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|state| *state != "state").map(str::to_owned).collect()
}

#[test]
fn every_advice_can_be_followed() {
    let page: BTreeSet<String> = page().into_iter().collect();
    let tested = STATES.iter().map(|state| state.title);
    let known: BTreeSet<String> =
        tested.chain(ELSEWHERE.iter().map(|(title, _)| *title)).map(str::to_owned).collect();
    assert_eq!(page, known, "docs/doctor.md and this test name the same states");
    let states = &drawn_few(STATES, LANES);
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || states.iter().skip(lane).step_by(LANES).for_each(follow));
        }
    });
}

/// What doctor says of the job, its warnings and problems.
fn remedies(midway: &Midway) -> Vec<String> {
    let said = midway.scene.longshore(["doctor", &midway.job, "--json"]).run().json();
    let checks = said["checks"].as_array().expect("checks").clone();
    let about_job = ["job", "task", "workers"];
    let texts = checks.iter().filter(|check| {
        check["level"] != "ok" && about_job.contains(&check["check"].as_str().unwrap_or_default())
    });
    texts.filter_map(|check| check["remedy"].as_str().map(str::to_owned)).collect()
}

/// The commands in a line of an advice.
fn commands(line: &str) -> Vec<String> {
    // An alternative, or what another line says how to do.
    if line.starts_with("or ") || line.contains("LIST") || line.contains("--again TEXT") {
        return Vec::new();
    }
    let line = line.split("   (").next().unwrap_or(line);
    // A command begins a line, or stands behind a colon or `, then`.
    let parts = line.split(", then ").map(|part| part.rsplit(": ").next().unwrap_or(part));
    let own = |part: &&str| part.starts_with("longshore ") || part.starts_with("longshore-worker ");
    parts.filter(own).map(str::to_owned).collect()
}

fn follow(state: &State) {
    let midway = (state.make)();
    let said = remedies(&midway);
    let wanted = state.says.replace("JOB", &midway.job);
    assert!(
        said.iter().any(|text| text.contains(&wanted)),
        "{}: {wanted} in {said:#?}",
        state.title
    );
    (state.mend)(&midway);
    let mut words = String::new();
    // Whoever gives a job up does nothing more with its tasks.
    let gives_up = wanted.contains("--again TEXT");
    for text in said.iter().filter(|text| !gives_up || text.contains(&wanted)) {
        for command in text.lines().flat_map(commands) {
            let (is_well, output) = shell(&midway, &command);
            words.push_str(&output);
            // What another line advises may have been done by then, and is refused.
            assert!(is_well || !text.contains(&wanted), "{}:\n{words}", state.title);
        }
    }
    let status = midway.scene.longshore(["status", &midway.job, "--json"]).run();
    match state.end {
        End::Gone => {
            assert_eq!(status.code(), Some(2), "{}: {status}\n{words}", state.title);
            let rows = midway
                .scene
                .admin
                .number(&format!("SELECT count() FROM {}.events", midway.scene.db));
            assert_eq!(rows, 0, "{}", state.title);
        }
        End::Honest(wanted) => {
            assert_eq!(status.json()["state"], wanted, "{}: {status}\n{words}", state.title);
            if state.title == "a cancel was cut" {
                midway.assert_honest();
            } else {
                midway.scene.assert_exact();
            }
        }
        End::Exact | End::Planned => {
            midway.scene.longshore(["run", &midway.job, "--workers", "2"]).run().ok();
            midway.scene.assert_exact();
            midway.scene.assert_clean(&midway.job);
        }
    }
}

/// While nothing of a job is loaded it can be given up and planned again.
#[test]
fn altered_while_nothing_is_loaded() {
    let scene = Scene::with_events(3, 100);
    let job = scene.submit(&[]);
    scene.admin.run(&format!("ALTER TABLE {}.events ADD COLUMN extra UInt8", scene.db));
    scene.worker(&job).run();
    let said = scene.longshore(["doctor", &job]).run().exits_with(8);
    said.says(&[
        "undo the change",
        "or give the job up and plan again",
        &format!("longshore cancel {job}"),
    ]);
    scene.longshore(["cancel", &job]).run().ok();
    let again = scene.plan(&[]);
    assert_ne!(again, job, "another plan, for the table as it is");
    scene.longshore(["run", &again, "--workers", "1"]).run().ok();
    scene.assert_exact();
}
