//! Jobs that load into the same table: one at a time, whoever submits them, unless it is forced.

use std::time::Duration;

use longshore_shared::faults;
use longshore_tests::{Finished, LONG_LEASE, Running, Scene, wait_for};
use serde_json::Value;

/// The state of the job does not admit it.
const CONFLICT: i32 = 6;
const MANY: usize = 16;

/// Plans of the same files that differ by their ids.
fn plans(scene: &Scene, count: usize) -> Vec<String> {
    let planned: Vec<_> = (0..count)
        .map(|number| {
            let again = number.to_string();
            scene.plan_program("events", "*", &["--again", &again]).spawn()
        })
        .collect();
    let id = |finished: Finished| {
        finished.ok().json()["plan_id"].as_str().expect("a plan id").to_owned()
    };
    planned.into_iter().map(|plan| id(plan.wait())).collect()
}

fn states(scene: &Scene, ids: &[String]) -> Vec<String> {
    let state = |id: &String| scene.status(id)["state"].as_str().expect("a state").to_owned();
    ids.iter().map(state).collect()
}

fn lock(scene: &Scene, table: &str) -> Vec<String> {
    let query = format!(
        "SELECT arrayJoin(JSONExtract(value, 'jobs', 'Array(String)')) FROM {}.meta \
         WHERE key = 'target/{}.{table}'",
        scene.control, scene.db
    );
    scene.admin.column(&query)
}

/// A worker finishes the job, and its rows are there once.
fn completes(scene: &Scene, job: &str) {
    scene.finish(job);
    assert_eq!(scene.status(job)["state"], "completed");
    scene.assert_exact();
    scene.assert_receipts(job);
    scene.assert_clean(job);
}

#[test]
fn of_sixteen_submits_at_once_exactly_one_wins() {
    let scene = Scene::with_events(1, 100);
    let ids = plans(&scene, MANY);
    let mut left = ids.clone();
    for round in 0..2 {
        let submits: Vec<_> =
            left.iter().map(|id| scene.longshore(["submit", id]).spawn()).collect();
        let ended: Vec<Finished> = submits.into_iter().map(Running::wait).collect();
        let won: Vec<&String> = left
            .iter()
            .zip(&ended)
            .filter(|(_, e)| e.code() == Some(0))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {ended:?}");
        let winner = won[0].clone();
        for (id, ended) in left.iter().zip(ended).filter(|(id, _)| **id != winner) {
            let refused = ended.exits_with(CONFLICT);
            assert!(refused.stderr.contains(id.as_str()), "its own id\n{refused}");
        }
        let now = states(&scene, &ids);
        assert_eq!(now.iter().filter(|state| *state == "running").count(), 1, "{now:?}");
        for table in ["events", "daily"] {
            assert_eq!(lock(&scene, table), std::slice::from_ref(&winner), "{table}");
        }
        scene.finish(&winner);
        assert_eq!(scene.status(&winner)["state"], "completed");
        left.retain(|id| *id != winner);
    }
    let rows = format!("SELECT count() FROM {}.events", scene.db);
    assert_eq!(scene.admin.number(&rows), 200, "two jobs were loaded, and no other");
}

#[test]
fn a_table_that_a_view_of_the_other_job_fills_counts_too() {
    let scene = Scene::with_events(1, 100);
    let first = scene.submit(&[]);
    scene.put_bytes("daily.csv", b"day,kind,events,value\n2024-01-01,x,1,1\n");
    let csv = scene.plan_program("daily", "daily.csv", &["--format", "CSVWithNames"]);
    let csv = csv.run().ok().json();
    let second = csv["plan_id"].as_str().expect("a plan id");

    let refused = scene.longshore(["submit", second, "--json"]).run().exits_with(CONFLICT);
    let error: Value = serde_json::from_str(&refused.stderr).expect("an error as JSON");
    let words = error["error"].to_string();
    let daily = format!("{}.daily", scene.db);
    for word in [first.as_str(), second, &daily, "(running)", "--force-overlap", "longshore cancel"]
    {
        assert!(words.contains(word), "{word}\n{words}");
    }
    assert_eq!(scene.status(second)["state"], "planned");

    let forced = scene.longshore(["submit", second, "--force-overlap", "--json"]).run().ok().json();
    assert!(forced["notes"][0].as_str().is_some_and(|note| note.contains(&first)), "{forced}");
    let mut both = lock(&scene, "daily");
    both.sort();
    let mut expected = [first.clone(), second.to_owned()];
    expected.sort();
    assert_eq!(both, expected);
    for job in [first.as_str(), second] {
        scene.finish(job);
        assert_eq!(scene.status(job)["state"], "completed", "{job}");
        scene.assert_clean(job);
    }
    let sum = |query: &str| scene.admin.number(&query.replace("{db}", &scene.db));
    assert_eq!(sum("SELECT count() FROM {db}.events"), 100);
    assert_eq!(sum("SELECT sum(events) FROM {db}.daily"), 101, "both are there, each once");
}

