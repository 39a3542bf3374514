//! The Keeper stops, dies, or carries a write out and the answer is lost: at the claim, at the
//! manifest, at done.

use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{KEEPER, LONG_LEASE, OwnBed, Running, Scene, drawn_few, wait_for};

use crate::tally::spread;

/// The worker stands right before its next compare-and-set here: of the claim, of the manifest, of
/// done.
const MOMENTS: [&str; 3] = ["claim.before", "manifest.before", "receipt.after"];
/// So long it stands there: the Keeper is gone by then.
const PAUSE: &str = "1*sleep(2500)";

#[test]
fn a_keeper_that_stops_for_2_s_loses_and_doubles_nothing() {
    outage(|bed| stop(bed, 2));
}

#[test]
fn a_keeper_that_stops_for_8_s_loses_and_doubles_nothing() {
    outage(|bed| stop(bed, 8));
}

#[test]
fn a_keeper_that_stops_beyond_the_session_loses_and_doubles_nothing() {
    outage(|bed| stop(bed, 15));
}

#[test]
fn a_keeper_that_is_killed_loses_and_doubles_nothing() {
    outage(|bed| {
        bed.signal(KEEPER, "KILL");
        thread::sleep(Duration::from_secs(1));
        bed.restart(KEEPER);
    });
}

#[test]
fn a_keeper_that_is_killed_for_longer_than_a_session_loses_and_doubles_nothing() {
    outage(|bed| {
        bed.signal(KEEPER, "KILL");
        thread::sleep(Duration::from_secs(9));
        bed.restart(KEEPER);
    });
}

/// Beside the pause at the point, so that some writes are under way when the Keeper stops.
fn stop(bed: &OwnBed, secs: u64) {
    bed.signal(KEEPER, "STOP");
    thread::sleep(Duration::from_secs(secs));
    bed.signal(KEEPER, "CONT");
}

/// A worker whose lease outlives the outage, and one whose lease does not, stand at each moment in
/// scenes of their own while the Keeper is away. Each kind of outage draws some of these.
fn outage(away: impl Fn(&OwnBed)) {
    let bed = OwnBed::start();
    let places = [LONG_LEASE, "2s"].into_iter().flat_map(|lease| MOMENTS.map(|at| (at, lease)));
    let scenes: Vec<_> = drawn_few(&places.collect::<Vec<_>>(), 3)
        .into_iter()
        .map(|(moment, lease)| {
            let scene = Scene::on(&bed.bed).and_events(2, 300);
            let job = scene.submit(&["--chunk-files-max", "1", "--attempts-max", "50"]);
            (moment, lease, scene, job)
        })
        .collect();
    let workers: Vec<Running> = scenes
        .iter()
        .map(|(moment, lease, scene, job)| {
            let worker = scene.worker(job).args(["--slots", "1"]).env("LONGSHORE_LEASE", lease);
            worker.faults(format!("{moment}={PAUSE}")).spawn()
        })
        .collect();
    for (worker, (moment, ..)) in workers.iter().zip(&scenes) {
        let words = format!("point=\"{moment}\"");
        wait_for(moment, || worker.words().contains(&words).then_some(()));
    }
    // Others that want the same tasks, and whose own writes the outage meets at any moment.
    let rivals: Vec<Running> =
        scenes.iter().map(|(.., scene, job)| scene.worker(job).spawn()).collect();
    away(&bed);
    let back = Instant::now();
    let mut recoveries = Vec::new();
    for (moment, lease, scene, _) in &scenes {
        let before = scene.tasks();
        if !before.all("done") {
            wait_for(&format!("{moment}, lease {lease}: a task goes on"), || {
                (scene.tasks() != before).then_some(())
            });
            recoveries.push(back.elapsed());
        }
    }
    for worker in workers.into_iter().chain(rivals) {
        worker.wait();
    }
    for (moment, lease, scene, job) in &scenes {
        scene.settle(job, &format!("{moment}, lease {lease}"));
        assert_one_owner_an_epoch(scene);
    }
    println!(
        "{}",
        serde_json::json!({ "what": "keeper back to next task change", "recovery": spread(&recoveries) })
    );
}

/// No two workers ever acted in the same epoch of a task, and no epoch came twice.
pub(crate) fn assert_one_owner_an_epoch(scene: &Scene) {
    let shared = scene.admin.rows(&format!(
        "SELECT task_id, epoch, groupUniqArray(worker) FROM {}.attempts \
         GROUP BY task_id, epoch HAVING uniqExact(worker) > 1",
        scene.control
    ));
    assert_eq!(shared, Vec::<Vec<String>>::new(), "epochs with two owners");
    let done = scene.admin.rows(&format!(
        "SELECT task_id, countIf(event = 'done') FROM {}.attempts GROUP BY task_id HAVING countIf(event = 'done') > 1",
        scene.control
    ));
    assert_eq!(done, Vec::<Vec<String>>::new(), "tasks that were done twice");
}
