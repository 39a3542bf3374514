//! Starts local worker processes for one job, keeps them alive while it runs, and lets them go.
//!
//! Workers get their settings and the password by their environment only. They run in process
//! groups of their own: a Ctrl-C in the terminal reaches this program, and it alone decides what
//! they hear. A worker that dies leaves nothing that another one could not take over.

use std::future::{Future, poll_fn};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::{Duration, Instant};

use longshore_shared::config::Config;
use longshore_shared::task::JobId;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use tokio::process::{Child, Command};

use super::logs::Logs;
use super::signals::Signals;
use crate::ui::error::{Error, Kind, Report};

const PROGRAM: &str = "longshore-worker";
/// Restarts of one worker that signals killed; more of them is no accident.
const RESTARTS_MAX: u32 = 5;
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(500);
/// All workers found nothing to do, but the job still runs: one of them looks again after this.
const REST: Duration = Duration::from_secs(5);

/// The worker processes of one `run`.
pub(crate) struct Supervisor {
    job: JobId,
    config: Config,
    /// Workers that are started.
    count: usize,
    program: PathBuf,
    logs: Logs,
    members: Vec<Member>,
    resting_since: Option<Instant>,
}

struct Member {
    number: usize,
    state: State,
    restarts: u32,
}

enum State {
    Running(Child),
    /// It was killed and starts again at this time.
    Waiting(Instant),
    /// It ended by itself, with nothing left to do.
    Left,
    /// It ended with an error, or was killed too often.
    Failed(ExitStatus),
}

/// What the end of a worker means while the job runs.
#[derive(Debug, PartialEq, Eq)]
enum RestartDecision {
    Leave,
    Restart(Duration),
    GiveUp,
}

impl Supervisor {
    /// Starts `count` workers. Their logs go to `logs`, or to a folder of their own that goes away
    /// with them when the job and its workers ended well.
    pub(crate) fn start(
        job: &JobId,
        count: usize,
        config: &Config,
        logs: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut supervisor = Self {
            job: job.clone(),
            config: config.clone(),
            count,
            program: program(),
            logs: Logs::open(logs)?,
            members: Vec::new(),
            resting_since: None,
        };
        for number in 1..=count {
            let state = match supervisor.spawn(number) {
                Ok(child) => State::Running(child),
                Err(error) => {
                    supervisor.signal(Signal::TERM);
                    return Err(error);
                }
            };
            supervisor.members.push(Member { number, state, restarts: 0 });
        }
        Ok(supervisor)
    }

    /// Where the workers' logs are.
    pub(crate) fn logs(&self) -> &Path {
        self.logs.folder()
    }

    /// Looks after the workers while the job runs; returns what a person should know.
    ///
    /// # Errors
    /// When no worker is left that could be started again.
    pub(crate) fn poll(&mut self) -> Result<Vec<String>, Error> {
        let mut events = Vec::new();
        for at in 0..self.members.len() {
            events.extend(self.poll_one(at)?);
        }
        if self.members.iter().any(|m| matches!(m.state, State::Running(_) | State::Waiting(_))) {
            self.resting_since = None;
            return Ok(events);
        }
        let Some(left) = self.members.iter().position(|m| matches!(m.state, State::Left)) else {
            return Err(self.failure().into());
        };
        // Whoever works on the rest (other machines) may die: somebody here has to be awake then.
        if self.resting_since.get_or_insert_with(Instant::now).elapsed() >= REST {
            self.members[left].state = State::Waiting(Instant::now());
        }
        Ok(events)
    }

    /// Waits until a worker has ended, or is due to start again: then there is something for
    /// [`Self::poll`]. For ever while there is nothing. May be dropped at any time.
    pub(crate) async fn changes(&mut self) {
        let due = self.members.iter().filter_map(|member| match member.state {
            State::Waiting(when) => Some(when),
            _ => None,
        });
        let due = due.min();
        let running = self.members.iter_mut().filter_map(|member| match &mut member.state {
            State::Running(child) => Some(Box::pin(child.wait())),
            _ => None,
        });
        let mut running: Vec<_> = running.collect();
        let ended = poll_fn(|context| {
            let is_over = running.iter_mut().any(|end| end.as_mut().poll(context).is_ready());
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        });
        match due {
            Some(due) => drop(tokio::time::timeout_at(due.into(), ended).await),
            None => ended.await,
        }
    }

    fn poll_one(&mut self, at: usize) -> Result<Option<String>, Error> {
        let number = self.members[at].number;
        let status = match &mut self.members[at].state {
            State::Running(child) => child.try_wait()?,
            State::Waiting(when) if *when <= Instant::now() => {
                self.members[at].state = State::Running(self.spawn(number)?);
                return Ok(None);
            }
            State::Waiting(_) | State::Left | State::Failed(_) => None,
        };
        let Some(status) = status else {
            return Ok(None);
        };
        let member = &mut self.members[at];
        match restart_decision(status, member.restarts) {
            RestartDecision::Leave => {
                member.state = State::Left;
                Ok(None)
            }
            RestartDecision::Restart(pause) => {
                member.restarts += 1;
                member.state = State::Waiting(Instant::now() + pause);
                let (times, end) = (member.restarts, describe(status));
                Ok(Some(format!(
                    "worker {number} {end}; it is started again ({times} of {RESTARTS_MAX})"
                )))
            }
            RestartDecision::GiveUp => {
                member.state = State::Failed(status);
                let tail = self.logs.tail(number);
                Ok(Some(format!(
                    "worker {number} {} and is not started again{tail}",
                    describe(status)
                )))
            }
        }
    }

