//! Identifiers, parsed once where they enter the program.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const JOB_ID_CHARS: usize = 16;
const ORDINAL_DIGITS: usize = 7;

/// An identifier that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct IdError {
    what: &'static str,
    text: String,
    /// Its number is none.
    source: Option<ParseIntError>,
}

impl IdError {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned(), source: None }
    }
}

/// Identity of a plan and of the job it becomes: 16 hex digits of the plan's hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Name of the snapshot that this job reads for one of its feeds, in the staging database.
    pub fn snapshot(&self, feed: usize) -> String {
        format!("{}{feed}", self.snapshot_prefix())
    }

    /// What the names of all snapshots of this job begin with.
    pub fn snapshot_prefix(&self) -> String {
        format!("{self}_snapshot_")
    }

    /// The job whose snapshot has this name.
    pub fn of_snapshot(name: &str) -> Option<Self> {
        let (job, feed) = name.split_once("_snapshot_")?;
        let is_feed = !feed.is_empty() && feed.bytes().all(|symbol| symbol.is_ascii_digit());
        is_feed.then(|| job.parse().ok()).flatten()
    }

    /// The first 16 hex digits of a hash.
    pub fn from_digest(digest: &[u8]) -> Self {
        let mut text = String::with_capacity(JOB_ID_CHARS);
        for byte in digest.iter().take(JOB_ID_CHARS / 2) {
            use fmt::Write;
            write!(text, "{byte:02x}").expect("writing to memory");
        }
        Self(text)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let hex = text.len() == JOB_ID_CHARS
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if hex {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new("job id (16 hex digits)", text))
        }
    }
}

impl TryFrom<String> for JobId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task: its job and the number of its chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The job.
    pub job: JobId,
    /// Number of the chunk, from 0.
    pub ordinal: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:0width$}", self.job, self.ordinal, width = ORDINAL_DIGITS)
    }
}

impl FromStr for TaskId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::new("task id (JOB-NUMBER)", text);
        let (job, ordinal) = text.split_once('-').ok_or_else(wrong)?;
        if !ordinal.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let of_number = |source| IdError { source: Some(source), ..wrong() };
        Ok(Self { job: job.parse()?, ordinal: ordinal.parse().map_err(of_number)? })
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TaskId {
    /// What every query id of this task begins with.
    pub fn query_prefix(&self) -> String {
        format!("{self}-")
    }

    /// What every query id of one epoch of this task begins with.
    pub fn epoch_prefix(&self, epoch: Epoch) -> String {
        format!("{self}-{epoch}-")
    }

    /// What the names of all staging tables of this task begin with.
    pub fn staging_prefix(&self) -> String {
        format!("{}_{:0width$}_e", self.job, self.ordinal, width = ORDINAL_DIGITS)
    }

    /// What the names of the staging set of one epoch begin with.
    pub fn staging_set(&self, epoch: Epoch) -> String {
        format!("{}{epoch}_", self.staging_prefix())
    }

    /// The epoch in the name of a staging table of this task.
    pub fn staging_epoch(&self, name: &str) -> Option<Epoch> {
        let rest = name.strip_prefix(&self.staging_prefix())?;
        rest.split('_').next()?.parse().ok().map(Epoch)
    }

    /// The id of one statement of one epoch.
    pub fn query(&self, epoch: Epoch, step: impl fmt::Display) -> QueryId {
        QueryId { task: self.clone(), text: format!("{}{step}", self.epoch_prefix(epoch)) }
    }
}

/// Deterministic id of a statement: `<job>-<ordinal>-<epoch>-<step>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryId {
    task: TaskId,
    text: String,
}

impl QueryId {
    /// The task it belongs to.
    pub fn task(&self) -> &TaskId {
        &self.task
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Fencing number of a task: one more at each claim and take-over.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Mark of one write, unique for ever: reading it back proves that this very write was applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Stamp(pub String);

impl Stamp {
    /// A mark that was never used before.
    pub fn fresh() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }
}

/// One life of a worker process: a restarted worker is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct WorkerId(pub String);

impl WorkerId {
    /// `<name>-<8 hex digits>`; the digits make each start of a process a new worker.
    pub fn fresh(name: &str) -> Self {
        let life = Uuid::new_v4().simple().to_string();
        Self(format!("{name}-{}", &life[..8]))
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table by database and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// Quoted for SQL.
    pub fn quoted(&self) -> String {
        crate::sql::quote_table(&self.database, &self.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |f: &mut fmt::Formatter<'_>, name: &str| {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if plain { f.write_str(name) } else { f.write_str(&crate::sql::quote_identifier(name)) }
        };
        name(f, &self.database)?;
        f.write_str(".")?;
        name(f, &self.table)
    }
}

impl FromStr for TableName {
    type Err = IdError;

    /// `db.table`; names with dots, spaces or anything else go in back quotes: `` `my db`.`a.b` ``.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::new("table name (DATABASE.TABLE, odd names in back quotes)", text);
        let (database, rest) = take_name(text).ok_or_else(wrong)?;
        let (table, end) =
            take_name(rest.strip_prefix('.').ok_or_else(wrong)?).ok_or_else(wrong)?;
        if end.is_empty() { Ok(Self { database, table }) } else { Err(wrong()) }
    }
}

fn take_name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('`') {
        let mut name = String::new();
        let mut symbols = quoted.char_indices();
        while let Some((at, symbol)) = symbols.next() {
            match symbol {
                '\\' => name.push(symbols.next()?.1),
                '`' if quoted[at + 1..].starts_with('`') => name.push(symbols.next()?.1),
                '`' => return (!name.is_empty()).then(|| (name, &quoted[at + 1..])),
                symbol => name.push(symbol),
            }
        }
        return None;
    }
    let end = text.find('.').unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_survives_its_text() {
        let id: TaskId = "0123456789abcdef-0000042".parse().unwrap();
        assert_eq!((id.ordinal, id.to_string().as_str()), (42, "0123456789abcdef-0000042"));
        assert_eq!(id.query(Epoch(3), "insert").to_string(), "0123456789abcdef-0000042-3-insert");
        assert_eq!(id.staging_set(Epoch(3)), "0123456789abcdef_0000042_e3_");
        assert_eq!(id.staging_epoch("0123456789abcdef_0000042_e31_0_t"), Some(Epoch(31)));
        assert_eq!(id.staging_epoch("0123456789abcdef_0000043_e31_0_t"), None);
    }

    #[test]
    fn an_epoch_is_no_prefix_of_another() {
        let id: TaskId = "0123456789abcdef-1".parse().unwrap();
        assert!(!id.staging_set(Epoch(12)).starts_with(&id.staging_set(Epoch(1))));
        assert!(!id.epoch_prefix(Epoch(12)).starts_with(&id.epoch_prefix(Epoch(1))));
    }

    #[test]
    fn reads_table_names_with_and_without_quotes() {
        let name = |text: &str| text.parse::<TableName>().map(|n| (n.database, n.table));
        assert_eq!(name("a.b").unwrap(), ("a".into(), "b".into()));
        assert_eq!(name("`my db`.`a.b\\`c`").unwrap(), ("my db".into(), "a.b`c".into()));
        assert_eq!(name("a.`.inner_id.x`").unwrap(), ("a".into(), ".inner_id.x".into()));
        for wrong in ["", "a", "a.", ".b", "a.b.c", "`a.b", "``.b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn refuses_what_is_no_job_id() {
        for wrong in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg", "../0123456789abc"] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
