//! A test bed that belongs to one test, so that its servers may be killed, stopped and started.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use crate::bed::Bed;
use crate::power::{self, Journal};
use crate::syscalls;

/// The first ClickHouse server of a bed.
pub const CLICKHOUSE: &str = "clickhouse-1";
/// The second ClickHouse server of a bed.
pub const SECOND: &str = "clickhouse-2";
/// The Keeper of a bed.
pub const KEEPER: &str = "zookeeper";
/// The Keepers of a bed of three.
pub const KEEPERS: [&str; 3] = ["zookeeper-1", "zookeeper-2", "zookeeper-3"];
/// The S3 server of a bed.
pub const S3: &str = "seaweedfs";

/// What the bed puts before ClickHouse's command line.
const WRAPPER: &str = "LONGSHORE_TESTBED_CLICKHOUSE_WRAPPER";

/// Servers of its own; they end with it.
pub struct OwnBed {
    folder: TempDir,
    /// What its servers are started with, at every start again.
    env: Mutex<Vec<(&'static str, String)>>,
    /// Addresses and credentials.
    pub bed: Bed,
    is_kept: bool,
}

/// What a server does to its files, while it is written down.
pub struct Recording {
    log: PathBuf,
    folder: PathBuf,
    known: HashSet<PathBuf>,
}

impl Recording {
    /// What it has done so far.
    ///
    /// # Panics
    /// When there is no log.
    pub fn journal(&self) -> Journal {
        // The tracer writes down the last calls after the process has ended.
        let length = || fs::metadata(&self.log).map_or(0, |facts| facts.len());
        let mut seen = length();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            if std::mem::replace(&mut seen, length()) == seen {
                break;
            }
        }
        Journal::read(&self.log, &self.folder, self.known.clone())
    }

    /// Ends it: the log takes room.
    pub fn discard(self) {
        fs::remove_file(&self.log).ok();
    }
}

/// What `docs/replicas.md` tells to put into a server's `config.d`.
const UNKNOWN_PARTS: &str = "<clickhouse><merge_tree><replicated_max_ratio_of_wrong_parts>1\
    </replicated_max_ratio_of_wrong_parts></merge_tree></clickhouse>";

impl OwnBed {
    /// Starts a bed on free ports in a folder of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A bed of two servers that share one Keeper.
    ///
    /// # Panics
    /// When it does not start.
    pub fn of_two() -> Self {
        Self::start_as(&["--servers", "2"], &[])
    }

    /// A bed of two replicas, on an engine that can hold replicated tables.
    ///
    /// # Panics
    /// When it does not start.
    pub fn of_replicas(more: &[&str]) -> Self {
        Self::start_as(&[&["--engine", "25.8", "--replicas", "2"], more].concat(), &[])
    }

    /// From its next start on, a server opens a replicated table whatever share of its rows Keeper does not
    /// know (`docs/replicas.md`): it sets those parts aside. Without this, a kill between the name of a first
    /// part and Keeper's word leaves the table read-only, and a test that kills at random meets that moment.
    ///
    /// # Panics
    /// When the bed's folder cannot be written.
    pub fn opens_tables_with_unknown_parts(&self, servers: &[&str]) {
        for server in servers {
            let folder = self.folder().join(format!("{server}.d"));
            fs::create_dir_all(&folder).expect("a writable folder");
            fs::write(folder.join("ratio.xml"), UNKNOWN_PARTS).expect("a writable folder");
        }
    }

