//! Faults inside a server: `strace` lets chosen system calls of a running process fail or wait.
//!
//! A MOVE is a row of renames. Only from there can a disk error, or a kill between two renames, be
//! placed.

use std::process::{Child, Command, Stdio};

use crate::own_bed::send_signal;
use crate::wait::wait_for;

/// All the ways to rename, as `strace` calls them.
const RENAMES: &str = "rename,renameat,renameat2";

/// A traced process; it is let go when this is dropped.
pub struct Tracer {
    strace: Child,
}

impl Tracer {
    /// Lets renames of a process meet a fault, in the words of `strace --inject`:
    /// `error=EIO:when=2`, `delay_enter=20000` (microseconds), `signal=KILL:when=3`.
    ///
    /// # Panics
    /// When the process cannot be traced; `strace` must be installed.
    pub fn on_renames(pid: u32, fault: &str) -> Self {
        let strace = Command::new("strace")
            .args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"])
            .args(["-e", &format!("trace={RENAMES}")])
            .args(["-e", &format!("inject={RENAMES}:{fault}")])
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed: scripts/test does it");
        let tracer = Self { strace };
        wait_for("every thread of the server is traced", || tracer.follows_all(pid).then_some(()));
        tracer
    }

    fn follows_all(&self, pid: u32) -> bool {
        let ours = format!("TracerPid:\t{}", self.strace.id());
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
        threads.flatten().all(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status"));
            // A thread that has just ended has nothing to say.
            status.map_or(true, |status| status.lines().any(|line| line == ours))
        })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // On SIGINT it lets the process go on; killed, it might leave it stopped.
        if self.strace.try_wait().is_ok_and(|ended| ended.is_none()) {
            send_signal(self.strace.id(), "INT");
        }
        let _ = self.strace.wait();
    }
}
