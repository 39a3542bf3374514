//! The flags that both programs share.

use std::path::PathBuf;

use clap::Args;

use super::LogFormat;

/// Where the server is and who we are there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Address of ClickHouse's HTTP interface, without user and password
    /// [env: CLICKHOUSE_URL]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,

    /// ClickHouse user [env: CLICKHOUSE_USER]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,

    /// File that holds the password [env: CLICKHOUSE_PASSWORD_FILE]
    ///
    /// Without it the password is taken from CLICKHOUSE_PASSWORD, then from
    /// `clickhouse-password` in $CREDENTIALS_DIRECTORY. There is no flag for the password
    /// itself: everybody on the machine can read a process's arguments.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub password_file: Option<PathBuf>,

    /// File with the certificates (PEM) of the only authorities that are trusted to sign the
    /// server's, instead of the system's [env: CLICKHOUSE_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub ca_file: Option<PathBuf>,

    /// Database of the control tables [env: LONGSHORE_DATABASE]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub database: Option<String>,

    /// Database of the staging tables [env: LONGSHORE_STAGING_DATABASE]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub staging_database: Option<String>,
}

/// How messages are written.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct LogArgs {
    /// Form of the messages on standard error [env: LONGSHORE_LOG_FORMAT]
    #[arg(long, global = true, value_enum, hide_short_help = true)]
    pub log_format: Option<LogFormat>,

    /// Level of the messages: error, warn, info, debug, trace, or a filter [env: LONGSHORE_LOG]
    #[arg(long, global = true, value_name = "LEVEL", hide_short_help = true)]
    pub log_level: Option<String>,
}

/// How a worker works.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// How long a heartbeat holds: so long after a worker's death its tasks wait for another one
    /// [env: LONGSHORE_LEASE]
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,

    /// Loads that one worker process runs at the same time [default: a share of the server's cores]
    /// [env: LONGSHORE_SLOTS]
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,

    /// Load the next task while the last one is counted and published [env: LONGSHORE_LOAD_AHEAD]
    #[arg(long, value_name = "BOOL")]
    pub load_ahead: Option<bool>,

    /// Load nothing new while the server has more to do than it can bear [env: LONGSHORE_WAIT_WHEN_BUSY]
    #[arg(long, value_name = "BOOL")]
    pub wait_when_busy: Option<bool>,

    /// Longest pause of an idle worker between two looks for work [env: LONGSHORE_POLL_MAX]
    #[arg(long, value_name = "DURATION")]
    pub poll_max: Option<String>,
}

/// Flags of every command of both programs.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Where the server is.
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Configuration file instead of ./longshore.toml [env: LONGSHORE_CONFIG]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        hide_short_help = true,
        help_heading = "Connection"
    )]
    pub config: Option<PathBuf>,

    /// How messages are written.
    #[command(flatten)]
    pub log: LogArgs,
}
