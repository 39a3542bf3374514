//! A job in its middle: some tasks done, one loaded, one about to publish, the rest waiting.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::program::Running;
use crate::scene::{LONG_LEASE, Scene};
use crate::wait::{wait_for, within};

/// A job that cannot go on says so soon; one that still tries after this would try for ever.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// A job whose two workers stand in the middle of their second task each.
pub struct Midway {
    /// Its world: six files, one a task.
    pub scene: Scene,
    /// Its id.
    pub job: String,
    workers: Vec<Running>,
    /// The workers wait until it is there.
    gate: PathBuf,
}

impl Midway {
    /// Two tasks of `events` are done, one is loaded, of one the manifest is written, two wait.
    pub fn new() -> Self {
        Self::of(Scene::with_events(6, 200))
    }

    /// The same with the files of a scene.
    pub fn of(scene: Scene) -> Self {
        Self::of_job(scene, |program| program)
    }

    /// The same, with what `change` makes of each program.
    pub fn of_job(scene: Scene, change: impl Fn(crate::Program) -> crate::Program) -> Self {
        let job = scene.submit(&["--chunk-files-max", "1"]);
        let gate = scene.folder().join(format!("gate-{job}"));
        let wait = format!("until({})", gate.display());
        let workers = ["load.after", "manifest.after"].map(|point| {
            let worker =
                scene.worker(&job).args(["--slots", "1"]).env("LONGSHORE_LEASE", LONG_LEASE);
            change(worker).faults(format!("{point}=1*off->1*{wait}->off")).spawn()
        });
        wait_for("the job is in its middle", || {
            let tasks = scene.tasks();
            let counts = ["done", "claimed", "publishing"].map(|state| tasks.count(state));
            let wait = workers.iter().all(|worker| worker.words().contains("until("));
            (wait && counts == [2, 1, 1]).then_some(())
        });
        Self { scene, job, workers: Vec::from(workers), gate }
    }

    /// A job that nobody works on.
    pub fn at_rest(scene: Scene, job: String) -> Self {
        let gate = scene.folder().join(format!("gate-{job}"));
        Self { scene, job, workers: Vec::new(), gate }
    }

    /// The task in one of these states.
    ///
    /// # Panics
    /// When there is none.
    pub fn task(&self, state: &str) -> String {
        let tasks = self.scene.tasks().0;
        let found = tasks.iter().find(|task| task.state == state);
        found.unwrap_or_else(|| panic!("no task is {state}: {tasks:?}")).id.clone()
    }

    /// Lets the workers go on and waits until they have nothing to do any more; their words.
    ///
    /// # Panics
    /// When they go on for ever.
    pub fn resume_workers(&mut self) -> String {
        std::fs::write(&self.gate, "").expect("a writable folder");
        let mut words = String::new();
        for mut worker in self.workers.drain(..) {
            let ended = within(STOPS_WITHIN, || worker.has_ended().then_some(()));
            assert!(ended.is_some(), "a worker tries for ever:\n{}", worker.words());
            words.push_str(&worker.words());
        }
        words
    }

    /// Kills both workers.
    pub fn kill_workers(&mut self) {
        for mut worker in self.workers.drain(..) {
            worker.kill();
            worker.wait();
        }
    }

    /// What is done is there: each row of the files of done tasks once, and nothing else but rows of
    /// tasks that are being published or in quarantine.
    ///
    /// # Panics
    /// Naming a file that differs.
    pub fn assert_honest(&self) {
        let (mut done, mut open) = (BTreeSet::new(), BTreeSet::new());
        for task in self.scene.tasks().0 {
            let files = self.scene.files_of_task(&task.id);
            match task.state.as_str() {
                "done" => done.extend(files),
                "publishing" | "quarantined" => open.extend(files),
                _ => {}
            }
        }
        self.scene.assert_files("events", &done, &open);
    }

    /// The job is stopped: `status` tells the cause, `doctor` the way on.
    ///
    /// # Panics
    /// When something is missing.
    pub fn assert_told(&self, state: &str, cause: &[&str], way_on: &[&str]) {
        let status = self.scene.status(&self.job);
        assert_eq!(status["state"], state, "{status}");
        self.scene.longshore(["status", &self.job]).run().ok().says(cause);
        let doctor = self.scene.longshore(["doctor", &self.job]).run().exits_with(8);
        doctor.says(way_on);
    }
}

impl Default for Midway {
    fn default() -> Self {
        Self::new()
    }
}
