//! Where parts are, told by the identity that each keeps when it is moved.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use crate::clickhouse::{Code, Failure, Server, retry_idempotent, uuid_text};
use crate::planted::{Bug, planted};
use crate::sql;
use crate::task::{TableName, is_replicated_engine};

/// Part identities asked for in one statement.
const IDENTITIES_MAX: usize = 2_000;
/// The server counts whole seconds since its start, and its clock may be set.
const UPTIME_MARGIN: Duration = Duration::from_secs(3);
/// Before a server that was just started is asked again.
const START_PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize, Row)]
struct FoundRow {
    in_database: String,
    in_table: String,
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    is_published: u8,
    name: String,
    engine: String,
}

/// Identities of staged parts that a target lists.
#[derive(Debug, Default)]
pub struct Seen {
    /// They are in the target, merged ones included, under these names.
    pub published: HashMap<Uuid, String>,
    /// Left by a MOVE that failed: never visible, and removed by the server before long.
    pub rolled_back: HashSet<Uuid>,
}

/// Which of these identities each table lists, in the order asked. Tables are asked together.
///
/// # Errors
/// When the server cannot be asked, or a replicated table of these is read-only: then it may list
/// parts that Keeper does not know.
pub async fn find_parts(
    server: &Server,
    asked: &[(&TableName, Vec<Uuid>)],
) -> Result<Vec<Seen>, Failure> {
    let mut seen: Vec<Seen> = asked.iter().map(|_| Seen::default()).collect();
    let all: Vec<(usize, &Uuid)> = asked
        .iter()
        .enumerate()
        .flat_map(|(at, (_, uuids))| uuids.iter().map(move |uuid| (at, uuid)))
        .collect();
    for page in all.chunks(IDENTITIES_MAX) {
        let positions: BTreeSet<usize> = page.iter().map(|(at, _)| *at).collect();
        let tables: Vec<&TableName> = positions.iter().map(|at| asked[*at].0).collect();
        let uuids: Vec<&Uuid> = page.iter().map(|(_, uuid)| *uuid).collect();
        for row in list(server, &tables, &uuids).await? {
            let is_in = |at: &&usize| {
                let table = asked[**at].0;
                table.database == row.in_database && table.table == row.in_table
            };
            let Some(at) = positions.iter().find(is_in) else { continue };
            if row.is_published == 1 || planted(Bug::RemainsArePublished) {
                seen[*at].published.insert(row.identity, row.name);
            } else {
                seen[*at].rolled_back.insert(row.identity);
            }
        }
    }
    Ok(seen)
}

/// One page of [`find_parts`].
///
/// Whether a table is replicated is seen in its parts, so a table of which none was found is asked as if it were. Of
/// plain ones Keeper knows nothing, and not to ask for that halves the cost.
async fn list(
    server: &Server,
    tables: &[&TableName],
    uuids: &[&Uuid],
) -> Result<Vec<FoundRow>, Failure> {
    let ask = |statement| {
        retry_idempotent(move || {
            server.call(statement).tables(tables).list("uuids", uuids).fetch_all::<FoundRow>()
        })
    };
    if !server.has_replicas() {
        let rows = ask(sql::FIND_PLAIN_PARTS).await?;
        let is_plain = |row: &FoundRow| {
            row.engine.ends_with("MergeTree") && !is_replicated_engine(&row.engine)
        };
        let is_of = |row: &FoundRow, table: &TableName| {
            row.in_database == table.database && row.in_table == table.table
        };
        if rows.iter().any(|row| !is_plain(row)) {
            server.note_replicas();
        } else if tables.iter().all(|table| rows.iter().any(|row| is_of(row, table))) {
            return Ok(rows);
        }
    }
    ask(sql::FIND_PARTS).await
}

/// The same, where it matters that a part is *not* there: a server that was just started lists parts late
/// that were merged away. Waits until all parts are listed, and takes the answer only of a server that was not
/// started again meanwhile.
///
/// # Errors
/// As [`find_parts`], and without the right to `SYSTEM WAIT LOADING PARTS`.
pub async fn find_parts_settled(
    server: &Server,
    asked: &[(&TableName, Vec<Uuid>)],
) -> Result<Vec<Seen>, Failure> {
    let found = find_parts(server, asked).await?;
    let is_there = |(seen, (_, uuids)): (&Seen, &(&TableName, Vec<Uuid>))| {
        uuids.iter().all(|uuid| seen.published.contains_key(uuid))
    };
    // Nothing is absent.
    if found.iter().zip(asked).all(is_there) || planted(Bug::AskEarly) {
        return Ok(found);
    }
    loop {
        let began = Instant::now();
        let tables: Vec<&TableName> = asked.iter().map(|(table, _)| *table).collect();
        wait_for_parts(server, &tables).await?;
        let found = find_parts(server, asked).await?;
        let uptime = Duration::from_secs(server.facts().await?.uptime_secs);
        if uptime >= began.elapsed() + UPTIME_MARGIN {
            return Ok(found);
        }
        tokio::time::sleep(START_PAUSE).await;
    }
}

/// Waits until the server lists all parts that it has of these tables, `*MergeTree` each. Seconds to minutes after
/// a start, nothing else. Of a table that is gone nothing is listed, and nothing is waited for.
///
/// # Errors
/// When the server cannot be asked, or does not answer in time, or the right to it is missing.
pub async fn wait_for_parts(server: &Server, tables: &[&TableName]) -> Result<(), Failure> {
    for table in tables {
        let call = || server.call(sql::WAIT_LOADING).name("database", &table.database);
        let waited = retry_idempotent(|| call().name("table", &table.table).execute()).await;
        match waited {
            Err(failure)
                if matches!(failure.code(), Some(Code::UNKNOWN_TABLE | Code::UNKNOWN_DATABASE)) => {
            }
            waited => drop(waited?),
        }
    }
    Ok(())
}
