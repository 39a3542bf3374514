//! Where parts are, told by the identity that each keeps when it is moved.

use std::collections::{BTreeSet, HashMap, HashSet};

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use crate::clickhouse::{Failure, Server, retry_idempotent, uuid_text};
use crate::planted::{Bug, planted};
use crate::sql;
use crate::task::TableName;

/// Part identities asked for in one statement.
const IDENTITIES_MAX: usize = 2_000;

#[derive(Deserialize, Row)]
struct FoundRow {
    in_database: String,
    in_table: String,
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    is_published: u8,
    name: String,
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
        let call = || server.call(sql::FIND_PARTS).tables(&tables).list("uuids", &uuids);
        let rows: Vec<FoundRow> = retry_idempotent(|| call().fetch_all()).await?;
        for row in rows {
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
