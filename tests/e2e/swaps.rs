//! Jobs that publish everything at their end: `--publish exchange` and `--publish replace`.

use longshore_tests::{Bed, Scene};

fn scene(files: usize, rows: u64) -> Scene {
    Scene::for_swaps(&Bed::from_env()).with_old_events(files, rows)
}

#[test]
fn an_exchange_shows_everything_at_once_and_keeps_the_old_table() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "exchange", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    assert_eq!(scene.tasks().0.len(), 4, "three chunks and the task that publishes");
    scene.settle_swap(&job, "exchange", "an exchange");
}

#[test]
fn a_replacement_takes_the_place_of_whole_partitions() {
    let scene = scene(5, 300);
    let job = scene.submit(&["--publish", "replace", "--chunk-files-max", "2"]);
    scene.assert_untouched();
    scene.settle_swap(&job, "replace", "a replacement");
}

#[test]
fn nothing_is_published_when_a_task_failed() {
    for mode in ["exchange", "replace"] {
        let scene = scene(3, 300);
        scene.put_bytes("events-broken.parquet", b"PAR1 is not all it takes PAR1");
        let schema = "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";
        let flags = ["--publish", mode, "--chunk-files-max", "1", "--structure", schema];
        let job = scene.submit(&flags);
        scene.finish_all(&job);
        assert_eq!(scene.status(&job)["state"], "failed", "{mode}");
        let tasks = scene.tasks();
        assert_eq!((tasks.count("done"), tasks.count("failed")), (3, 2), "{mode}: {tasks:?}");
        let last = tasks.0.last().expect("tasks").clone();
        assert!(last.error.contains("Nothing is published"), "{mode}: {last:?}");
        assert!(last.error.contains("tasks failed: 1"), "{mode}: {last:?}");
        scene.assert_untouched();
    }
}
