//! All settings, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::rules::{PolicyConfig, Rules, TableConfig, WindowConfig};
use crate::clickhouse::Connection;
use crate::task::TableName;

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is, who we are there, and the databases of Longshore.
    pub connection: Connection,
    /// Plans for this server are durable unless their command says otherwise.
    pub durable: bool,
    /// How long a worker's heartbeat holds.
    pub lease: Duration,
    /// Loads that one worker process runs at the same time; without it, its share of the server's cores.
    pub slots: Option<u32>,
    /// A slot loads the next task while the last one is counted and published.
    pub load_ahead: bool,
    /// Loads wait while the server has more to do than it can bear.
    pub wait_when_busy: bool,
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
            ("LONGSHORE_LOAD_AHEAD", self.load_ahead.to_string()),
            ("LONGSHORE_WAIT_WHEN_BUSY", self.wait_when_busy.to_string()),
            ("LONGSHORE_POLL_MAX", humantime::format_duration(self.poll_max).to_string()),
            ("LONGSHORE_LOG_FORMAT", self.log.format.as_str().to_owned()),
        ];
        variables.extend(self.slots.map(|slots| ("LONGSHORE_SLOTS", slots.to_string())));
        let ca_file = connection.ca_file.as_ref();
        variables.extend(ca_file.map(|path| ("CLICKHOUSE_CA_FILE", path.display().to_string())));
        variables.extend(self.log.level.clone().map(|level| ("LONGSHORE_LOG", level)));
        variables.extend(
            self.file.as_ref().map(|file| ("LONGSHORE_CONFIG", file.display().to_string())),
        );
        variables
    }

    /// What the file says of a table itself.
    pub fn table(&self, name: &TableName) -> Option<&TableConfig> {
        self.tables.get(name)
    }

    /// What holds for a table.
    pub fn rules(&self, table: &TableName) -> Rules {
        Rules::new(&self.window, &self.policy, self.table(table))
    }
}
