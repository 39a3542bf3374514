//! The coordinator's commands, given and killed.

use std::fs;
use std::time::{Duration, Instant};

use longshore_tests::{Running, Scene, send_signal, within};

/// Workers of a killed `run` end by themselves when the job is over.
const CHILDREN_MAX: Duration = Duration::from_secs(60);

/// Commands that run, each with its hour of death.
pub(crate) struct People<'a> {
    scene: &'a Scene,
    running: Vec<(Running, Instant)>,
    /// Worker processes that a killed `run` left.
    children: Vec<u32>,
}

impl<'a> People<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Self {
        Self { scene, running: Vec::new(), children: Vec::new() }
    }

    /// Plans the load and kills the command after a while. False when it was done by then.
    pub(crate) fn plan_dies(&mut self, more: &[&str], after: Duration) -> bool {
        let mut plan = self.scene.plan_program("events", "*", more).spawn();
        if within(after, || plan.has_ended().then_some(())).is_some() {
            return false;
        }
        plan.kill();
        true
    }

    /// Gives a command that will be killed after a while.
    pub(crate) fn die(&mut self, command: &[&str], after: Duration) -> bool {
        let program = self.scene.longshore(command).env("LONGSHORE_LEASE", "1s");
        self.running.push((program.spawn(), Instant::now() + after));
        true
    }

    /// Kills those whose hour has come.
    pub(crate) fn tend(&mut self) {
        let now = Instant::now();
        let children = &mut self.children;
        self.running.retain_mut(|(running, hour)| {
            if running.has_ended() {
                return false;
            }
            if now < *hour {
                return true;
            }
            children.extend(children_of(running.pid()));
            running.kill();
            false
        });
    }

    /// Kills all at once, their workers too.
    pub(crate) fn kill(&mut self) {
        for (mut running, _) in self.running.drain(..) {
            self.children.extend(children_of(running.pid()));
            if !running.has_ended() {
                running.kill();
            }
        }
        for child in self.children.drain(..).filter(|child| is_worker(*child)) {
            send_signal(child, "KILL");
        }
    }

    /// Waits until the workers of killed runs have ended.
    pub(crate) fn leave(mut self) -> Vec<String> {
        let end = Instant::now();
        for (_, hour) in &mut self.running {
            *hour = end;
        }
        self.tend();
        let gone = within(CHILDREN_MAX, || {
            self.children.retain(|child| is_worker(*child));
            self.children.is_empty().then_some(())
        });
        if gone.is_some() {
            return Vec::new();
        }
        let left = format!("workers of a killed run do not end: {:?}", self.children);
        self.kill();
        vec![left]
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Is the process still there, and one of ours? An ended process has no command line.
fn is_worker(pid: u32) -> bool {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).contains("longshore-worker")
}
