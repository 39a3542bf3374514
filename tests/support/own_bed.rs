//! A test bed that belongs to one test, so that its servers may be killed, stopped and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::bed::Bed;

/// The first ClickHouse server of a bed.
pub const CLICKHOUSE: &str = "clickhouse-1";
/// The Keeper of a bed.
pub const KEEPER: &str = "zookeeper";
/// The S3 server of a bed.
pub const S3: &str = "seaweedfs";

/// Servers of its own; they end with it.
pub struct OwnBed {
    folder: TempDir,
    /// Addresses and credentials.
    pub bed: Bed,
    is_kept: bool,
}

impl OwnBed {
    /// Starts a bed on free ports in a folder of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("longshore-bed-").expect("a temporary folder");
        testbed(&["start", "--quiet"], folder.path());
        let shell = testbed(&["env"], folder.path());
        let bed = Bed::read(|name| {
            let line =
                shell.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('='))
                .map(|text| text.trim_matches('\'').to_owned())
        });
        Self { folder, bed, is_kept: false }
    }

    /// Where the bed keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id of a server that runs.
    ///
    /// # Panics
    /// When the bed has no such server.
    pub fn pid(&self, server: &str) -> u32 {
        // Not by `status`: that asks every server, and one of them may hang on purpose.
        let text = fs::read_to_string(self.folder.path().join("bed.json")).expect("the bed's file");
        let state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let pid = state["processes"][server]["pid"].as_u64();
        pid.and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("the bed has no {server}"))
    }

    /// Sends a signal to a server by its name: `KILL`, `STOP`, `CONT`, `TERM`.
    ///
    /// # Panics
    /// When the process is not there.
    pub fn signal(&self, server: &str, signal: &str) {
        send_signal(self.pid(server), signal);
    }

    /// The same, when the server may not come back at once.
    ///
    /// # Errors
    /// What `scripts/testbed` says.
    pub fn try_restart(&self, server: &str) -> Result<(), String> {
        try_testbed(&["restart", server, "--quiet"], self.folder.path()).map(drop)
    }

    /// Stops the servers and leaves their data, for somebody to look at.
    pub fn keep(mut self) -> PathBuf {
        let stopped = try_testbed(&["stop", "--quiet"], self.folder.path());
        if let Err(error) = stopped {
            eprintln!("{error}");
        }
        self.folder.disable_cleanup(true);
        let path = self.folder.path().to_owned();
        self.is_kept = true;
        path
    }

    /// Starts a killed server again on the same ports and data, and waits until it answers.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn restart(&self, server: &str) {
        testbed(&["restart", server, "--quiet"], self.folder.path());
    }
}

impl Drop for OwnBed {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let dir = self.folder.path().to_string_lossy().into_owned();
        // A stopped process would not hear that it shall end: wipe kills what does not.
        let wiped = command(&["wipe", "--quiet", "--dir", &dir]).status();
        if !wiped.is_ok_and(|status| status.success()) {
            eprintln!("the bed in {dir} could not be wiped");
        }
    }
}

/// Sends a signal to a process of ours.
///
/// # Panics
/// When the process is not there.
pub fn send_signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    assert!(sent.expect("the kill command").success(), "SIG{signal} to process {pid}");
}

fn testbed(args: &[&str], dir: &Path) -> String {
    try_testbed(args, dir).unwrap_or_else(|error| panic!("{error}"))
}

fn try_testbed(args: &[&str], dir: &Path) -> Result<String, String> {
    let dir = dir.to_string_lossy();
    let out = command(&[args, &["--dir", &dir]].concat()).output().expect("scripts/testbed");
    let (text, errors) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() {
        return Ok(text.into_owned());
    }
    Err(format!("testbed {}: {text}{errors}", args.join(" ")))
}

fn command(args: &[&str]) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/testbed");
    let mut command = Command::new(script);
    command.args(args).stdin(Stdio::null());
    command
}
