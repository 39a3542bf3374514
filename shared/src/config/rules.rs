//! What must hold before a job runs and how its window is cut: for all tables, and for one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::WINDOW_CHUNK_MIN;
use crate::task::TableName;

/// Defaults of time windows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowConfig {
    /// Time column of tables that have none of their own.
    pub time_column: Option<String>,
    /// Length of a chunk; without it a chunk is as long as its budget allows.
    #[serde(default, with = "humantime_serde")]
    pub chunk: Option<Duration>,
    /// A longer window must be forced.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// No chunk is shorter.
    #[serde(with = "humantime_serde")]
    pub min_chunk: Duration,
}

/// What must hold before a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a line of the file")]
pub struct PolicyConfig {
    /// One job at a time loads into a table.
    pub block_overlap: bool,
    /// A job is submitted only after a dry run of it.
    pub require_dry_run: bool,
    /// A copy or replay without a window is refused.
    pub require_window: bool,
    /// `check` fails on a plan whose job is not completed; otherwise it warns.
    pub fail_check_on_pending: bool,
}

/// What the file says of one table. What it leaves out is as for all tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Its time column.
    pub time_column: Option<String>,
    /// Length of a chunk.
    #[serde(with = "humantime_serde")]
    pub chunk: Option<Duration>,
    /// A longer window must be forced.
    #[serde(with = "humantime_serde")]
    pub max: Option<Duration>,
    /// No chunk is shorter.
    #[serde(with = "humantime_serde")]
    pub min_chunk: Option<Duration>,
    /// One job at a time loads into it.
    pub block_overlap: Option<bool>,
    /// A job is submitted only after a dry run of it.
    pub require_dry_run: Option<bool>,
    /// A copy or replay without a window is refused.
    pub require_window: Option<bool>,
}

/// What holds for one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Length of a chunk; without it a chunk is as long as its budget allows.
    pub chunk: Option<Duration>,
    /// A longer window must be forced.
    pub max: Duration,
    /// No chunk is shorter.
    pub min_chunk: Duration,
    /// One job at a time loads into it.
    pub block_overlap: bool,
    /// A job is submitted only after a dry run of it.
    pub require_dry_run: bool,
    /// A copy or replay without a window is refused.
    pub require_window: bool,
}

impl Rules {
    pub(super) fn new(
        window: &WindowConfig,
        policy: &PolicyConfig,
        table: Option<&TableConfig>,
    ) -> Self {
        let own = table.cloned().unwrap_or_default();
        Self {
            chunk: own.chunk.or(window.chunk),
            max: own.max.unwrap_or(window.max),
            min_chunk: own.min_chunk.unwrap_or(window.min_chunk),
            block_overlap: own.block_overlap.unwrap_or(policy.block_overlap),
            require_dry_run: own.require_dry_run.unwrap_or(policy.require_dry_run),
            require_window: own.require_window.unwrap_or(policy.require_window),
        }
    }
}

/// A value that cannot be: its setting, what is wrong, and what to do.
pub(super) type Wrong = (String, String, Option<String>);

/// The setting of a table, as a file has it.
pub(super) fn table_key(table: &str, setting: &str) -> String {
    format!("tables.\"{table}\".{setting}")
}

/// Checks the lengths and names, and gives the sections of tables by their tables.
pub(super) fn check(
    window: &WindowConfig,
    policy: &PolicyConfig,
    tables: BTreeMap<String, TableConfig>,
) -> Result<BTreeMap<TableName, TableConfig>, Wrong> {
    let of_all = |setting: &str| format!("window.{setting}");
    check_lengths(&Rules::new(window, policy, None), of_all)?;
    check_column(window.time_column.as_deref(), of_all)?;
    let mut named = BTreeMap::new();
    for (text, own) in tables {
        let of_table = |setting: &str| table_key(&text, setting);
        let Some(name) = table_name(&text) else {
            let key = format!("tables.\"{text}\"");
            let help = "write DATABASE.TABLE, and odd names in back quotes: [tables.'shop.`a b`']";
            return Err((key, "is no table name".to_owned(), Some(help.to_owned())));
        };
        check_lengths(&Rules::new(window, policy, Some(&own)), |setting| {
            // What holds for all tables is right by itself, so the section has one of the two.
            let is_own = match setting {
                "chunk" => own.chunk.is_some(),
                "max" => own.max.is_some(),
                _ => true,
            };
            of_table(if is_own { setting } else { "min_chunk" })
        })?;
        check_column(own.time_column.as_deref(), of_table)?;
        if named.insert(name, own).is_some() {
            let key = format!("tables.\"{text}\"");
            return Err((key, "stands there twice, quoted and plain".to_owned(), None));
        }
    }
    Ok(named)
}

fn check_lengths(rules: &Rules, key: impl Fn(&str) -> String) -> Result<(), Wrong> {
    if rules.min_chunk < WINDOW_CHUNK_MIN {
        return Err((key("min_chunk"), "is shorter than 1s".to_owned(), None));
    }
    let lengths = [("chunk", rules.chunk), ("max", Some(rules.max))];
    for (name, length) in lengths {
        let Some(length) = length.filter(|length| *length < rules.min_chunk) else { continue };
        let words = humantime::format_duration;
        let (length, shortest) = (words(length), words(rules.min_chunk));
        let message = format!("{name} = {length} is shorter than min_chunk = {shortest}");
        return Err((key(name), message, None));
    }
    Ok(())
}

fn check_column(name: Option<&str>, key: impl Fn(&str) -> String) -> Result<(), Wrong> {
    if name.is_some_and(|name| name.trim().is_empty()) {
        return Err((key("time_column"), "is empty".to_owned(), None));
    }
    Ok(())
}

/// `db.table`, as in a flag; without back quotes the first dot ends the database.
fn table_name(text: &str) -> Option<TableName> {
    let plain = || {
        let (database, table) = text.split_once('.')?;
        let is_name = |name: &str| !name.is_empty() && !name.contains('`');
        (is_name(database) && is_name(table))
            .then(|| TableName { database: database.to_owned(), table: table.to_owned() })
    };
    text.parse().ok().or_else(plain)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
