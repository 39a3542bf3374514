//! A write that the Keeper carried out, and whose answer never came back to the server: what the
//! server says of it ("Node exists", "Bad version", "Connection loss") is no proof of failure.

use std::collections::BTreeMap;

use longshore_tests::{End, KEEPER, LONG_LEASE, OwnBed, Scene, Toxics, Wire, long_or};

use crate::keeper::assert_one_owner_an_epoch;

/// Rounds through every write in a usual run, and in a long one.
const ROUNDS: [usize; 2] = [1, 2];
/// What only one kind of write holds, by who sends it.
const BY_PLAN: [&str; 2] = ["planned", "pending"];
const LATER: [&str; 5] = ["running", "claimed", "publishing", "\u{4}done", "completed"];

#[test]
fn writes_whose_answer_is_lost_between_keeper_and_server_are_recognised_as_own() {
    let bed = OwnBed::start();
    let wire = Wire::start(&format!("127.0.0.1:{}", bed.port(KEEPER)));
    let port = wire.url().rsplit(':').next().expect("a port").to_owned();
    bed.set("LONGSHORE_TESTBED_KEEPER_PORT", port);
    bed.restart(longshore_tests::CLICKHOUSE);
    let cut = |only: &str| {
        wire.set(Toxics {
            end: Some(End::CutReply(0)),
            only: only.to_owned(),
            times: 1,
            ..Toxics::default()
        });
    };
    let (mut cuts, mut errors) = (0, BTreeMap::new());
    for round in 0..long_or(ROUNDS[0], ROUNDS[1]) {
        for word in BY_PLAN.into_iter().chain(LATER) {
            let scene = Scene::on(&bed.bed).and_events(2, 300);
            if BY_PLAN.contains(&word) {
                cut(word);
            }
            let plan = scene.plan(&["--chunk-files-max", "1"]);
            if LATER.contains(&word) {
                cut(word);
            }
            scene.longshore(["submit", &plan]).run().ok();
            scene
                .worker(&plan)
                .args(["--slots", "1"])
                .env("LONGSHORE_LEASE", LONG_LEASE)
                .run()
                .ok();
            let lost = wire.ends();
            wire.set(Toxics::default());
            assert_eq!(lost, 1, "round {round}: one answer to a write with {word:?} is lost");
            cuts += lost;
            // Had one worker alone not known its own write again, it would have claimed once more.
            for task in scene.tasks().0 {
                assert_eq!((task.epoch, task.attempts), (1, 1), "{word:?}: {task:?}");
            }
            scene.settle(&plan, word);
            assert_one_owner_an_epoch(&scene);
            for (kind, count) in told(&scene) {
                *errors.entry(kind).or_insert(0) += count;
            }
        }
    }
    println!(
        "{}",
        serde_json::json!({ "what": "answers lost after the Keeper's write", "cuts": cuts, "told": errors })
    );
    assert!(
        errors.values().sum::<u64>() > 0,
        "the server never told of an error: the test shows nothing"
    );
}

/// What the server told of writes into the control tables of a scene that it refused.
fn told(scene: &Scene) -> Vec<(String, u64)> {
    scene.admin.run("SYSTEM FLUSH LOGS query_log");
    let rows = scene.admin.rows(&format!(
        "SELECT multiIf(exception ILIKE '%node exists%', 'Node exists', exception ILIKE '%bad version%', 'Bad version', \
             exception ILIKE '%connection loss%', 'Connection loss', exception ILIKE '%session expired%', 'Session expired', \
             substring(exception, 1, 120)) AS kind, count() \
         FROM system.query_log WHERE type = 'ExceptionWhileProcessing' AND query_kind IN ('Insert', 'Alter') \
         AND position(query, '{}') > 0 GROUP BY kind",
        scene.control
    ));
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().expect("a count"))).collect()
}
