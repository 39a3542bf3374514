//! What the server can still say about a MOVE: whose parts are in a target, and for how long it shows.
//!
//! Every staged part has an identity of its own that survives the MOVE. The target lists it as long
//! as the part is not merged, and as an inactive part for `old_parts_lifetime` after that. A MOVE
//! that failed (a disk error) leaves inactive parts as well, which prove nothing.

use std::collections::HashSet;
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent, uuid_text};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql;
use longshore_shared::task::{StagedTable, TableName};
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::server_clock::clock;

/// Part identities asked for in one statement.
const IDENTITIES_MAX: usize = 2_000;
/// Kept from the time in which a merged part is still listed: the server cleans up in rounds.
const EVIDENCE_MARGIN: Duration = Duration::from_secs(60);

#[derive(Deserialize, Row)]
struct Identity {
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    is_published: u8,
}

/// Identities of staged parts that a target lists.
#[derive(Default)]
pub(crate) struct Seen {
    /// They are in the target, merged ones included.
    pub(crate) published: HashSet<Uuid>,
    /// Left by a MOVE that failed: never visible, and removed by the server before long.
    pub(crate) rolled_back: HashSet<Uuid>,
}

/// Which of these identities the target lists.
pub(crate) async fn find(
    server: &Server,
    target: &TableName,
    uuids: &[Uuid],
) -> Result<Seen, AttemptError> {
    if planted(Bug::HashesAsSet) {
        return find_by_hash(server, target, uuids).await;
    }
    let mut seen = Seen::default();
    for page in uuids.chunks(IDENTITIES_MAX) {
        let rows: Vec<Identity> = retry_idempotent(|| {
            server
                .call(sql::FIND_PARTS)
                .param("database", &target.database)
                .param("table", &target.table)
                .list("uuids", page)
                .fetch_all()
        })
        .await?;
        for row in rows {
            let is_published = row.is_published == 1 || planted(Bug::RemainsArePublished);
            let kind = if is_published { &mut seen.published } else { &mut seen.rolled_back };
            kind.insert(row.identity);
        }
    }
    Ok(seen)
}

/// The hash of a part's content where its identity should be: [`Bug::HashesAsSet`].
pub(crate) fn hash_as_identity(hash: &str) -> Uuid {
    Uuid::parse_str(hash).unwrap_or_default()
}

/// Takes equal content for the same part: [`Bug::HashesAsSet`].
async fn find_by_hash(
    server: &Server,
    target: &TableName,
    hashes: &[Uuid],
) -> Result<Seen, AttemptError> {
    let text = "SELECT toString(toUUID(hash_of_all_files)) AS identity, toUInt8(1) AS is_published FROM system.parts \
                WHERE database = {database:String} AND table = {table:String} AND rows > 0";
    let call = server.call_text("find_by_hash", text.to_owned());
    let call = call.param("database", &target.database).param("table", &target.table);
    let rows: Vec<Identity> = call.fetch_all().await?;
    let published = rows.into_iter().map(|row| row.identity).filter(|hash| hashes.contains(hash));
    Ok(Seen { published: published.collect(), rolled_back: HashSet::new() })
}

/// Every part of the manifest was seen in the target; nothing else is taken for a proof.
///
/// An empty staging table proves nothing, however old its manifest is: a person can empty it, and a
/// power cut can take its parts. `seen` was found in the target before.
pub(crate) async fn everything(
    server: &Server,
    table: &StagedTable,
    seen: &HashSet<Uuid>,
    why: &str,
) -> Result<(), AttemptError> {
    if planted(Bug::EmptyIsProof) {
        return Ok(());
    }
    let all = table.parts().map(|part| part.uuid);
    let asked: Vec<Uuid> = all.filter(|uuid| !seen.contains(uuid)).collect();
    let found = find(server, &table.target, &asked).await?;
    let missing = asked.iter().filter(|uuid| !found.published.contains(*uuid)).count();
    if missing == 0 || planted(Bug::OldIsProof) {
        return Ok(());
    }
    Err(AttemptError::Unprovable(format!(
        "{why}, and {missing} of {} parts are not found in {}{}",
        table.parts().count(),
        table.target,
        set_aside(server, table).await
    )))
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
    let secs = definition.and_then(own_lifetime).unwrap_or(clock.parts_lifetime_secs);
    let age = u64::try_from(clock.now_ms - taken_ms).ok().map(Duration::from_millis);
    Ok(Lifespan { age, listed: Duration::from_secs(secs) })
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
