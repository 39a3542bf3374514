//! A merge over the place of a part that is lost does not hide the loss: the name of a merged part covers
//! the numbers of parts that it was not made of.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use longshore_tests::{CLICKHOUSE, LONG_LEASE, OwnBed, Scene, cut_part, wait_for};

/// A receipt is taken for older than the start of the server from two seconds on.
const START_MARGIN: Duration = Duration::from_secs(3);

/// A job of four tasks of which three are done, on a server that merges nothing.
struct Begun<'a> {
    bed: &'a OwnBed,
    scene: Scene,
    job: String,
}

impl<'a> Begun<'a> {
    fn on(bed: &'a OwnBed) -> Self {
        let scene = Scene::on(&bed.bed).and_events(4, 200);
        scene.admin.run("SYSTEM STOP MERGES");
        let job = scene.submit(&["--chunk-files-max", "1"]);
        scene.worker(&job).args(["--slots", "1"]).faults("done.after=2*off->1*exit").run();
        let done = format!("SELECT uniqExact(task_id) FROM {}.receipts", scene.control);
        assert_eq!(scene.admin.number(&done), 3, "tasks that are done");
        thread::sleep(START_MARGIN);
        Self { bed, scene, job }
    }

    /// Folders of the parts of one partition, in the order of their blocks.
    fn parts(&self, table: &str, condition: &str) -> Vec<PathBuf> {
        let Scene { db, admin, .. } = &self.scene;
        let paths = admin.column(&format!(
            "SELECT path FROM system.parts WHERE database = '{db}' AND table = '{table}' AND {condition} \
             AND partition_id = '202403' ORDER BY min_block_number"
        ));
        paths.into_iter().map(PathBuf::from).collect()
    }

    /// The server is killed, and something happens on its disk. After its start it merges, and the job is
    /// worked off.
    fn lose(self, what: impl FnOnce()) -> (Scene, String) {
        let Self { bed, scene, job } = self;
        bed.signal(CLICKHOUSE, "KILL");
        what();
        bed.restart(CLICKHOUSE);
        merge(&scene);
        scene.sign_all_off();
        scene.finish(&job);
        (scene, job)
    }
}

/// Merges the tables of a scene, each partition into one part.
fn merge(scene: &Scene) {
    scene.admin.run("SYSTEM START MERGES");
    for table in ["events", "daily"] {
        scene.admin.run(&format!("OPTIMIZE TABLE {}.{table} FINAL", scene.db));
    }
}

fn assert_told((scene, job): &(Scene, String), words: &[&str]) {
    let status = scene.status(job);
    assert_eq!(status["state"], "failed", "{status}");
    let reason = status["reason"].as_str().unwrap_or_default();
    for words in words {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    scene.longshore(["doctor", job]).run().says(words);
}

#[test]
fn a_part_that_broke_before_a_merge_fails_the_job() {
    let bed = OwnBed::start();
    for table in ["events", "daily"] {
        let begun = Begun::on(&bed);
        let parts = begun.parts(table, "active");
        assert_eq!(parts.len(), 3, "a part of each task");
        let lost = begun.lose(|| cut_part(&parts[1]));
        assert_told(
            &lost,
            &["has set aside 1 part of", "as broken", "was merged over their place"],
        );
    }
}

#[test]
fn a_part_that_vanished_before_a_merge_fails_the_job() {
    let bed = OwnBed::start();
    let begun = Begun::on(&bed);
    let parts = begun.parts("events", "active");
    let lost = begun.lose(|| std::fs::remove_dir_all(&parts[1]).expect("a folder of a part"));
    assert_told(
        &lost,
        &[
            "was merged over name",
            "of 3 tasks of this job",
            "parts were lost at a start of the server",
        ],
    );
}

#[test]
fn a_shadow_that_has_lost_a_part_does_not_take_the_place_of_its_target() {
    let bed = OwnBed::start();
    let scene = Scene::for_swaps(&bed.bed).with_old_events(4, 200);
    scene.admin.run("SYSTEM STOP MERGES");
    let job = scene.submit(&["--publish", "replace", "--chunk-files-max", "1"]);
    let gate = scene.folder().join("gate");
    let wait = format!("manifest.after=4*off->1*until({})->off", gate.display());
    let worker = scene.worker(&job).args(["--slots", "1"]).env("LONGSHORE_LEASE", LONG_LEASE);
    let worker = worker.faults(wait).spawn();
    wait_for("all is loaded and counted", || worker.words().contains("until(").then_some(()));
    thread::sleep(START_MARGIN);
    let parts = scene.admin.column(&format!(
        "SELECT path FROM system.parts WHERE active AND database = '{}' AND match(table, '_shadow_[0-9a-f]')",
        scene.staging
    ));
    bed.signal(CLICKHOUSE, "KILL");
    cut_part(parts.last().expect("the shadow has parts").as_ref());
    bed.restart(CLICKHOUSE);
    std::fs::write(&gate, "").expect("a writable folder");
    drop(worker.wait());
    scene.sign_all_off();
    scene.finish(&job);
    assert_eq!(scene.status(&job)["state"], "failed", "{}", scene.status(&job));
    let told = scene.longshore(["tasks", &job, "--state", "quarantined"]).run().ok();
    told.says(&["has lost 1 part of 1 task"]);
    scene.assert_untouched();
}

#[test]
fn a_part_that_broke_after_it_was_merged_is_no_loss() {
    let bed = OwnBed::start();
    let begun = Begun::on(&bed);
    merge(&begun.scene);
    let merged = begun.parts("events", "NOT active");
    assert!(merged.len() >= 3, "parts that were merged are kept for a while");
    let set_aside = format!(
        "SELECT count() FROM system.detached_parts WHERE database = '{}' AND table = 'events'",
        begun.scene.db
    );
    let (scene, job) = begun.lose(|| cut_part(&merged[1]));
    // The server looks at parts that were merged after it has begun to answer.
    wait_for("the broken part is set aside", || {
        (scene.admin.number(&set_aside) == 1).then_some(())
    });
    scene.longshore(["doctor", &job]).run().ok();
    assert_eq!(scene.status(&job)["state"], "completed", "{}", scene.status(&job));
    scene.assert_exact();
}
