//! Changes of a table that the server has accepted and not carried out on all parts.
//!
//! An `ALTER … DELETE` or UPDATE is acknowledged when it is in the queue. Until it is finished a copy of
//! the table, whether its rows are read or its parts linked, holds the rows as they were before, and an
//! exchange or a replacement would bring them back for good.

use std::collections::HashSet;

use clickhouse::Row;
use serde::Deserialize;

use crate::clickhouse::{Failure, Server, readable, retry_idempotent};
use crate::redact::scrub;
use crate::sql::{self, quote_literal};
use crate::task::TableName;

/// Characters of a command that a message shows.
const COMMAND_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, Deserialize, Row)]
struct Mutation {
    id: String,
    #[serde(deserialize_with = "readable")]
    command: String,
    is_open: u8,
    parts: u64,
}

#[derive(Debug, Clone, Deserialize, Row)]
struct Patches {
    partition: String,
    rows: u64,
}

/// The mutations of a table at a moment, and its lightweight updates that are not applied.
#[derive(Debug, Clone)]
pub struct Changes {
    table: TableName,
    mutations: Vec<Mutation>,
    patches: Vec<Patches>,
}

/// Reads what of a table is being changed. A table of another engine has nothing of this.
///
/// # Errors
/// When the server cannot be asked.
pub async fn changes(server: &Server, table: &TableName) -> Result<Changes, Failure> {
    let of = |statement| {
        let call = server.call(statement).param("database", &table.database);
        call.param("table", &table.table)
    };
    let mutations = retry_idempotent(|| of(sql::LIST_MUTATIONS).fetch_all()).await?;
    let patches = retry_idempotent(|| of(sql::LIST_PATCHES).fetch_all()).await?;
    Ok(Changes { table: table.clone(), mutations, patches })
}

/// Why a table must not be copied or taken the place of now, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What is not finished.
    pub message: String,
    /// The way on.
    pub help: String,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl Changes {
    /// Was a change begun since these were read?
    pub fn has_new(&self, later: &Self) -> bool {
        let known: HashSet<&str> = self.mutations.iter().map(|change| change.id.as_str()).collect();
        later.mutations.iter().any(|change| !known.contains(change.id.as_str()))
    }

    /// The first change that is not finished, in words.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let table = &self.table;
        let open: Vec<&Mutation> =
            self.mutations.iter().filter(|change| change.is_open == 1).collect();
        if let Some(first) = open.first() {
            let command: String = scrub(&first.command).chars().take(COMMAND_CHARS_MAX).collect();
            let more = match open.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let message = format!(
                "mutation {} of {table} is not finished on {} of its parts: {command}{more}",
                first.id, first.parts
            );
            let help = format!(
                "wait until it is finished, or give it up: KILL MUTATION WHERE database = {} AND table = {} \
                 AND mutation_id = {}",
                quote_literal(&table.database),
                quote_literal(&table.table),
                quote_literal(&first.id)
            );
            return Some(Unfinished { message, help });
        }
        let first = self.patches.first()?;
        let rows: u64 = self.patches.iter().map(|patches| patches.rows).sum();
        let message = format!(
            "lightweight updates of {rows} rows of {table} are not applied yet, in {} of its partitions, as {}",
            self.patches.len(),
            first.partition
        );
        let help = format!("apply them: ALTER TABLE {} APPLY PATCHES", table.quoted());
        Some(Unfinished { message, help })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(mutations: &[(&str, u8)], patches: &[(&str, u64)]) -> Changes {
        let mutation = |(id, is_open): &(&str, u8)| Mutation {
            id: (*id).to_owned(),
            command: "(DELETE WHERE id < 10)".to_owned(),
            is_open: *is_open,
            parts: 3,
        };
        let patch = |(partition, rows): &(&str, u64)| Patches {
            partition: (*partition).to_owned(),
            rows: *rows,
        };
        Changes {
            table: "d.t".parse().unwrap(),
            mutations: mutations.iter().map(mutation).collect(),
            patches: patches.iter().map(patch).collect(),
        }
    }

    #[test]
    fn what_is_not_finished_is_named_with_the_way_on() {
        let said = |changes: Changes| changes.unfinished().unwrap().to_string();
        assert_eq!(changes(&[("mutation_1.txt", 0)], &[]).unfinished(), None);
        insta::assert_snapshot!(
            said(changes(&[("mutation_1.txt", 0), ("mutation_4.txt", 1), ("mutation_5.txt", 1)], &[])),
            @"mutation mutation_4.txt of d.t is not finished on 3 of its parts: (DELETE WHERE id < 10), and 1 more; wait until it is finished, or give it up: KILL MUTATION WHERE database = 'd' AND table = 't' AND mutation_id = 'mutation_4.txt'"
        );
        insta::assert_snapshot!(
            said(changes(&[], &[("202401", 2), ("202402", 1)])),
            @"lightweight updates of 3 rows of d.t are not applied yet, in 2 of its partitions, as 202401; apply them: ALTER TABLE `d`.`t` APPLY PATCHES"
        );
    }

    #[test]
    fn a_mutation_that_came_between_two_looks_is_seen_though_it_is_finished() {
        let before = changes(&[("mutation_1.txt", 0)], &[]);
        assert!(!before.has_new(&changes(&[("mutation_1.txt", 0)], &[])));
        assert!(!before.has_new(&changes(&[], &[])), "old entries are dropped");
        assert!(before.has_new(&changes(&[("mutation_2.txt", 0)], &[])));
    }
}