#[test]
fn a_paused_job_keeps_its_tables_and_an_ended_one_does_not() {
    let scene = Scene::with_events(2, 50);
    let ids = plans(&scene, 3);
    let submit = |id: &str| scene.longshore(["submit", id]).run();
    submit(&ids[0]).ok();
    scene.longshore(["pause", &ids[0]]).run().ok();
    submit(&ids[1]).exits_with(CONFLICT).says(&[&ids[0], "paused", "longshore resume"]);
    scene.longshore(["submit", &ids[0]]).run().ok();
    scene.longshore(["cancel", &ids[0]]).run().ok();
    submit(&ids[1]).ok();

    // A cancelled job that goes on takes its tables again, if it gets them.
    let resume = || scene.longshore(["resume", &ids[0]]).run();
    resume().exits_with(CONFLICT).says(&[&ids[1]]);
    scene.finish(&ids[1]);
    resume().ok();
    submit(&ids[2]).exits_with(CONFLICT).says(&[&ids[0]]);
    scene.finish(&ids[0]);
    assert_eq!(states(&scene, &ids), ["completed", "completed", "planned"]);
    assert_eq!(scene.admin.number(&format!("SELECT count() FROM {}.events", scene.db)), 200);
}

#[test]
fn a_submit_that_died_with_the_locks_is_passed_over() {
    let scene = Scene::with_events(1, 100);
    let ids = plans(&scene, 2);
    let faults = format!("{}=exit", faults::SUBMIT_BEFORE.0);
    let dead = scene.longshore(["submit", &ids[0]]).faults(faults).run();
    assert!(dead.was_killed(), "{dead}");
    assert_eq!(lock(&scene, "events"), [ids[0].clone()]);
    scene.longshore(["submit", &ids[1]]).run().ok();
    assert_eq!(lock(&scene, "events"), [ids[1].clone()]);
    scene.longshore(["submit", &ids[0]]).run().exits_with(CONFLICT);
    completes(&scene, &ids[1]);
}

/// The first took the locks and waits; the second comes, waits for it, and passes it over.
#[test]
fn a_submit_that_was_passed_over_takes_the_locks_again() {
    let scene = Scene::with_events(1, 100);
    let ids = plans(&scene, 2);
    let faults = format!("{}=1*sleep(4000)", faults::SUBMIT_BEFORE.0);
    let slow = scene.longshore(["submit", &ids[0]]).faults(faults).spawn();
    wait_for("the slow one has the lock", || (!lock(&scene, "events").is_empty()).then_some(()));
    scene.longshore(["submit", &ids[1]]).run().ok();
    slow.wait().exits_with(CONFLICT).says(&[&ids[1]]);
    assert_eq!(states(&scene, &ids), ["planned", "running"]);
    completes(&scene, &ids[1]);
}

#[test]
fn resumes_and_submits_at_once_let_one_job_run() {
    let scene = Scene::with_events(1, 100);
    let ids = plans(&scene, 6);
    let (old, new) = ids.split_at(3);
    for id in old {
        scene.longshore(["submit", id]).run().ok();
        scene.longshore(["cancel", id]).run().ok();
    }
    let resumes = old.iter().map(|id| scene.longshore(["resume", id]).spawn());
    let submits = new.iter().map(|id| scene.longshore(["submit", id]).spawn());
    let all: Vec<_> = resumes.chain(submits).collect();
    let ended: Vec<Finished> = all.into_iter().map(Running::wait).collect();
    assert_eq!(ended.iter().filter(|ended| ended.code() == Some(0)).count(), 1, "{ended:?}");
    let now = states(&scene, &ids);
    assert_eq!(now.iter().filter(|state| *state == "running").count(), 1, "{now:?}");
}

#[test]
fn the_policy_may_be_off_for_one_table() {
    let scene = Scene::with_events(1, 10);
    scene
        .create("CREATE TABLE {db}.free AS {db}.events;\nCREATE TABLE {db}.kept AS {db}.events;\n");
    let settings = format!("[tables.'{}.free']\nblock_overlap = false\n", scene.db);
    std::fs::write(scene.folder().join("longshore.toml"), settings).expect("a writable folder");
    for (table, code) in [("free", 0), ("kept", CONFLICT)] {
        let ids = ["1", "2"].map(|again| scene.plan_into(table, "*", &["--again", again]));
        scene.longshore(["submit", &ids[0]]).run().ok();
        let second = scene.longshore(["submit", &ids[1]]).run().exits_with(code);
        second.says(&[&ids[0]]);
    }
}

/// A stale lock costs a moment, not a lease.
#[test]
fn the_next_job_does_not_wait_for_anything() {
    let scene = Scene::with_events(1, 10);
    let ids = plans(&scene, 2);
    let run = |id: &str| {
        let run = scene.longshore(["run", id, "--workers", "1"]);
        run.env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    };
    run(&ids[0]);
    let begun = std::time::Instant::now();
    scene.longshore(["submit", &ids[1]]).run().ok();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    run(&ids[1]);
}
