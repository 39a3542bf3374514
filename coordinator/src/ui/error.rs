//! How the program ends: kinds of errors, and their exit codes.
//!
//! The numbers are a contract with scripts and never change; a code nobody knows is a failure.
//! 7 (verify found a mismatch) is kept for a later command.

use std::process::ExitCode;

use longshore_shared::config::ConfigError;
use longshore_shared::pack::UnpackError;
use longshore_shared::schema::GraphError;
use longshore_shared::store::StoreError;
use longshore_shared::task::{IdError, IllegalJobEvent, UnknownUuid};
use miette::Diagnostic;
use serde::Serialize;

/// Exit code when a problem, or a difference, was found.
const PROBLEM: u8 = 8;

/// What went wrong, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Anything else.
    Error,
    /// The command, a setting or its input is wrong.
    Usage,
    /// The job ended, or stopped, with tasks that are not done.
    Unfinished,
    /// A person must allow it first.
    NeedsConsent,
    /// No way to the server, or from the server to Keeper.
    Unreachable,
    /// The state of the job or of the tables does not admit it.
    Conflict,
}

impl Kind {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::Usage => 2,
            Self::Unfinished => 3,
            Self::NeedsConsent => 4,
            Self::Unreachable => 5,
            Self::Conflict => 6,
        }
    }
}

/// The end of a command that had no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// The job is not, or not wholly, done.
    Unfinished,
    /// `doctor`, `check` or a dry run found a problem, or `plan diff --exit-code` a difference.
    Problem,
    /// A signal ended the command.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Unfinished => Self::from(Kind::Unfinished.code()),
            Exit::Problem => Self::from(PROBLEM),
            // The way a shell reports a program that a signal ended.
            Exit::Signal(number) => Self::from(128 + number),
        }
    }
}

/// An error as a user sees it. Its causes stand in the message: a source would be printed once more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) help: Option<String>,
}

impl Report {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Diagnostic for Report {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }
}

/// Whatever a command can end with. `crate::ui::report` says what it means and what to do.
#[derive(Debug)]
pub(crate) enum Error {
    /// A setting.
    Config(ConfigError),
    /// The store or the server.
    Store(StoreError),
    /// The target or its views.
    Graph(Box<GraphError>),
    /// Already in a user's words.
    Report(Report),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<UnpackError> for Error {
    fn from(error: UnpackError) -> Self {
        Self::Store(error.into())
    }
}

impl From<longshore_shared::clickhouse::Failure> for Error {
    fn from(failure: longshore_shared::clickhouse::Failure) -> Self {
        Self::Store(failure.into())
    }
}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Self {
        Self::Graph(Box::new(error))
    }
}

impl From<Report> for Error {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

impl From<IdError> for Error {
    fn from(error: IdError) -> Self {
        Self::Report(Report::new(Kind::Usage, error.to_string()))
    }
}

impl From<IllegalJobEvent> for Error {
    fn from(error: IllegalJobEvent) -> Self {
        Self::Report(Report::new(Kind::Conflict, error.to_string()))
    }
}

impl From<UnknownUuid> for Error {
    fn from(error: UnknownUuid) -> Self {
        Self::Report(Report::new(Kind::Conflict, error.to_string()))
    }
}

impl From<longshore_shared::faults::Injected> for Error {
    fn from(injected: longshore_shared::faults::Injected) -> Self {
        Self::Report(Report::new(Kind::Error, injected.to_string()))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Report(Report::new(Kind::Error, format!("cannot write the result: {error}")))
    }
}
