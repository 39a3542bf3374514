//! Checks of `longshore doctor`: what each found, and what to do about it.
//!
//! A check never ends the program: what cannot be looked at is a finding too.

mod advice;
pub(crate) mod belongings;
pub(crate) mod capacity;
pub(crate) mod evidence;
pub(crate) mod installation;
pub(crate) mod job;
pub(crate) mod keeper_paths;
pub(crate) mod leftovers;
pub(crate) mod losses;
pub(crate) mod orphans;
pub(crate) mod owners;
pub(crate) mod privileges;
pub(crate) mod read_only;
pub(crate) mod render;
pub(crate) mod shadows;
pub(crate) mod source;
mod versions;
pub(crate) mod views;

use longshore_shared::clickhouse::Failure;
use longshore_shared::config::Config;
use serde::Serialize;

use crate::ui::error::Error;
use crate::ui::report;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Loads work; somebody should know.
    Warning,
    /// Loads fail, or wait for a person.
    Problem,
}

impl Level {
    /// As printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found. The keys are a contract with scripts: they are only ever added to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Name of the check.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) level: Level,
    /// What it is about, where a check has several: a task, a disk, a table.
    pub(crate) subject: Option<String>,
    /// What was found, in one sentence.
    pub(crate) message: String,
    /// A command or statement to paste, or what to do; nothing when all is well.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    /// Something is as it should be.
    pub(crate) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        let (level, message) = (Level::Ok, message.into());
        Self { check, level, subject: None, message, remedy: None }
    }

    /// Somebody should know this, and do that.
    pub(crate) fn warning(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { level: Level::Warning, remedy, ..Self::ok(check, message) }
    }

    /// Loads fail, or wait for a person who does that.
    pub(crate) fn problem(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, message, remedy) }
    }

    /// Names what it is about.
    #[must_use]
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// Something a check could not look at, in the words of any other error.
pub(crate) fn unseen(check: &'static str, level: Level, error: &Error, config: &Config) -> Finding {
    let report = report::of(error, Some(config));
    let remedy = report.help.unwrap_or_else(|| "look into the server's log".to_owned());
    let message = match level {
        Level::Problem => report.message,
        _ => format!("not checked: {}", report.message),
    };
    Finding { level, ..Finding::problem(check, message, remedy) }
}

/// The findings of a look that loads do not depend on: when it fails, that is a warning.
pub(crate) fn or_unseen(
    check: &'static str,
    config: &Config,
    found: Result<Vec<Finding>, Failure>,
) -> Vec<Finding> {
    found.unwrap_or_else(|failure| vec![unseen(check, Level::Warning, &failure.into(), config)])
}