    /// Waits until all workers have left by themselves; after the grace time, or on a signal, asks
    /// them to. A signal after that kills them.
    pub(crate) async fn leave(&mut self, grace: Duration, signals: &mut Signals) {
        tokio::select! {
            () = self.all_ended() => return,
            _ = signals.next() => {}
            () = tokio::time::sleep(grace) => {}
        }
        self.drain(signals).await;
    }

    /// Asks all workers to finish or hand back their tasks, and waits for them. A signal meanwhile
    /// kills them, which is safe but makes their tasks wait for a lease.
    pub(crate) async fn drain(&mut self, signals: &mut Signals) {
        self.signal(Signal::TERM);
        tokio::select! {
            () = self.all_ended() => return,
            _ = signals.next() => {}
        }
        self.signal(Signal::KILL);
        self.all_ended().await;
    }

    /// Removes the logs if they are in a folder of our own and nobody needs them: the job and its
    /// workers ended well. Else they stay where they are: the folder.
    pub(crate) fn tidy(&self, job_is_well: bool) -> Option<PathBuf> {
        let is_well =
            self.members.iter().all(|m| m.restarts == 0 && !matches!(m.state, State::Failed(_)));
        if job_is_well && is_well {
            self.logs.remove();
            return None;
        }
        Some(self.logs.folder().to_owned())
    }

    fn spawn(&self, number: usize) -> Result<Child, Error> {
        let log = self.logs.file(number)?;
        let log_too = log.try_clone()?;
        let mut command = Command::new(&self.program);
        command
            .args(["--job", self.job.as_str(), "--exit-when-idle"])
            .envs(self.config.variables())
            // They share the server's cores, whichever of them is there first.
            .env("LONGSHORE_TOGETHER", self.count.to_string())
            .env_remove("CLICKHOUSE_PASSWORD")
            .env_remove("CLICKHOUSE_PASSWORD_FILE")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .process_group(0);
        let password = self.config.connection.password.expose_secret();
        if !password.is_empty() {
            command.env("CLICKHOUSE_PASSWORD", password);
        }
        command.spawn().map_err(|error| {
            let program = self.program.display();
            Report::new(Kind::Error, format!("cannot start {program}: {error}"))
                .help(format!("put `{PROGRAM}` beside `longshore` or on the PATH"))
                .into()
        })
    }

    fn signal(&self, signal: Signal) {
        for member in &self.members {
            if let State::Running(child) = &member.state
                && let Some(pid) =
                    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
            {
                // It may have ended just now.
                let _ = kill_process(pid, signal);
            }
        }
    }

    async fn all_ended(&mut self) {
        for member in &mut self.members {
            let status = match &mut member.state {
                State::Running(child) => child.wait().await,
                State::Waiting(_) => {
                    member.state = State::Left;
                    continue;
                }
                State::Left | State::Failed(_) => continue,
            };
            member.state = match status {
                Ok(status) if status.code().is_some_and(|code| code != 0) => State::Failed(status),
                _ => State::Left,
            };
        }
    }

    fn failure(&self) -> Report {
        let failed = self.members.iter().find_map(|member| match member.state {
            State::Failed(status) => Some((member.number, status)),
            _ => None,
        });
        let (number, end) =
            failed.map_or((1, "ended".to_owned()), |(number, status)| (number, describe(status)));
        let code = failed.and_then(|(_, status)| status.code());
        let kind = match code {
            Some(2) => Kind::Usage,
            Some(5) => Kind::Unreachable,
            _ => Kind::Error,
        };
        let message = format!("no worker is left: worker {number} {end}{}", self.logs.tail(number));
        Report::new(kind, message).help(format!(
            "the workers' logs are in {}
to go on: longshore run {}",
            self.logs.folder().display(),
            self.job
        ))
    }
}

/// Beside this program, else wherever the PATH says.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name(PROGRAM));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

fn restart_decision(status: ExitStatus, restarts: u32) -> RestartDecision {
    match status.code() {
        Some(0) => RestartDecision::Leave,
        None if restarts < RESTARTS_MAX => {
            RestartDecision::Restart(RESTART_PAUSE_MIN * 2u32.pow(restarts))
        }
        // With an exit code it said why in its log, and would say so again.
        _ => RestartDecision::GiveUp,
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(9)) => "was killed (signal 9)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_worker_starts_again_five_times_and_one_that_says_no_does_not() {
        let killed = ExitStatus::from_raw(9);
        assert_eq!(
            restart_decision(killed, 0),
            RestartDecision::Restart(Duration::from_millis(500))
        );
        assert_eq!(restart_decision(killed, 4), RestartDecision::Restart(Duration::from_secs(8)));
        assert_eq!(restart_decision(killed, 5), RestartDecision::GiveUp);
        assert_eq!(restart_decision(ExitStatus::from_raw(0), 0), RestartDecision::Leave);
        assert_eq!(restart_decision(ExitStatus::from_raw(2 << 8), 0), RestartDecision::GiveUp);
        assert_eq!(describe(killed), "was killed (signal 9)");
        assert_eq!(describe(ExitStatus::from_raw(2 << 8)), "ended with exit code 2");
    }
}
