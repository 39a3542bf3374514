//! What a server that was killed has left in Keeper: paths of staging twins without a table.
//!
//! A replicated target has replicated twins. Their tables are made and dropped in two places, and a
//! kill can come between the two.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server};
use longshore_shared::schema::twins_in_keeper;
use longshore_shared::sql;
use serde::Deserialize;

/// A twin that is being made has its path before its table.
const AGE_MIN: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize, Row)]
struct Path {
    name: String,
    age_secs: u64,
}

#[derive(Debug, Deserialize, Row)]
struct Parts {
    parts: u64,
}

/// Paths in Keeper that no staging table of this server has, that name no part, and that are older than a
/// minute. One that names parts may be of a table that comes back, with rows that nothing else holds.
///
/// None where this user may not look: such a server is told by the grants.
///
/// # Errors
/// When the server or its Keeper cannot be asked.
pub(crate) async fn list_unowned(server: &Server) -> Result<Vec<String>, Failure> {
    let facts = server.facts().await?;
    let folder = twins_in_keeper(server.staging(), &facts.server_uuid);
    let found = server.call(sql::LIST_KEEPER_PATHS).param("staging", server.staging()).fetch_all();
    let found: Vec<Path> = there(found.await)?.unwrap_or_default();
    let mut paths = Vec::new();
    for path in found.iter().filter(|path| path.age_secs >= AGE_MIN.as_secs()) {
        let path = format!("{folder}/{}", path.name);
        let parts = server.call(sql::COUNT_KEEPER_PARTS).param("path", &path).fetch_one::<Parts>();
        if there(parts.await)?.is_none_or(|found| found.parts == 0) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Nothing for a folder that is not there, for a user who may not look, and for a server that does not know
/// replicated tables (a library has no `system.zookeeper`). An answer is asked for once: that there is no
/// such folder has the code of a Keeper that is away, and would be asked for again and again.
fn there<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) => match failure.code() {
            Some(Code::ACCESS_DENIED | Code::UNKNOWN_TABLE) => Ok(None),
            Some(Code::KEEPER_EXCEPTION) if failure.message.contains("No node") => Ok(None),
            _ => Err(failure),
        },
    }
}

/// Takes such a path away. The server's words where it does not: the table is there after all, or this user
/// may not.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn remove(server: &Server, path: &str) -> Result<Option<String>, Failure> {
    match server.call(sql::DROP_KEEPER_PATH).literal("path", path).execute().await {
        Ok(_) => Ok(None),
        Err(failure) if failure.is_refusal() => Ok(Some(failure.message)),
        Err(failure) => Err(failure),
    }
}
