//! What an error means to a user: the one place that turns causes into a kind, words and a remedy.

use std::error::Error as _;

use longshore_shared::clickhouse::{
    Code, Failure, Kind as FailureKind, NOT_UTF8, says_unconnected,
};
use longshore_shared::config::{Config, ConfigError};
use longshore_shared::schema::GraphError;
use longshore_shared::sql;
use longshore_shared::store::StoreError;

use super::error::{Error, Kind, Report};

const KEEPER_MAP_HELP: &str = "\
KeeperMap tables need a path prefix in the configuration of every ClickHouse server:
  <clickhouse>
      <keeper_map_path_prefix>/keeper_map_tables</keeper_map_path_prefix>
  </clickhouse>
Put that into a file in config.d, restart the server and run `longshore init` again.";

/// What to check when Keeper does not answer the server.
pub(crate) const KEEPER_HELP: &str = "\
Longshore keeps its tasks in Keeper (or ZooKeeper). Check the <zookeeper> section of the server's
configuration, and that Keeper runs. One that was wiped or replaced refuses the server's old session:
restart ClickHouse then.";

pub(crate) fn of(error: &Error, config: Option<&Config>) -> Report {
    match error {
        Error::Config(error) => of_config(error),
        Error::Store(error) => of_store(error, config),
        Error::Graph(error) => match error.as_ref() {
            GraphError::Failure(failure) => of_failure(failure, config),
            error => of_graph(error),
        },
        Error::Report(report) => report.clone(),
    }
}

/// What to check when a server does not answer.
pub(crate) fn reach_help(config: &Config) -> String {
    let origin = match config.origin("server.url") {
        "default" => "the default; set --server or CLICKHOUSE_URL".to_owned(),
        origin => format!("from {origin}"),
    };
    format!(
        "The address is {origin}.\nCheck that the server runs and that this is its HTTP port \
         (8123, or 8443 with https), not the native one (9000)."
    )
}

fn of_config(error: &ConfigError) -> Report {
    let mut message = error.to_string();
    if let Some(source) = error.source() {
        message = format!("{message}: {source}");
    }
    Report { kind: Kind::Usage, message, help: error.help() }
}

fn of_store(error: &StoreError, config: Option<&Config>) -> Report {
    match error {
        StoreError::Failure(failure) => of_failure(failure, config),
        StoreError::NotInitialised(database) => {
            let place = config.map_or(String::new(), |c| format!(" on {}", c.connection.url));
            let message = format!("there are no control tables in database `{database}`{place}");
            Report::new(Kind::Usage, message)
                .help("run: longshore init\n(or name the right database with --database)")
        }
        StoreError::Outdated(_) => {
            Report::new(Kind::Usage, error.to_string()).help("run: longshore init")
        }
        StoreError::NewerVersion { .. } => Report::new(Kind::Conflict, error.to_string())
            .help("use a program of the version that made the tables, or a newer one"),
        StoreError::Record(_) => Report::new(Kind::Conflict, error.to_string())
            .help("a newer Longshore may have written it: use that version"),
        StoreError::TooLarge { .. } => Report::new(Kind::Error, error.to_string()),
    }
}

fn of_graph(error: &GraphError) -> Report {
    let report = Report::new(Kind::Usage, error.to_string());
    match error {
        GraphError::NoTable(table) => report.help(format!(
            "check the spelling of `{table}`, and that the user may see it: GRANT SHOW COLUMNS ON {table} TO USER;"
        )),
        GraphError::Refreshable { view, .. } => report.help(format!(
            "if it may stay as it is (it reads the table by the clock, not on insert): --ignore-view '{view}'\n\
             a view that writes into a loaded table has to be detached while the job runs"
        )),
        GraphError::ViewKind { view, .. } | GraphError::CrossRead { view, .. } => {
            report.help(format!("detach {view} for the time of the load, and fill its target afterwards"))
        }
        GraphError::Detour { view, source_table, .. } => report.help(format!(
            "--mode direct lets the server run {view} on the rows of {source_table} itself (it is weaker: \
             docs/replay.md); or drop {view}, load, then make it again and fill its target with INSERT … SELECT"
        )),
        GraphError::OldSyntax { table, today, .. } => report.help(format!(
            "load into a table with the syntax of today; the old rows follow with longshore plan copy:\n  \
             CREATE TABLE {}.{} AS {} ENGINE = {today}",
            sql::quote_identifier(&table.database),
            sql::quote_identifier(&format!("{}_new", table.table)),
            table.quoted()
        )),
        GraphError::Engine { table, .. } => report.help(format!(
            "load into a MergeTree table; or, where {table} is the target itself, --mode direct"
        )),
        _ => report,
    }
}

fn of_failure(failure: &Failure, config: Option<&Config>) -> Report {
    let user = config.map_or("default", |config| &config.connection.user);
    let url = config.map_or("the server", |config| &config.connection.url);
    FailedCall { failure, config, url, user, words: plain(&failure.message, user) }.report()
}

/// A statement that gave no result, and over which connection.
struct FailedCall<'a> {
    failure: &'a Failure,
    config: Option<&'a Config>,
    url: &'a str,
    user: &'a str,
    /// The server's words without what only it needs.
    words: String,
}

