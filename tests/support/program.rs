//! The built programs as child processes: started, killed, waited for, their words kept.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::own_bed::send_signal;
use crate::wait::{DEADLINE, within};

/// A program about to be started.
#[must_use]
pub struct Program {
    command: Command,
    /// What messages call it.
    title: String,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Duration,
}

impl Program {
    pub(crate) fn new(bin: &Path, folder: &Path) -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let title = bin.file_name().expect("a program").to_string_lossy().into_owned();
        assert!(
            bin.exists(),
            "{} is not built: cargo build --workspace --features longshore-worker/faults",
            bin.display()
        );
        let mut command = Command::new(bin);
        // Nothing of the caller's environment or folder may change what a program does.
        command.env_clear().current_dir(folder).env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        Self {
            command,
            stdout: folder.join(format!("{run:03}-{title}.out")),
            stderr: folder.join(format!("{run:03}-{title}.err")),
            title,
            deadline: DEADLINE,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.title = format!("{} {}", self.title, arg.as_ref());
            self.command.arg(arg.as_ref());
        }
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    /// Takes a variable of the scene's environment away.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives the program something to read.
    pub fn input(mut self, text: &str) -> Self {
        let path = self.stdout.with_extension("in");
        fs::write(&path, text).expect("a writable folder");
        self.command.stdin(File::open(&path).expect("the file just written"));
        self
    }

    /// Lets the worker meet faults: `point=action;…` of the `fail` crate.
    pub fn faults(self, faults: impl AsRef<str>) -> Self {
        self.env("LONGSHORE_FAULTS", faults)
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut self) -> Running {
        let out = File::create(&self.stdout).expect("a writable folder");
        let err = File::create(&self.stderr).expect("a writable folder");
        self.command.stdout(out).stderr(err);
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.title));
        Running {
            child,
            title: self.title,
            stdout: self.stdout,
            stderr: self.stderr,
            deadline: self.deadline,
        }
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }
}

/// A program that runs. It is killed when the test lets go of it.
pub struct Running {
    child: Child,
    title: String,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Duration,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
    }

    /// Sends a signal by name.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Has it ended?
    ///
    /// # Panics
    /// When the system does not know the process.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended after the deadline; it is killed then.
    pub fn wait(mut self) -> Finished {
        let child = &mut self.child;
        let status = within(self.deadline, || child.try_wait().expect("a process of ours"));
        let Some(status) = status else {
            self.kill();
            panic!("{} did not end within {:?}\n{}", self.title, self.deadline, self.words());
        };
        Finished {
            status,
            title: self.title.clone(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        }
    }

    /// Everything it said so far.
    pub fn words(&self) -> String {
        format!("{}{}", read(&self.stdout), read(&self.stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended, or a test that failed: nothing of it may go on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    status: ExitStatus,
    title: String,
    /// Its result.
    pub stdout: String,
    /// What it told people.
    pub stderr: String,
}

// A check is often the last word on a program.
#[allow(clippy::return_self_not_must_use)]
impl Finished {
    /// Its exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Was it ended by SIGKILL?
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Exit code 0 is expected.
    ///
    /// # Panics
    /// With everything the program said, when it ended otherwise.
    pub fn ok(self) -> Self {
        self.exits_with(0)
    }

    /// Another exit code is expected.
    ///
    /// # Panics
    /// With everything the program said, when it ended otherwise.
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// Its result as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// Fails unless the program told all of this.
    ///
    /// # Panics
    /// Naming what is missing.
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            let found = self.stderr.contains(word) || self.stdout.contains(word);
            assert!(found, "`{word}` is missing in what was said\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} ended with {}", self.title, self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}
