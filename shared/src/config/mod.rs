//! The settings of both programs, from four layers: defaults < `longshore.toml` < environment < flags.
//!
//! Nothing is read before a program calls [`CommonArgs::load`]. A value that cannot be used names
//! its setting and where it came from; a key that nobody knows is refused. A password is read from
//! a file, a variable or a credential folder, never from a flag or an address, and every secret is
//! registered with [`crate::redact`] before it is handed out.

mod address;
mod args;
mod environment;
mod layers;
mod password;
mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use address::check as check_address;
pub use args::{CommonArgs, ConnectionArgs, LogArgs, WorkerArgs};
pub use environment::Environment;
pub use rules::{PolicyConfig, Rules, TableConfig, WindowConfig};

use crate::clickhouse::Connection;
use crate::task::TableName;

/// The commented file with every setting and its default.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// The file that is read from the working folder when no other is named.
pub const FILE_NAME: &str = "longshore.toml";

/// A shorter lease would lapse between two heartbeats on a busy server.
const LEASE_MIN: Duration = Duration::from_secs(1);
const POLL_MIN: Duration = Duration::from_millis(50);
const SLOTS_MAX: u32 = 256;
/// Windows are counted in seconds.
const WINDOW_CHUNK_MIN: Duration = Duration::from_secs(1);

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is, who we are there, and the databases of Longshore.
    pub connection: Connection,
    /// Plans for this server are durable unless their command says otherwise.
    pub durable: bool,
    /// How long a worker's heartbeat holds.
    pub lease: Duration,
    /// Tasks that one worker process works on at the same time.
    pub slots: u32,
    /// Longest pause of an idle worker between two looks for work.
    pub poll_max: Duration,
    /// Time windows of plans.
    pub window: WindowConfig,
    /// What must hold before a job runs.
    pub policy: PolicyConfig,
    /// What the file says of single tables.
    pub tables: BTreeMap<TableName, TableConfig>,
    /// Form and level of the messages.
    pub log: LogConfig,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Where each setting came from, by its key.
    pub origins: BTreeMap<&'static str, String>,
    /// What was found odd and passed over; for the log, once it is open.
    pub warnings: Vec<String>,
}

/// How messages are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Their form.
    pub format: LogFormat,
    /// A level or filter; the program's own default without it.
    pub level: Option<String>,
}

/// Form of the messages on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// As written in a file, a variable or a flag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {what} {}", path.display())]
    File {
        /// What the file holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is no TOML.
    #[error("{} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        message: String,
    },
    /// The configuration file holds a key that no setting has.
    #[error("there is no setting `{key}` (in {})", path.display())]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file.
        path: PathBuf,
        /// The setting that was probably meant.
        meant: Option<&'static str>,
    },
    /// A value that its setting cannot have.
    #[error("{key} (from {origin}): {message}")]
    Value {
        /// The setting.
        key: String,
        /// The file, variable or flag.
        origin: String,
        /// What is wrong with it.
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// The password is given in two ways at once.
    #[error("CLICKHOUSE_PASSWORD and CLICKHOUSE_PASSWORD_FILE are both set")]
    TwoPasswords,
}

impl ConfigError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::File { .. } | Self::Syntax { .. } => None,
            Self::UnknownKey { key, .. } if key.ends_with("password") => Some(
                "a password does not belong into this file: set CLICKHOUSE_PASSWORD, or name a file \
                 with --password-file"
                    .to_owned(),
            ),
            Self::UnknownKey { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::UnknownKey { key, .. } if key.starts_with("tables.") => {
                Some(format!("the section of a table can hold: {}", layers::TABLE_KEYS.join(", ")))
            }
            Self::UnknownKey { meant: None, .. } => {
                Some(format!("known settings: {}", layers::KEYS.join(", ")))
            }
            Self::Value { help, .. } => help.clone(),
            Self::TwoPasswords => Some("unset one of them".to_owned()),
        }
    }
}

impl Config {
    /// Where a setting came from, for messages: `--server`, `CLICKHOUSE_URL`, a file, or `default`.
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key).map_or("default", String::as_str)
    }

    /// The settings as environment variables, so that a child process works with the same ones.
    ///
    /// The password is not among them: see [`Config::connection`].
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let connection = &self.connection;
        let mut variables = vec![
            ("CLICKHOUSE_URL", connection.url.clone()),
            ("CLICKHOUSE_USER", connection.user.clone()),
            ("LONGSHORE_DATABASE", connection.control.clone()),
            ("LONGSHORE_STAGING_DATABASE", connection.staging.clone()),
            ("LONGSHORE_LEASE", humantime::format_duration(self.lease).to_string()),
            ("LONGSHORE_SLOTS", self.slots.to_string()),
            ("LONGSHORE_POLL_MAX", humantime::format_duration(self.poll_max).to_string()),
            ("LONGSHORE_LOG_FORMAT", self.log.format.as_str().to_owned()),
        ];
        let ca_file = connection.ca_file.as_ref();
        variables.extend(ca_file.map(|path| ("CLICKHOUSE_CA_FILE", path.display().to_string())));
        variables.extend(self.log.level.clone().map(|level| ("LONGSHORE_LOG", level)));
        variables.extend(
            self.file.as_ref().map(|file| ("LONGSHORE_CONFIG", file.display().to_string())),
        );
        variables
    }
}

#[cfg(test)]
mod tests;
