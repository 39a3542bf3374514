//! The INSERT of a load: its text and its settings, the same for the worker that sends it and for
//! whoever wants to see it beforehand.

use super::{DIRECT_SETTINGS, LOAD_SETTINGS, RECENT_SETTINGS, Reading};
use crate::clickhouse::{Call, Code, Failure, Known, Server, ServerFacts};
use crate::sql::quote_list;
use crate::task::{Chunk, JobSpec, TableName, TaskId, select_list};

/// Rows of one block of files: with the bytes below, what bounds the number of staged parts (ENGINE K).
const BLOCK_ROWS: u64 = 4_000_000;
/// Rows of one block of a table, the server's own default: larger ones cost a tenth to a fifth more
/// processor time here (`scripts/bench copy`), and a table has few parts per chunk anyway.
const TABLE_BLOCK_ROWS: u64 = 1_048_449;
const BLOCK_BYTES_MAX: u64 = 1_000_000_000;
const BLOCK_BYTES_MIN: u64 = 16_000_000;
/// Loads take this part of the server's memory together, one half: the rest is for reading, merges and
/// other users.
const MEMORY_PARTS: u64 = 2;
/// Another load may begin at any time: one that is alone leaves room for it.
const LOADS_MIN: u64 = 2;
/// A block exists about three times while it is written.
const BLOCK_COPIES: u64 = 3;
/// A load's text holds every key of its chunk.
const QUERY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a load asks of the server's threads and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// `max_threads` and `max_insert_threads`
    pub threads: u64,
    /// `min_insert_block_size_bytes`
    pub block_bytes: u64,
}

impl Fit {
    /// For a server on which so many loads run at the same time. Each is narrow: threads inside one
    /// INSERT wait for each other, and two INSERTs of one thread are a third faster than one of two
    /// (ENGINE K). Large blocks make few parts, but must fit the server's memory. Each further attempt is
    /// lighter, in case the last one was too much for it.
    pub fn of(facts: &ServerFacts, attempts: u32, loads: u64) -> Self {
        let again = u64::from(attempts.saturating_sub(1).min(8));
        let loads = loads.max(1);
        let threads = ((facts.threads / loads).max(1) >> again).max(1);
        let memory = facts.memory_bytes;
        let share = if memory == 0 {
            BLOCK_BYTES_MAX / 4
        } else {
            memory / (MEMORY_PARTS * BLOCK_COPIES * loads.max(LOADS_MIN) * threads)
        };
        Self { threads, block_bytes: (share >> again).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX) }
    }
}

/// The SELECT with the columns that are converted on their way into the target. The query of a view
/// converts as the view does.
fn converted(spec: &JobSpec, is_own: bool, select: String) -> String {
    if spec.outputs.is_empty() || !is_own {
        return select;
    }
    format!("SELECT {} FROM ({select})", select_list(&spec.outputs))
}

/// One INSERT … SELECT with everything that is sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadStatement {
    /// The statement.
    pub text: String,
    /// Its settings, in the order in which they are set: a later one of the same name holds.
    pub settings: Vec<(String, String)>,
}

impl LoadStatement {
    /// A load into the staging twin of its target; without a fit when the server is not known.
    pub fn staged(
        spec: &JobSpec,
        chunk: &Chunk,
        reading: &Reading,
        twin: &TableName,
        fit: Option<Fit>,
    ) -> Self {
        let load = spec.load(chunk);
        let columns = quote_list(load.columns);
        let select = load.select.unwrap_or(&columns);
        let shard = spec.shard_by.as_ref();
        let shard = shard.and_then(|by| by.of_shard(reading, select, load.columns));
        let select = shard.map_or_else(|| reading.select(select), |shard| shard.select(&columns));
        let select = converted(spec, load.select.is_some(), select);
        let is_table = spec.source.as_tables().is_some();
        let block_rows = if is_table { TABLE_BLOCK_ROWS } else { BLOCK_ROWS };
        let mut statement = Self {
            text: format!("INSERT INTO {} ({columns}) {select}", twin.quoted()),
            settings: Vec::new(),
        };
        statement.set(LOAD_SETTINGS);
        if let Some(fit) = fit {
            statement.set([
                ("max_threads", fit.threads),
                ("max_insert_threads", fit.threads),
                ("min_insert_block_size_bytes", fit.block_bytes),
            ]);
        }
        statement
            .set([("min_insert_block_size_rows", block_rows), ("max_query_size", QUERY_BYTES_MAX)]);
        statement.set_of(spec, reading);
        statement
    }