    /// The same as [`Self::start`], with variables of `scripts/testbed` set.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(env: &[(&'static str, String)]) -> Self {
        Self::start_as(&[], env)
    }

    fn start_as(args: &[&str], env: &[(&'static str, String)]) -> Self {
        let folder = TempDir::with_prefix("longshore-bed-").expect("a temporary folder");
        testbed(&[&["start", "--quiet"], args].concat(), folder.path(), env);
        let shell = testbed(&["env"], folder.path(), &[]);
        let bed = Bed::read(|name| {
            let line =
                shell.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('='))
                .map(|text| text.trim_matches('\'').to_owned())
        });
        Self { folder, env: Mutex::new(env.to_vec()), bed, is_kept: false }
    }

    /// From its next start on, ClickHouse waits this long before and after every rename, so that a
    /// kill can be placed between two renames of one MOVE. Needs `strace`.
    pub fn slow_renames(&self, wait: Duration) {
        self.set(WRAPPER, tracer(wait));
    }

    /// Starts ClickHouse again, so that from then on its log of system calls tells what it does to its
    /// files. Needs `strace`.
    pub fn record(&self) -> Recording {
        let log = self.folder().join(format!("calls-{}.log", uuid::Uuid::new_v4().simple()));
        let folder = self.folder().join(CLICKHOUSE);
        let known = power::names(&folder);
        self.set(WRAPPER, syscalls::recorder(&log));
        self.restart(CLICKHOUSE);
        Recording { log, folder, known }
    }

    /// From its next start on, nobody writes down what ClickHouse does.
    pub fn unrecorded(&self) {
        self.set(WRAPPER, String::new());
    }

    /// From its next start on, ClickHouse renames at its usual speed.
    pub fn usual_renames(&self) {
        self.set(WRAPPER, String::new());
    }

    /// A bed that begins with [`Self::slow_renames`].
    ///
    /// # Panics
    /// When it does not start: without `strace`, for one.
    pub fn with_slow_renames(wait: Duration) -> Self {
        Self::start_with(&[(WRAPPER, tracer(wait))])
    }

    /// From the next start of a server on, it gets this variable.
    pub fn set(&self, name: &'static str, value: String) {
        let mut env = self.env.lock().expect("nobody panicked with it");
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        self.env.lock().expect("nobody panicked with it").clone()
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
        self.fact(|state| state["processes"][server]["pid"].as_u64())
            .unwrap_or_else(|| panic!("the bed has no {server}"))
    }

    /// The port that a server's users talk to.
    ///
    /// # Panics
    /// When the bed has no such server.
    pub fn port(&self, server: &str) -> u32 {
        let port = match server {
            KEEPER => "keeper",
            S3 => "s3",
            SECOND => "http-2",
            _ => "http-1",
        };
        self.fact(|state| state["ports"][port].as_u64())
            .unwrap_or_else(|| panic!("the bed has no {server}"))
    }

    /// Not by `status`: that asks every server, and one of them may hang on purpose.
    fn fact(&self, of: impl Fn(&serde_json::Value) -> Option<u64>) -> Option<u32> {
        let text = fs::read_to_string(self.folder.path().join("bed.json")).expect("the bed's file");
        let state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        of(&state).and_then(|fact| fact.try_into().ok())
    }

    /// The member of a Keeper ensemble that leads it.
    ///
    /// # Panics
    /// When there is none.
    pub fn leading_keeper(&self) -> String {
        let folder = self.folder.path().to_string_lossy();
        // Its exit code says that something does not run.
        let out = command(&["status", "--json", "--dir", &folder]).output();
        let status: serde_json::Value =
            serde_json::from_slice(&out.expect("scripts/testbed").stdout).expect("JSON");
        let processes = status["processes"].as_array().expect("processes");
        let leader = processes.iter().find(|process| process["mode"] == "leader");
        let leader = leader.unwrap_or_else(|| panic!("no keeper leads: {status}"));
        leader["name"].as_str().expect("a name").to_owned()
    }

    /// Sends a signal to a server by its name: `KILL`, `STOP`, `CONT`, `TERM`.
    ///
    /// # Panics
    /// When the process is not there.
    pub fn signal(&self, server: &str, signal: &str) {
        send_signal(self.pid(server), signal);
    }

    /// Gives the bed these users beside its own, each with statements `GRANT …`, all with the bed's
    /// password. ClickHouse is started again with them.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn set_users(&self, users: &BTreeMap<String, Vec<String>>) {
        let text = serde_json::to_string(users).expect("texts");
        fs::write(self.folder.path().join("more-users.json"), text).expect("a writable bed");
        self.restart(CLICKHOUSE);
    }

    /// The same, when the server may not come back at once.
    ///
    /// # Errors
    /// What `scripts/testbed` says.
    pub fn try_restart(&self, server: &str) -> Result<(), String> {
        try_testbed(&["restart", server, "--quiet"], self.folder.path(), &self.env()).map(drop)
    }

    /// Stops the servers and leaves their data, for somebody to look at.
    pub fn keep(mut self) -> PathBuf {
        let stopped = try_testbed(&["stop", "--quiet"], self.folder.path(), &[]);
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
        testbed(&["restart", server, "--quiet"], self.folder.path(), &self.env());
    }
}

fn tracer(wait: Duration) -> String {
    let (calls, micros) = ("rename,renameat,renameat2", wait.as_micros());
    // -D: the server keeps its process id; the tracer is the one that forks away.
    format!(
        "strace -D -f --seccomp-bpf -qqq -o /dev/null -e trace={calls} -e inject={calls}:delay_enter={micros}:delay_exit={micros}"
    )
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

fn testbed(args: &[&str], dir: &Path, env: &[(&'static str, String)]) -> String {
    try_testbed(args, dir, env).unwrap_or_else(|error| panic!("{error}"))
}

fn try_testbed(
    args: &[&str],
    dir: &Path,
    env: &[(&'static str, String)],
) -> Result<String, String> {
    let dir = dir.to_string_lossy();
    let mut command = command(&[args, &["--dir", &dir]].concat());
    let out = command.envs(env.iter().cloned()).output().expect("scripts/testbed");
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
