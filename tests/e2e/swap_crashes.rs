//! Workers die, hang and race around the task that publishes; what is visible is all or nothing.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use longshore_shared::faults::{self, Point};
use longshore_tests::{
    Bed, LONG_LEASE, Proxy, Running, Scene, Verdict, drawn_few, long_or, wait_for,
};

/// Scenes side by side: they mostly wait for a lease to lapse.
const LANES: usize = 3;
/// The job has two chunks, so the last task passes the points of every task as the third.
const BEFORE: usize = 2;

/// Every point that the last task of a mode passes, and how often other tasks pass it before.
fn points(mode: &str) -> Vec<(Point, usize)> {
    let own = if mode == "exchange" { faults::EXCHANGE } else { faults::REPLACE };
    let common = [
        faults::CLAIM_AFTER,
        faults::MANIFEST_BEFORE,
        faults::MANIFEST_AFTER,
        faults::RECEIPT_BEFORE,
        faults::RECEIPT_AFTER,
        faults::DONE_AFTER,
        faults::DROP_AFTER,
    ];
    let own = own.iter().map(|point| (*point, 0));
    own.chain(common.map(|point| (point, BEFORE))).collect()
}

fn job(mode: &str) -> (Scene, String) {
    let (files, chunk) = long_or((2, "1"), (4, "2"));
    let scene = Scene::for_swaps(&Bed::from_env()).with_old_events(files, 200);
    let job = scene.submit(&["--publish", mode, "--chunk-files-max", chunk]);
    (scene, job)
}

/// Visits modes and points, several scenes at a time.
fn at_each_point(visit: impl Fn(&str, Point, usize) + Sync) {
    let all: Vec<(&str, Point, usize)> = ["exchange", "replace"]
        .into_iter()
        .flat_map(|mode| points(mode).into_iter().map(move |(point, skip)| (mode, point, skip)))
        .collect();
    let (visit, all) = (&visit, &drawn_few(&all, LANES));
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                for (mode, point, skip) in all.iter().skip(lane).step_by(LANES) {
                    visit(mode, *point, *skip);
                }
            });
        }
    });
}

fn skipping(point: Point, skip: usize, action: &str) -> String {
    let skip = if skip > 0 { format!("{skip}*off->") } else { String::new() };
    format!("{}={skip}1*{action}", point.0)
}

#[test]
fn the_last_task_survives_a_death_at_every_point() {
    at_each_point(|mode, point, skip| {
        let what = format!("{mode}: {}", point.0);
        let (scene, job) = job(mode);
        let worker = scene.worker(&job).args(["--slots", "1"]);
        let dead = worker.faults(skipping(point, skip, "exit")).run();
        assert!(dead.was_killed(), "{what}: the worker never passed it\n{dead}");
        scene.settle_swap(&job, mode, &what);
    });
}

#[test]
fn a_zombie_of_the_last_task_changes_nothing() {
    at_each_point(|mode, point, skip| {
        let what = format!("{mode}: {}", point.0);
        let (scene, job) = job(mode);
        let zombie = asleep(&scene, &job, &skipping(point, skip, "sleep(1000)"), point);
        scene.settle_swap(&job, mode, &what);
        let before = everything(&scene, &job);
        wakes(zombie, &what);
        assert_eq!(everything(&scene, &job), before, "{what}: the zombie changed something");
    });
}

#[test]
fn deaths_in_the_take_over_of_the_last_task_are_survived() {
    for (mode, first) in [("exchange", faults::EXCHANGE_AFTER), ("replace", faults::REPLACE_AFTER)]
    {
        let (scene, job) = job(mode);
        let dead = scene.worker(&job).args(["--slots", "1"]);
        let dead = dead.faults(skipping(first, 0, "exit")).run();
        assert!(dead.was_killed(), "{mode}\n{dead}");
        for point in faults::TAKE_OVER {
            let dead = scene.worker(&job).faults(format!("{}=exit", point.0)).run();
            assert!(dead.was_killed(), "{mode}: the worker never passed {}\n{dead}", point.0);
        }
        scene.settle_swap(&job, mode, "deaths in the take-over");
        let epoch = scene.tasks().0.last().expect("tasks").epoch;
        assert_eq!(epoch, 2 + faults::TAKE_OVER.len() as u64, "{mode}");
    }
}

