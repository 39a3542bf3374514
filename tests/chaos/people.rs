//! The coordinator's commands, given and killed.

use std::fs;
use std::time::{Duration, Instant};

use longshore_tests::{Program, Running, Scene, send_signal, within};

use crate::ends::{self, End};
use crate::kind::Kind;

/// Workers of a killed `run` end by themselves when the job is over.
const CHILDREN_MAX: Duration = Duration::from_secs(60);

/// A command that runs, with its hour of death.
struct Given {
    running: Running,
    hour: Instant,
    /// What it is called in the report; nothing when it is not counted there.
    kind: Option<Kind>,
}

/// Commands that run, each with its hour of death.
pub(crate) struct People<'a> {
    scene: &'a Scene,
    running: Vec<Given>,
    /// Commands that have ended since somebody asked.
    ended: Vec<(Kind, End)>,
    /// Worker processes that a killed `run` left.
    children: Vec<u32>,
}

impl<'a> People<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Self {
        Self { scene, running: Vec::new(), ended: Vec::new(), children: Vec::new() }
    }

    /// Plans the load and kills the command after a while. False when it was done by then.
    pub(crate) fn plan_dies(plan: Program, after: Duration) -> bool {
        let mut plan = plan.spawn();
        if within(after, || plan.has_ended().then_some(())).is_some() {
            return false;
        }
        plan.kill();
        true
    }

    /// The same beside another one who makes the same plan, and lives.
    pub(crate) fn twin_dies(plan: impl Fn() -> Program, after: Duration) -> bool {
        let other = plan().spawn();
        let has_died = Self::plan_dies(plan(), after);
        other.wait();
        has_died
    }

    /// Gives a command that will be killed after a while.
    pub(crate) fn die(&mut self, command: &[&str], after: Duration) -> bool {
        self.give(None, self.scene.longshore(command), after)
    }

    /// Gives a command that is counted, and killed if it has not ended after a while.
    pub(crate) fn give(&mut self, kind: Option<Kind>, program: Program, most: Duration) -> bool {
        let running = program.env("LONGSHORE_LEASE", "1s").spawn();
        self.running.push(Given { running, hour: Instant::now() + most, kind });
        true
    }

    /// The counted commands that have ended since the last time.
    pub(crate) fn ended(&mut self) -> Vec<(Kind, End)> {
        std::mem::take(&mut self.ended)
    }

    /// Does any counted command run?
    pub(crate) fn is_busy(&self) -> bool {
        self.running.iter().any(|given| given.kind.is_some())
    }

    /// Does a command of this kind run?
    pub(crate) fn gives(&self, kind: Kind) -> bool {
        self.running.iter().any(|given| given.kind == Some(kind))
    }

    /// Kills those whose hour has come.
    pub(crate) fn poll(&mut self) {
        let now = Instant::now();
        let mut still = Vec::new();
        for mut given in self.running.drain(..) {
            if given.running.has_ended() {
                let finished = given.running.wait();
                self.ended.extend(given.kind.map(|kind| (kind, ends::of(kind, &finished))));
            } else if now < given.hour {
                still.push(given);
            } else {
                self.children.extend(children_of(given.running.pid()));
                given.running.kill();
                self.ended.extend(given.kind.map(|kind| (kind, End::Cut)));
            }
        }
        self.running = still;
    }

    /// Kills all at once, their workers too.
    pub(crate) fn kill(&mut self) {
        for mut given in self.running.drain(..) {
            self.children.extend(children_of(given.running.pid()));
            if !given.running.has_ended() {
                given.running.kill();
                self.ended.extend(given.kind.map(|kind| (kind, End::Cut)));
            }
        }
        for child in self.children.drain(..).filter(|child| is_worker(*child)) {
            send_signal(child, "KILL");
        }
    }

    /// Waits until the workers of killed runs have ended.
    pub(crate) fn leave(mut self) -> Vec<String> {
        let end = Instant::now();
        for given in &mut self.running {
            given.hour = end;
        }
        self.poll();
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
