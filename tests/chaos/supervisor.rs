//! The workers of a job: always four of them, whatever happens to each.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{Running, Scene, within};

/// Workers at the same time.
pub(crate) const MEMBERS: usize = 4;
/// A worker that is asked to end finishes what it publishes; on a busy machine that takes a while.
const LEAVE_MAX: Duration = Duration::from_secs(60);
/// Longer than a peace.
const CALM_LEASE: &str = "300s";

/// What all workers of a job are started with.
pub(crate) struct WorkerOptions {
    /// The server's address for each member: directly or through a proxy.
    pub(crate) urls: [String; MEMBERS],
    pub(crate) lease: String,
    /// Failpoints of every worker.
    pub(crate) stretch: String,
    /// Further variables.
    pub(crate) env: Vec<(String, String)>,
    /// The last member is of the version that is built there.
    pub(crate) other_version: Option<PathBuf>,
}

struct Member {
    running: Option<Running>,
    /// Name that its rows begin with.
    name: String,
    /// Stopped until then.
    sleeps_until: Option<Instant>,
    /// Failpoints of its next life.
    next_faults: String,
    lives: u32,
}

/// The workers of a job.
pub(crate) struct Supervisor<'a> {
    scene: &'a Scene,
    options: WorkerOptions,
    members: Vec<Member>,
}

impl<'a> Supervisor<'a> {
    /// Starts all members.
    pub(crate) fn start(scene: &'a Scene, options: WorkerOptions) -> Self {
        let member = |at: usize| Member {
            running: None,
            name: format!("w{at}"),
            sleeps_until: None,
            next_faults: String::new(),
            lives: 0,
        };
        let mut supervisor = Self { scene, options, members: (0..MEMBERS).map(member).collect() };
        supervisor.poll();
        supervisor
    }

    /// Wakes those whose time has come and starts those that have ended.
    pub(crate) fn poll(&mut self) {
        for at in 0..MEMBERS {
            let member = &mut self.members[at];
            if member.sleeps_until.is_some_and(|until| Instant::now() >= until) {
                member.wake();
            }
            if member.running.as_mut().is_none_or(Running::has_ended) {
                member.sleeps_until = None;
                self.spawn(at);
            }
        }
    }

    fn spawn(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.lives += 1;
        member.name = format!("w{at}l{}", member.lives);
        let faults =
            format!("{};{}", self.options.stretch, std::mem::take(&mut member.next_faults));
        let program = match &self.options.other_version {
            Some(folder) if at + 1 == MEMBERS => self.scene.program_of(folder, "longshore-worker"),
            _ => self.scene.endless_worker(),
        };
        let mut program = program
            .args(["--slots", "2", "--name", &member.name])
            .env("LONGSHORE_LOAD_AHEAD", "true")
            .env("CLICKHOUSE_URL", &self.options.urls[at])
            .env("LONGSHORE_LEASE", &self.options.lease)
            .faults(faults);
        for (name, value) in &self.options.env {
            program = program.env(name, value);
        }
        member.running = Some(program.spawn());
    }

    /// Kills a worker; the beginning of its name in the tables. A new one follows at once.
    pub(crate) fn kill(&mut self, pick: usize, next_faults: &str) -> String {
        let member = &mut self.members[pick % MEMBERS];
        let name = format!("{}-", member.name);
        member.next_faults = next_faults.to_owned();
        member.end();
        self.spawn(pick % MEMBERS);
        name
    }

    /// Kills all; nothing is started before the next look.
    pub(crate) fn kill_all(&mut self) {
        for member in &mut self.members {
            member.end();
        }
    }

    /// Stops a worker for a while. False when it sleeps already or is gone.
    pub(crate) fn stop(&mut self, pick: usize, length: Duration) -> bool {
        let member = &mut self.members[pick % MEMBERS];
        if member.sleeps_until.is_some() {
            return false;
        }
        let Some(running) = &mut member.running else { return false };
        if running.has_ended() {
            return false;
        }
        running.signal("STOP");
        member.sleeps_until = Some(Instant::now() + length);
        true
    }

    /// Asks a worker to end.
    pub(crate) fn term(&mut self, pick: usize) -> bool {
        let Some(running) = &mut self.members[pick % MEMBERS].running else { return false };
        if running.has_ended() {
            return false;
        }
        running.signal("TERM");
        true
    }

    /// From now on nothing is hurt: workers are replaced by some whose lease a busy machine cannot
    /// take from them, so that what is left is finished.
    pub(crate) fn calm(&mut self) {
        self.options.lease = CALM_LEASE.to_owned();
        self.options.stretch.clear();
        for at in 0..MEMBERS {
            self.members[at].next_faults.clear();
            self.members[at].wake();
            self.term(at);
        }
    }

    /// The name of a worker.
    pub(crate) fn name(&self, pick: usize) -> String {
        self.members[pick % MEMBERS].name.clone()
    }

    /// Asks all to end and waits for it; what went wrong.
    pub(crate) fn leave(mut self) -> Vec<String> {
        for member in &mut self.members {
            member.wake();
            if let Some(running) = &mut member.running
                && !running.has_ended()
            {
                running.signal("TERM");
            }
        }
        let mut findings = Vec::new();
        for member in &mut self.members {
            let Some(mut running) = member.running.take() else { continue };
            if within(LEAVE_MAX, || running.has_ended().then_some(())).is_none() {
                findings.push(format!("worker {} does not end when asked to", member.name));
            }
        }
        // Their sockets and their last rows of history.
        thread::sleep(Duration::from_millis(50));
        findings
    }
}

impl Member {
    fn wake(&mut self) {
        if self.sleeps_until.take().is_some()
            && let Some(running) = &mut self.running
            && !running.has_ended()
        {
            running.signal("CONT");
        }
    }

    fn end(&mut self) {
        self.sleeps_until = None;
        if let Some(running) = &mut self.running
            && !running.has_ended()
        {
            running.kill();
        }
        self.running = None;
    }
}
