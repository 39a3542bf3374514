//! Which replicas of a table have which parts, as Keeper knows it: no replica has to be reached for that.

use std::collections::{BTreeSet, HashMap, HashSet};

use clickhouse::Row;
use serde::Deserialize;

use crate::clickhouse::{Failure, Server, retry_idempotent};
use crate::sql;
use crate::task::TableName;

/// A Keeper other than this one cannot be asked about parts.
const USUAL_KEEPER: &str = "default";

/// A replicated table, as the replica knows it that is asked.
#[derive(Debug, Clone)]
pub struct ReplicatedTable {
    /// Its name.
    pub table: TableName,
    /// Its path in Keeper.
    path: String,
    keeper: String,
    /// The replica that was asked.
    home: String,
    /// It has no session with Keeper, or has just begun one, or Keeper did not answer it: which replicas there are
    /// is not known.
    pub is_readonly: bool,
    /// The others.
    pub others: Vec<OtherReplica>,
}

/// Another replica of a table.
#[derive(Debug, Clone)]
pub struct OtherReplica {
    /// Its name.
    pub name: String,
    /// Has it a session with Keeper?
    pub is_active: bool,
}

#[derive(Deserialize, Row)]
struct Facts {
    zookeeper_name: String,
    zookeeper_path: String,
    replica_name: String,
    is_readonly: u8,
    replicas: Vec<String>,
    actives: Vec<u8>,
}

#[derive(Deserialize, Row)]
struct Part {
    name: String,
}

impl ReplicatedTable {
    /// A table as it is now; none when it is not replicated.
    ///
    /// # Errors
    /// When the server or its Keeper cannot be asked.
    pub async fn read(server: &Server, table: &TableName) -> Result<Option<Self>, Failure> {
        let call = || server.call(sql::REPLICA_FACTS).param("database", &table.database);
        let call = || call().param("table", &table.table).fetch_optional::<Facts>();
        let Some(facts) = retry_idempotent(call).await? else { return Ok(None) };
        // Where Keeper did not answer in time the server names no replica at all, not even itself.
        let is_unknown = !facts.replicas.contains(&facts.replica_name);
        let all = facts.replicas.into_iter().zip(facts.actives);
        let others = all
            .filter(|(name, _)| *name != facts.replica_name)
            .map(|(name, active)| OtherReplica { name, is_active: active == 1 })
            .collect();
        Ok(Some(Self {
            table: table.clone(),
            path: facts.zookeeper_path,
            keeper: facts.zookeeper_name,
            home: facts.replica_name,
            is_readonly: facts.is_readonly == 1 || is_unknown,
            others,
        }))
    }

    /// Is it in the Keeper that can be asked about parts?
    #[must_use]
    pub fn can_be_asked(&self) -> bool {
        self.keeper == USUAL_KEEPER
    }

    /// Replicas that Keeper knows, the one that was asked included.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.others.len() + 1
    }

    /// The parts of the replica that was asked.
    ///
    /// # Errors
    /// When the server or its Keeper cannot be asked.
    pub async fn own_parts(&self, server: &Server) -> Result<Parts, Failure> {
        self.parts_of(server, &self.home).await
    }

    /// The parts of another replica.
    ///
    /// # Errors
    /// When the server or its Keeper cannot be asked.
    pub async fn parts_of(&self, server: &Server, replica: &str) -> Result<Parts, Failure> {
        let call = || server.call(sql::LIST_REPLICA_PARTS).param("path", &self.path);
        let call = || call().param("replica", replica).fetch_all::<Part>();
        let parts = retry_idempotent(call).await?;
        Ok(Parts::of(parts.into_iter().map(|part| part.name)))
    }
}