/// The statements that publish, as a late request of them reaches the server.
const LATE: [(&str, &str); 4] = [
    ("exchange", "EXCHANGE TABLES"),
    ("exchange", "_before_"),
    ("exchange", "RENAME TABLE"),
    ("replace", "REPLACE PARTITION"),
];

#[test]
fn a_statement_that_arrives_after_the_take_over_changes_nothing() {
    for (mode, words) in drawn_few(&LATE, 2) {
        let what = format!("{mode}: a late {words}");
        let (scene, job) = job(mode);
        let late = Late::of(&scene, &job, words);
        scene.settle_swap(&job, mode, &what);
        let before = everything(&scene, &job);
        // First the request alone reaches the server, then the zombie wakes up.
        late.arrives();
        assert_eq!(everything(&scene, &job), before, "{what}: it changed something");
        wakes(late.zombie, &what);
        assert_eq!(everything(&scene, &job), before, "{what}: the zombie changed something");
    }
}

/// A statement on its way, whose worker is asleep and counts as gone.
struct Late {
    zombie: Running,
    arrive: mpsc::Sender<()>,
    _proxy: Proxy,
}

impl Late {
    /// Holds the first statement with these words.
    fn of(scene: &Scene, job: &str, words: &'static str) -> Self {
        let (arrive, may_arrive) = mpsc::channel::<()>();
        let (tell, is_held) = mpsc::channel::<()>();
        let held = Mutex::new(Some((tell, may_arrive)));
        let proxy = Proxy::start(&scene.bed.clickhouse_url, move |request| {
            if request.contains(words) && !request.contains("SELECT") {
                let first = held.lock().expect("nobody panicked").take();
                if let Some((tell, may_arrive)) = first {
                    tell.send(()).ok();
                    may_arrive.recv().ok();
                }
            }
            Verdict::Pass
        });
        let zombie = scene.worker(job).args(["--slots", "1"]).env("LONGSHORE_LEASE", "6s");
        let zombie = zombie.env("CLICKHOUSE_URL", proxy.url()).spawn();
        wait_for(&format!("{words} is on its way"), || is_held.try_recv().ok());
        zombie.signal("STOP");
        scene.sign_all_off();
        Self { zombie, arrive, _proxy: proxy }
    }

    /// The statement reaches the server; the worker sleeps on.
    fn arrives(&self) {
        self.arrive.send(()).ok();
        thread::sleep(Duration::from_millis(700));
    }
}

#[test]
fn a_late_statement_does_not_touch_what_is_published_meanwhile() {
    for (mode, words, point) in [
        ("exchange", "EXCHANGE TABLES", faults::KEEP_BEFORE),
        ("replace", "REPLACE PARTITION", faults::DONE_AFTER),
    ] {
        let what = format!("{mode}: a late {words} at {}", point.0);
        let (scene, job) = job(mode);
        let late = Late::of(&scene, &job, words);
        // The next owner has published and is not at its end: what it works with is still there.
        let next = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
        let next = next.faults(format!("{}=1*sleep(2000)", point.0)).spawn();
        wait_for(&what, || next.words().contains(point.0).then_some(()));
        next.signal("STOP");
        scene.admin.run(&format!(
            "INSERT INTO {}.events (file, n, day, kind) VALUES ('probe', 7, '2024-01-07', 'view')",
            scene.db
        ));
        late.arrives();
        let seen = ["old", "probe", "events-000.parquet"].map(|file| scene.rows_of("events", file));
        assert_eq!(seen, [0, 1, 200], "{what}: old, later and new rows");
        next.signal("CONT");
        next.wait().ok();
        scene.settle_swap(&job, mode, &what);
        assert_eq!(scene.rows_of("events", "probe"), 2, "{what}: the row and the checker's own");
    }
}