impl FailedCall<'_> {
    fn report(&self) -> Report {
        let Self { url, words, .. } = self;
        match self.failure.kind {
            FailureKind::Unreachable => self
                .of_reach(Kind::Unreachable, format!("cannot reach ClickHouse at {url}: {words}")),
            FailureKind::Tls => Report::new(
                Kind::Unreachable,
                format!("no trusted way to ClickHouse at {url}: {words}"),
            ),
            FailureKind::Unknown => self.of_reach(
                Kind::Unreachable,
                format!("no usable answer from ClickHouse at {url}: {words}"),
            ),
            FailureKind::Reply if words.contains(NOT_UTF8) => self.of_bad_name(),
            FailureKind::Reply => {
                self.of_reach(Kind::Error, format!("cannot read the answer of {url}: {words}"))
            }
            FailureKind::Unlisted(number) => Report::new(Kind::Error, self.with_number(number))
                .help("Longshore does not know this error of ClickHouse; please report it"),
            FailureKind::Server(code) => self.of_code(code),
        }
    }

    /// The address may be a wrong one.
    fn of_reach(&self, kind: Kind, message: String) -> Report {
        let report = Report::new(kind, message);
        match self.config {
            Some(config) => report.help(reach_help(config)),
            None => report,
        }
    }

    /// A name that is no text.
    fn of_bad_name(&self) -> Report {
        let statement = self.failure.statement;
        if matches!(statement, "describe_file" | "describe_source") {
            let message = "the names of columns in the first file are not UTF-8";
            return Report::new(Kind::Usage, message)
                .help("it may be packed, or of another format: check --format");
        }
        let message = format!("{} answers {} (in {statement})", self.url, self.words);
        Report::new(Kind::Error, message)
            .help("a name of a table, column, partition or user is none that can be written down: rename it")
    }

    /// The server has said no.
    fn of_code(&self, code: Code) -> Report {
        let Self { url, user, words, .. } = self;
        match code {
            Code::AUTHENTICATION_FAILED
            | Code::UNKNOWN_USER
            | Code::WRONG_PASSWORD
            | Code::REQUIRED_PASSWORD => {
                let first_line = self.first_line();
                let message =
                    format!("ClickHouse at {url} does not let user `{user}` in: {first_line}");
                Report::new(Kind::Usage, message).help(password_help(self.config))
            }
            Code::ACCESS_DENIED => self.of_missing_grant(),
            Code::BAD_ARGUMENTS if self.failure.message.contains("keeper_map_path_prefix") => {
                Report::new(Kind::Usage, format!("KeeperMap is not configured on {url}"))
                    .help(KEEPER_MAP_HELP)
            }
            Code::INVALID_STATE if says_unconnected(words) => {
                let message =
                    format!("ClickHouse at {url} was started and has not reached its Keeper since");
                Report::new(Kind::Unreachable, message).help(KEEPER_HELP)
            }
            Code::INVALID_STATE => {
                let message = format!(
                    "Keeper does not know the control tables on {url} any more: it was wiped, or the server talks \
                     to another one"
                );
                Report::new(Kind::Conflict, message).help(
                    "If the data of Keeper can be put back, do that and restart ClickHouse. If it is lost:\n\
                     longshore init --keeper-is-lost     (what then: docs/recovery.md)",
                )
            }
            Code::NO_ZOOKEEPER | Code::KEEPER_EXCEPTION => {
                let first_line = self.first_line();
                let message = format!("ClickHouse at {url} has trouble with Keeper: {first_line}");
                Report::new(Kind::Unreachable, message).help(KEEPER_HELP)
            }
            Code::UNKNOWN_TABLE | Code::UNKNOWN_DATABASE => {
                Report::new(Kind::Usage, words.as_str())
                    .help("check the names of database and table, and that the user may see them")
            }
            code => Report::new(Kind::Error, self.with_number(code.into())),
        }
    }

    fn of_missing_grant(&self) -> Report {
        let Self { user, words, .. } = self;
        let report = Report::new(Kind::Usage, format!("user `{user}` may not do this: {words}"));
        let Some(grant) = missing_grant(&self.failure.message) else { return report };
        let is_plain = user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let user = if is_plain { (*user).to_owned() } else { sql::quote_identifier(user) };
        report.help(format!("run as an administrator:\n  GRANT {grant} TO {user};"))
    }

    fn with_number(&self, number: i32) -> String {
        format!("{} (code {number}, in {})", self.words, self.failure.statement)
    }

    /// Below it stand advice for whoever runs the server, and nested exceptions.
    fn first_line(&self) -> &str {
        self.words.lines().next().unwrap_or_default()
    }
}

fn password_help(config: Option<&Config>) -> String {
    let origin = config.map_or("default", |config| config.origin("password"));
    let password = match origin {
        "default" => "No password is set.".to_owned(),
        origin => format!("The password is from {origin}."),
    };
    format!(
        "{password} Set CLICKHOUSE_USER and CLICKHOUSE_PASSWORD, or name a file with --password-file."
    )
}

/// The server's words without code, user, exception name and version.
fn plain(message: &str, user: &str) -> String {
    let mut words = message.trim();
    if let Some((_, rest)) = words.split_once("Exception: ")
        && words.starts_with("Code: ")
    {
        words = rest;
    }
    words = words.strip_prefix(user).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(words);
    if let Some(at) = words.rfind(" (version ") {
        words = &words[..at];
    }
    let name = words.rfind(" (").filter(|at| {
        let name = words[at + 2..].trim_end_matches(')');
        words.ends_with(')')
            && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
    });
    if let Some(at) = name {
        words = &words[..at];
    }
    words.trim_start_matches("client error (Connect): ").trim_end_matches(". ").trim().to_owned()
}

/// `… necessary to have the grant CREATE TABLE ON default.x. (ACCESS_DENIED) …`
pub(crate) fn missing_grant(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("necessary to have the grant ")?;
    let end = rest.find(". (").unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.'))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
