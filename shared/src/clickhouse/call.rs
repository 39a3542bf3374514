//! One statement on its way to the server.

use std::time::Duration;

use clickhouse::{RowOwned, RowRead};
use serde::Serialize;

use super::{Failure, Kind, Known};
use crate::faults;
use crate::sql::{Binding, Statement};
use crate::task::{QueryId, TableName};

/// A control statement takes milliseconds; one that has no answer after this is an unknown outcome.
const CONTROL_DEADLINE: Duration = Duration::from_secs(60);

/// What is kept of an answer that should have been empty.
const SAID_BYTES_MAX: usize = 64 * 1024;

/// The server's own count of a finished statement (header `X-ClickHouse-Summary`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows read from the source and by views.
    pub read_rows: u64,
    /// Rows written to all tables, those of views included.
    pub written_rows: u64,
}

/// A statement with its parameters and settings. Nothing is sent before `execute` or `fetch_*`.
#[must_use]
pub struct Call<'a> {
    client: clickhouse::Client,
    name: &'static str,
    source: Source,
    bindings: Vec<Binding<'a>>,
    /// Columns that an UPDATE leaves as they are.
    left: Vec<&'static str>,
    deadline: Option<Duration>,
}

enum Source {
    Catalogue(Statement),
    Text(String),
}

impl<'a> Call<'a> {
    pub(super) fn new(client: clickhouse::Client, statement: Statement) -> Self {
        Self::with(client, statement.name, Source::Catalogue(statement))
    }

    pub(super) fn from_text(client: clickhouse::Client, name: &'static str, text: String) -> Self {
        Self::with(client, name, Source::Text(text))
    }

    fn with(client: clickhouse::Client, name: &'static str, source: Source) -> Self {
        // The summary is only whole when the answer waits for the end; without progress headers
        // a late error has status 500 instead of 200 (ClickHouse sends the status with the first header).
        let client = client
            .with_setting("wait_end_of_query", "1")
            // An expression that came three times is compiled, and compiled casts do not fail: -1 of
            // a decimal becomes 2^32 - 1, NULL becomes 0 (26.7; tests/engine/conversions.rs).
            .with_setting("compile_expressions", "0")
            .with_setting("send_progress_in_http_headers", "0");
        Self {
            client,
            name,
            source,
            bindings: Vec::new(),
            left: Vec::new(),
            deadline: Some(CONTROL_DEADLINE),
        }
    }

    /// Fills `{key:Identifier}`.
    pub fn name(mut self, key: &'a str, value: &'a str) -> Self {
        self.bindings.push(Binding::Name(key, value));
        self
    }

    /// Fills `{key:Literal}`.
    pub fn literal(mut self, key: &'a str, value: &'a str) -> Self {
        self.bindings.push(Binding::Text(key, value));
        self
    }

    /// Fills the server-side parameter `{key:Type}` with a number or a list of plain values.
    pub fn param(mut self, key: &str, value: impl Serialize + std::fmt::Display) -> Self {
        self.client =
            self.client.with_setting(format!("param_{key}"), escape_param(&value.to_string()));
        self
    }

    /// Fills `{key:Array(String)}` or `{key:Array(UUID)}`.
    pub fn list<V: std::fmt::Display>(mut self, key: &str, values: &[V]) -> Self {
        let items: Vec<String> =
            values.iter().map(|value| crate::sql::quote_literal(&value.to_string())).collect();
        let text = format!("[{}]", items.join(","));
        self.client = self.client.with_setting(format!("param_{key}"), text);
        self
    }

    /// Fills `{databases:Array(String)}`, `{tables:Array(String)}` and `{names:Array(Tuple(String, String))}`:
    /// the server looks only at rows of these databases and tables, and the pairs choose exactly.
    pub fn tables(self, tables: &[&TableName]) -> Self {
        let databases: Vec<&str> = tables.iter().map(|table| table.database.as_str()).collect();
        let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
        let quote = crate::sql::quote_literal;
        let pair =
            |table: &&TableName| format!("({},{})", quote(&table.database), quote(&table.table));
        let pairs: Vec<String> = tables.iter().map(pair).collect();
        self.list("databases", &databases)
            .list("tables", &names)
            .raw_param("names", &format!("[{}]", pairs.join(",")))
    }

    /// Leaves a column of an UPDATE as it is, when it would be set to what it has.
    pub fn leave(mut self, column: &'static str, is_same: bool) -> Self {
        if is_same {
            self.left.push(column);
        }
        self
    }

    /// Fills a parameter of a composite type with text that is already in ClickHouse's syntax.
    pub fn raw_param(mut self, key: &str, text: &str) -> Self {
        self.client = self.client.with_setting(format!("param_{key}"), text);
        self
    }

