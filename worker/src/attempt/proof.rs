//! What the server can still say about a MOVE: whose parts are in a target, and for how long it shows.
//!
//! Every staged part has an identity of its own that survives the MOVE. The target lists it as long
//! as the part is not merged, and as an inactive part for `old_parts_lifetime` after that. A MOVE
//! that failed (a disk error) leaves inactive parts as well, which prove nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use clickhouse::Row;
use futures_util::future::try_join_all;
use longshore_shared::clickhouse::{Server, retry_idempotent, uuid_text};
use longshore_shared::ledger::{Seen, find_parts, find_parts_settled};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::task::{GraphTable, StagedTable, TableName};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::server_clock::clock;

/// Kept from the time in which a merged part is still listed: the server cleans up in rounds.
const EVIDENCE_MARGIN: Duration = Duration::from_secs(60);

/// Which of these identities the target lists.
pub(crate) async fn find(
    server: &Server,
    target: &TableName,
    uuids: &[Uuid],
) -> Result<Seen, AttemptError> {
    let found = find_all(server, &[(target, uuids.to_vec())]).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// The same, where it matters that one is not listed: a server that was just started lists some late.
pub(crate) async fn find_settled(
    server: &Server,
    target: &TableName,
    uuids: &[Uuid],
) -> Result<Seen, AttemptError> {
    if planted(Bug::HashesAsSet) {
        return find(server, target, uuids).await;
    }
    let found = find_parts_settled(server, &[(target, uuids.to_vec())]).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Which identities each target lists, in the order asked. Targets are asked together.
pub(crate) async fn find_all(
    server: &Server,
    asked: &[(&TableName, Vec<Uuid>)],
) -> Result<Vec<Seen>, AttemptError> {
    if planted(Bug::HashesAsSet) {
        let each = asked.iter().map(|(target, hashes)| find_by_hash(server, target, hashes));
        return try_join_all(each).await;
    }
    Ok(find_parts(server, asked).await?)
}

/// The hash of a part's content where its identity should be: [`Bug::HashesAsSet`].
pub(crate) fn hash_as_identity(hash: &str) -> Uuid {
    Uuid::parse_str(hash).unwrap_or_default()
}

#[derive(Deserialize, Row)]
struct Hashed {
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    name: String,
}

/// Takes equal content for the same part: [`Bug::HashesAsSet`].
async fn find_by_hash(
    server: &Server,
    target: &TableName,
    hashes: &[Uuid],
) -> Result<Seen, AttemptError> {
    let text = "SELECT toString(toUUID(hash_of_all_files)) AS identity, name FROM system.parts \
                WHERE database = {database:String} AND table = {table:String} AND rows > 0";
    let call = server.call_text("find_by_hash", text.to_owned());
    let call = call.param("database", &target.database).param("table", &target.table);
    let rows: Vec<Hashed> = call.fetch_all().await?;
    let published = rows.into_iter().map(|row| (row.identity, row.name));
    let published = published.filter(|(hash, _)| hashes.contains(hash)).collect();
    Ok(Seen { published, rolled_back: HashSet::new() })
}

/// Parts by their identity, with the names that they have in their targets.
pub(crate) type PartNames = HashMap<Uuid, String>;

/// A table of the manifest whose every part has to be found in its target.
pub(crate) struct Claimed<'a> {
    pub(crate) table: &'a StagedTable,
    /// What was seen in the target before: it may be merged and forgotten by now.
    pub(crate) seen: PartNames,
    /// Its staging table was listed with parts.
    pub(crate) was_seen: bool,
    /// Why nothing else can prove it.
    pub(crate) why: &'static str,
}

/// The names that proved parts have, or had, in their targets.
#[derive(Debug, Default)]
pub(crate) struct Proved {
    /// Those that are listed.
    pub(crate) listed: PartNames,
    /// Those that were seen earlier in this attempt.
    pub(crate) seen: PartNames,
}

/// Looks for every part of these tables in their targets; nothing else is taken for a proof.
///
/// An empty staging table proves nothing, however old its manifest is: a person can empty it, and a
/// power cut can take its parts.
///
/// # Errors
/// When a part was never seen in its target: names every such table.
pub(crate) async fn prove_all(
    server: &Server,
    claimed: &[Claimed<'_>],
) -> Result<Proved, AttemptError> {
    let all = |one: &Claimed<'_>| one.table.parts().map(|part| part.uuid).collect();
    let asked: Vec<(&TableName, Vec<Uuid>)> =
        claimed.iter().map(|one| (&one.table.target, all(one))).collect();
    let lacks = |one: &Claimed<'_>, found: &Seen| {
        let is_missing =
            |uuid: &Uuid| !found.published.contains_key(uuid) && !one.seen.contains_key(uuid);
        all(one).iter().filter(|uuid| is_missing(uuid)).count()
    };
    let mut found = find_all(server, &asked).await?;
    let is_whole = claimed.iter().zip(&found).all(|(one, found)| lacks(one, found) == 0);
    if !is_whole && !planted(Bug::HashesAsSet) {
        // What was seen stays seen: the wait may be longer than a merged part is listed.
        let later = find_parts_settled(server, &asked).await?;
        for (found, later) in found.iter_mut().zip(later) {
            found.published.extend(later.published);
        }
    }
    let mut proved = Proved::default();
    let mut unproved = Vec::new();
    for (one, found) in claimed.iter().zip(found) {
        let missing = lacks(one, &found);
        proved.seen.extend(one.seen.iter().map(|(uuid, name)| (*uuid, name.clone())));
        proved.listed.extend(found.published);
        if missing > 0 && !planted(Bug::OldIsProof) && !planted(Bug::EmptyIsProof) {
            unproved.push(format!(
                "{}, and {missing} of {} parts are not found in {}{}",
                one.why,
                one.table.parts().count(),
                one.table.target,
                set_aside(server, one.table).await
            ));
        }
    }
    if unproved.is_empty() {
        return Ok(proved);
    }
    Err(AttemptError::Unprovable(unproved.join("; ")))
}

#[derive(Deserialize, Row)]
struct Detached {
    parts: u64,
}

/// What the server has set aside in the target: a part that is broken or was detached by hand is there.
async fn set_aside(server: &Server, table: &StagedTable) -> String {
    let call = server.call(sql::COUNT_DETACHED).param("database", &table.target.database);
    let answer = call.param("table", &table.target.table).fetch_one::<Detached>().await;
    match answer {
        Ok(Detached { parts }) if parts > 0 => {
            format!(" ({parts} parts are detached there: see system.detached_parts)")
        }
        _ => String::new(),
    }
}

/// Refuses to move what an earlier MOVE may have moved already: an identity that is not in the
/// target proves that only while the server would still list it.
pub(crate) async fn refuse_late(
    claim: &Claim,
    table: &StagedTable,
    taken_ms: i64,
) -> Result<(), AttemptError> {
    let lifespan = lifespan(claim, table, taken_ms).await?;
    if lifespan.lasts() {
        return Ok(());
    }
    let age = lifespan
        .age
        .map_or("of an unknown age".to_owned(), |age| format!("{} s old", age.as_secs()));
    Err(AttemptError::Unprovable(format!(
        "the manifest is {age} and {} lists merged parts for {} s only: whether the staged parts were moved \
         and merged before cannot be proved. Compare the rows of the staging tables of this task with {}",
        table.target,
        lifespan.listed.as_secs(),
        table.target,
    )))
}

#[derive(Deserialize, Row)]
struct Setting {
    value: String,
}

/// How old the manifest is, and how long its parts are listed for certain.
struct Lifespan {
    /// None when the server's clock was put back since.
    age: Option<Duration>,
    listed: Duration,
}

impl Lifespan {
    fn lasts(&self) -> bool {
        let sure = self.listed.saturating_sub(EVIDENCE_MARGIN);
        self.age.is_some_and(|age| age <= sure)
    }
}

async fn lifespan(
    claim: &Claim,
    table: &StagedTable,
    taken_ms: i64,
) -> Result<Lifespan, AttemptError> {
    let clock = clock(&claim.server).await?;
    let graph = &claim.job.spec.graph;
    let tables = &graph.tables;
    let planned = tables.iter().find(|planned| *planned.destination() == table.target);
    let definition = planned.map(|planned| planned.definition.as_str());
    let secs = match definition.and_then(own_lifetime) {
        Some(own) => own,
        // Replicated tables have defaults of their own.
        None if planned.is_some_and(GraphTable::is_replicated) => {
            replicated_lifetime(&claim.server).await?
        }
        None => clock.parts_lifetime_secs,
    };
    let age = u64::try_from(clock.now_ms - taken_ms).ok().map(Duration::from_millis);
    Ok(Lifespan { age, listed: Duration::from_secs(secs) })
}

/// How long the server lists a merged part of a replicated table that does not say so itself, in seconds.
async fn replicated_lifetime(server: &Server) -> Result<u64, AttemptError> {
    let call = || server.call(sql::REPLICATED_DEFAULT).param("name", "old_parts_lifetime");
    let found: Option<Setting> = retry_idempotent(|| call().fetch_optional()).await?;
    // A server that does not say proves nothing.
    Ok(found.and_then(|setting| setting.value.trim_matches('\'').parse().ok()).unwrap_or(0))
}

/// `old_parts_lifetime = N` in a table's own settings.
fn own_lifetime(definition: &str) -> Option<u64> {
    let rest = definition.split("old_parts_lifetime = ").nth(1)?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Lifespan, own_lifetime};
    use std::time::Duration;

    #[test]
    fn reads_a_tables_own_lifetime() {
        let text = "CREATE TABLE a (x) ENGINE = MergeTree SETTINGS old_parts_lifetime = 60, index_granularity = 1";
        assert_eq!(own_lifetime(text), Some(60));
        assert_eq!(own_lifetime("CREATE TABLE a"), None);
    }

    #[test]
    fn evidence_ends_a_minute_before_the_server_forgets() {
        let lasts = |age: Option<u64>, listed| {
            let listed = Duration::from_secs(listed);
            Lifespan { age: age.map(Duration::from_secs), listed }.lasts()
        };
        assert!(lasts(Some(420), 480) && !lasts(Some(421), 480));
        assert!(lasts(Some(0), 60) && !lasts(Some(1), 60) && !lasts(Some(1), 1));
        assert!(!lasts(None, 480), "a clock that went back proves nothing");
    }
}