    /// A load into the target itself: one block with a token of its own.
    pub fn direct(spec: &JobSpec, reading: &Reading, task: &TaskId) -> Self {
        let columns = quote_list(&spec.columns);
        let select = converted(spec, true, reading.select(&spec.select));
        let mut statement = Self {
            text: format!("INSERT INTO {} ({columns}) {select} ORDER BY ALL", spec.target.quoted()),
            settings: Vec::new(),
        };
        let own = |name: &str| DIRECT_SETTINGS.iter().any(|(direct, _)| *direct == name);
        statement.set(LOAD_SETTINGS.into_iter().filter(|(name, _)| !own(name)));
        statement.set(DIRECT_SETTINGS);
        statement.set_of(spec, reading);
        statement.set([("max_query_size", QUERY_BYTES_MAX.to_string())]);
        statement.set([("insert_deduplication_token", task)]);
        statement
    }

    /// The same without settings that a server does not know.
    #[must_use]
    pub fn known_to(mut self, known: &Known) -> Self {
        self.settings.retain(|(name, _)| known.has(name));
        self
    }

    /// The same without some settings, for a server that does not know them.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.settings.retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }

    /// The same without the setting that the server has just said it does not know, if that is one
    /// which some servers lack. Never without several at once: each of them protects rows.
    #[must_use]
    pub fn without_unknown(&self, failure: &Failure) -> Option<Self> {
        // An older server, or a newer one.
        if failure.code() != Some(Code::UNKNOWN_SETTING) {
            return None;
        }
        let is_named = |name: &str| {
            let words = failure
                .message
                .split(|symbol: char| !(symbol.is_ascii_alphanumeric() || symbol == '_'));
            words.into_iter().any(|word| word == name)
        };
        let sent = |name: &str| self.settings.iter().any(|(sent, _)| sent == name);
        let unknown = RECENT_SETTINGS.into_iter().find(|name| is_named(name) && sent(name))?;
        Some(self.clone().without(&[unknown]))
    }

    /// Sends it, without what the server does not know.
    ///
    /// # Errors
    /// The last failure.
    pub async fn send_known<T, F>(
        self,
        server: &Server,
        send: impl Fn(Self) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut statement = self.known_to(server.known_settings().await);
        loop {
            match send(statement.clone()).await {
                Err(failure) => match statement.without_unknown(&failure) {
                    Some(fewer) => statement = fewer,
                    None => return Err(failure),
                },
                answer => return answer,
            }
        }
    }

    /// On its way to a server.
    pub fn call<'a>(&self, server: &'a Server) -> Call<'a> {
        let call = server.call_text("load", self.text.clone());
        self.settings.iter().fold(call, |call, (name, value)| call.setting(name, value))
    }

    /// What belongs to what is read, and what the user wants.
    fn set_of(&mut self, spec: &JobSpec, reading: &Reading) {
        self.set(reading.settings.iter().map(|(name, value)| (name.as_str(), value)));
        self.set(spec.settings.iter().map(|(name, value)| (name.as_str(), value)));
    }

    fn set<'n, V: ToString>(&mut self, settings: impl IntoIterator<Item = (&'n str, V)>) {
        let pairs = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_string()));
        self.settings.extend(pairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_setting_that_the_server_names_is_left_out() {
        let mut statement = LoadStatement { text: String::new(), settings: Vec::new() };
        statement.set(LOAD_SETTINGS);
        let unknown = |name: &str| {
            Failure::server("load", Code::UNKNOWN_SETTING, &format!("Unknown setting '{name}'."))
        };
        let fewer = statement.without_unknown(&unknown("deduplicate_insert")).unwrap();
        assert_eq!(fewer.settings.len() + 1, statement.settings.len());
        let has = |name: &str| fewer.settings.iter().any(|(sent, _)| sent == name);
        assert!(!has("deduplicate_insert"));
        assert!(has("deduplicate_insert_select") && has("enable_parallel_replicas"));
        // What a user asked for is not left out silently, and neither is what every server knows.
        assert_eq!(statement.without_unknown(&unknown("my_setting")), None);
        assert_eq!(statement.without_unknown(&unknown("async_insert")), None);
        assert_eq!(fewer.without_unknown(&unknown("deduplicate_insert")), None);
    }
}