    /// Sends a ClickHouse setting with the statement.
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.client = self.client.with_setting(name, value.to_string());
        self
    }

    /// Takes the types that a table of the user has already, whatever the server thinks of new ones.
    pub fn types_of_others(self) -> Self {
        self.setting("allow_suspicious_low_cardinality_types", 1)
            .setting("allow_suspicious_fixed_string_types", 1)
            .setting("allow_suspicious_variant_types", 1)
    }

    /// Sends settings that the server knows.
    pub fn settings(self, settings: &[(String, String)], known: &Known) -> Self {
        let known = settings.iter().filter(|(name, _)| known.has(name));
        known.fold(self, |call, (name, value)| call.setting(name, value))
    }

    /// Gives the statement its deterministic id, and a comment that names the task in the server's logs.
    pub fn id(mut self, id: &QueryId) -> Self {
        self.client = self
            .client
            .with_setting("query_id", id.to_string())
            .with_setting("log_comment", format!("longshore {}", id.task()));
        self
    }

    /// Replaces the deadline of control statements; `None` waits for as long as it takes.
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The text that would be sent.
    pub fn text(&self) -> String {
        match &self.source {
            Source::Catalogue(statement) => statement.render_without(&self.bindings, &self.left),
            Source::Text(text) => text.clone(),
        }
    }

    /// Runs the statement to its end.
    ///
    /// # Errors
    /// A [`Failure`]; its kind says whether the statement may have been applied.
    pub async fn execute(self) -> Result<Summary, Failure> {
        let (name, deadline) = (self.name, self.deadline);
        let text = self.text();
        let run = async move {
            let mut cursor = self
                .client
                .query_raw(&text)
                .fetch_bytes("Null")
                .map_err(|error| Failure::from_client(name, &error))?;
            // A statement without rows has an empty answer. Whatever else comes under status 200
            // is no success: an error that came late, cut into pieces, or a gateway's own page.
            let mut said = Vec::new();
            while let Some(bytes) =
                cursor.next().await.map_err(|error| Failure::from_client(name, &error))?
            {
                said.extend_from_slice(&bytes[..bytes.len().min(SAID_BYTES_MAX - said.len())]);
            }
            if !said.is_empty() {
                return Err(Failure::said(name, &String::from_utf8_lossy(&said)));
            }
            let summary = cursor.summary();
            Ok(Summary {
                read_rows: summary.and_then(clickhouse::QuerySummary::read_rows).unwrap_or(0),
                written_rows: summary.and_then(clickhouse::QuerySummary::written_rows).unwrap_or(0),
            })
        };
        within(name, deadline, run).await
    }

    /// Runs the statement and reads all rows.
    ///
    /// # Errors
    /// A [`Failure`]; its kind says whether the statement may have been applied.
    pub async fn fetch_all<T: RowOwned + RowRead>(self) -> Result<Vec<T>, Failure> {
        let (name, deadline) = (self.name, self.deadline);
        let text = self.text();
        let run = async move {
            self.client
                .query_raw(&text)
                .fetch_all::<T>()
                .await
                .map_err(|error| Failure::from_client(name, &error))
        };
        within(name, deadline, run).await
    }

    /// Runs the statement and reads its whole answer in a format of the server, undecoded.
    ///
    /// # Errors
    /// As [`Call::fetch_all`].
    pub async fn fetch_bytes(self, format: &str) -> Result<Vec<u8>, Failure> {
        let (name, deadline) = (self.name, self.deadline);
        let text = self.text();
        let run = async move {
            let answer = self.client.query_raw(&text).fetch_bytes(format);
            let mut cursor = answer.map_err(|error| Failure::from_client(name, &error))?;
            let bytes = cursor.collect().await;
            bytes.map(Vec::from).map_err(|error| Failure::from_client(name, &error))
        };
        within(name, deadline, run).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Call::fetch_all`].
    pub async fn fetch_optional<T: RowOwned + RowRead>(self) -> Result<Option<T>, Failure> {
        Ok(self.fetch_all::<T>().await?.into_iter().next())
    }

    /// The first row.
    ///
    /// # Errors
    /// As [`Call::fetch_all`]; no row at all is one too.
    pub async fn fetch_one<T: RowOwned + RowRead>(self) -> Result<T, Failure> {
        let name = self.name;
        self.fetch_optional()
            .await?
            .ok_or_else(|| Failure::reply(name, "the server answered no row".to_owned()))
    }
}

/// A parameter value is parsed by the server as escaped text (TSV rules).
fn escape_param(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\0' => escaped.push_str("\\0"),
            symbol => escaped.push(symbol),
        }
    }
    escaped
}

async fn within<T>(
    name: &'static str,
    deadline: Option<Duration>,
    run: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    if let Err(fault) = faults::sending(name).await {
        return Err(Failure::new(name, Kind::Unreachable, &fault.to_string()));
    }
    let answer = match deadline {
        None => run.await,
        Some(deadline) => tokio::time::timeout(deadline, run).await.unwrap_or_else(|_| {
            Err(Failure::unknown(name, format!("no answer within {} s", deadline.as_secs())))
        }),
    };
    match faults::answered(name).await {
        Ok(()) => answer,
        Err(fault) => Err(Failure::unknown(name, fault.to_string())),
    }
}