#[test]
fn lost_answers_and_requests_of_the_last_task_are_settled() {
    let statements = [
        ("exchange", "exchange_tables"),
        ("exchange", "move_table"),
        ("replace", "replace_partition"),
        ("replace", "move_table"),
    ];
    let losses = statements
        .map(|of| [("answer", "do-then-error"), ("send", "error")].map(|what| (of, what)));
    for ((mode, statement), (place, action)) in drawn_few(losses.as_flattened(), 3) {
        let what = format!("{mode}: {place} of {statement}");
        let (scene, job) = job(mode);
        let worker = scene.worker(&job).env("LONGSHORE_LEASE", LONG_LEASE);
        worker.faults(format!("{place}.{statement}=1*{action}")).run().ok();
        scene.settle_swap(&job, mode, &what);
    }
}

#[test]
fn workers_that_race_for_the_last_task_publish_once() {
    for mode in ["exchange", "replace"] {
        let (scene, job) = job(mode);
        let workers: Vec<Running> = (0..4).map(|_| scene.worker(&job).spawn()).collect();
        for worker in workers {
            worker.wait().ok();
        }
        scene.settle_swap(&job, mode, "a race");
        let statement = if mode == "exchange" { "EXCHANGE TABLES%" } else { "%REPLACE PARTITION%" };
        scene.admin.run("SYSTEM FLUSH LOGS query_log");
        let sent = scene.admin.number(&format!(
            "SELECT count() FROM system.query_log WHERE type = 'QueryFinish' \
             AND startsWith(query_id, '{job}-') AND query LIKE '{statement}'"
        ));
        assert_eq!(sent, if mode == "exchange" { 1 } else { 4 }, "{mode}: one for each partition");
    }
}

#[test]
fn what_others_wrote_after_a_replacement_is_not_replaced_again() {
    let (scene, job) = job("replace");
    let dead = scene.worker(&job).args(["--slots", "1"]);
    let dead = dead.faults("receipt.before=2*off->exit").run();
    assert!(dead.was_killed(), "{dead}");
    // Everything is replaced, and nobody knows it. Somebody writes into one of the partitions.
    let insert =
        "INSERT INTO {}.events (file, n, day, kind) VALUES ('probe', 7, '2024-01-07', 'view')";
    scene.admin.run(&insert.replace("{}", &scene.db));
    scene.settle_swap(&job, "replace", "a row of somebody else");
    assert_eq!(scene.rows_of("events", "probe"), 2, "the row and the checker's own");
}

/// A worker that was stopped at a point. The others take it for gone at once.
fn asleep(scene: &Scene, job: &str, faults: &str, point: Point) -> Running {
    let zombie = scene.worker(job).args(["--slots", "1"]).env("LONGSHORE_LEASE", "6s");
    let zombie = zombie.faults(faults).spawn();
    wait_for(&format!("the worker is at {}", point.0), || {
        zombie.words().contains(&format!("point=\"{}\" action=\"sleep", point.0)).then_some(())
    });
    zombie.signal("STOP");
    scene.sign_all_off();
    zombie
}

/// Lets a zombie go on to its end once its lease is over.
fn wakes(zombie: Running, what: &str) {
    thread::sleep(Duration::from_secs(6));
    zombie.signal("CONT");
    let ended = zombie.wait();
    assert_ne!(ended.code(), Some(101), "{what}: a panic\n{ended}");
    assert!(ended.code().is_some(), "{what}: ended by a signal\n{ended}");
}

/// Everything that a zombie might change: tasks, job, and which table has which name and rows.
fn everything(scene: &Scene, job: &str) -> Vec<Vec<String>> {
    let (control, db) = (&scene.control, &scene.db);
    let mut rows = scene.admin.rows(&format!("SELECT state, reason FROM {control}.jobs"));
    rows.extend(scene.admin.rows(&format!(
        "SELECT task_id, state, epoch, stamp FROM {control}.tasks WHERE startsWith(task_id, '{job}') ORDER BY task_id"
    )));
    rows.extend(scene.admin.rows(&format!(
        "SELECT name, uuid FROM system.tables WHERE database IN ('{db}', '{}') ORDER BY name",
        scene.staging
    )));
    rows.extend(scene.admin.rows(&format!(
        "SELECT file, count(), sum(cityHash64(*)) FROM {db}.events GROUP BY file ORDER BY file"
    )));
    rows
}