/// Which of these parts of a table its Keeper does not know, although the server that is asked lists them as
/// active: no other replica will ever have them, and the server puts them aside at one of its next starts.
///
/// A server that is killed between the two steps of a MOVE leaves such a part. It is put aside at the next
/// start, but not by a server that starts with `flags/force_restore_data` (tried on 25.8.2). A write whose
/// answer from Keeper was lost leaves one too, until the server has looked for it.
///
/// Parts that were `doubted` before have to be there by their names: a merge of their neighbours covers
/// the name of such a part and has no row of it.
///
/// None of a table that is not replicated, and none of a table in another Keeper than the default one:
/// that one cannot be asked.
///
/// # Errors
/// When the server or its Keeper cannot be asked.
pub async fn unknown_to_keeper(
    server: &Server,
    table: &TableName,
    active: impl IntoIterator<Item = String>,
    doubted: &BTreeSet<String>,
) -> Result<Vec<String>, Failure> {
    let Some(replicated) = ReplicatedTable::read(server, table).await? else {
        return Ok(Vec::new());
    };
    if !replicated.can_be_asked() {
        return Ok(Vec::new());
    }
    let known = replicated.own_parts(server).await?;
    let is_known =
        |part: &String| known.names.contains(part) || (!doubted.contains(part) && known.has(part));
    let mut unknown: Vec<String> = active.into_iter().filter(|part| !is_known(part)).collect();
    unknown.sort_unstable();
    Ok(unknown)
}

/// Which rows a part holds, by its name: `partition_first_last_level` and maybe `_mutation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
    level: u32,
    mutation: i64,
}

impl Span {
    fn parse(name: &str) -> Option<(&str, Self)> {
        let mut words = name.split('_');
        let (partition, first, last, level) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let mutation = words.next().map_or(Ok(0), str::parse).ok()?;
        let is_whole = words.next().is_none();
        let (first, last, level) = (first.parse().ok()?, last.parse().ok()?, level.parse().ok()?);
        is_whole.then_some((partition, Self { first, last, level, mutation }))
    }

    /// Has it all rows of the other, merged or changed since, or as they were?
    fn covers(&self, other: &Self) -> bool {
        self.first <= other.first
            && self.last >= other.last
            && self.level >= other.level
            && self.mutation >= other.mutation
    }
}

/// The parts of one replica.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    names: HashSet<String>,
    spans: HashMap<String, Vec<Span>>,
}

impl Parts {
    fn of(names: impl Iterator<Item = String>) -> Self {
        let mut parts = Self::default();
        for name in names {
            if let Some((partition, span)) = Span::parse(&name) {
                parts.spans.entry(partition.to_owned()).or_default().push(span);
            }
            parts.names.insert(name);
        }
        parts
    }

    /// Has the replica all rows of this part?
    fn has(&self, name: &str) -> bool {
        if self.names.contains(name) {
            return true;
        }
        let Some((partition, wanted)) = Span::parse(name) else { return false };
        self.spans.get(partition).is_some_and(|spans| spans.iter().any(|span| span.covers(&wanted)))
    }

    /// Those that `now` has too, merged or not: the others were dropped there since.
    #[must_use]
    pub fn still_in(&self, now: &Self) -> Self {
        Self::of(self.names.iter().filter(|name| now.has(name)).cloned())
    }

    /// How many of these another replica has not.
    #[must_use]
    pub fn missing_in(&self, other: &Self) -> usize {
        self.names.iter().filter(|name| !other.has(name)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;

    fn parts(names: &[&str]) -> Parts {
        Parts::of(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_merged_part_has_the_rows_of_those_before() {
        let wanted = parts(&["202601_0_0_0", "202601_1_1_0", "202602_5_5_0_7"]);
        assert_eq!(wanted.missing_in(&parts(&["202601_0_1_1", "202602_5_5_0_7"])), 0);
        assert_eq!(wanted.missing_in(&parts(&["202601_0_1_1"])), 1);
        assert_eq!(wanted.missing_in(&parts(&["202601_0_0_0", "202602_0_9_2_7"])), 1);
        assert_eq!(
            wanted.missing_in(&parts(&["202602_0_9_2_6", "202601_0_5_1"])),
            1,
            "not changed"
        );
        assert_eq!(wanted.missing_in(&parts(&["202603_0_9_9_9"])), 3, "another partition");
        assert_eq!(
            parts(&["odd"]).missing_in(&parts(&["even"])),
            1,
            "what cannot be read is missing"
        );
    }

    #[test]
    fn what_was_dropped_is_not_waited_for() {
        let before = parts(&["a_0_0_0", "a_1_1_0", "b_0_0_0"]);
        let still = before.still_in(&parts(&["a_0_1_1"]));
        assert_eq!(still.missing_in(&parts(&[])), 2);
    }
}
