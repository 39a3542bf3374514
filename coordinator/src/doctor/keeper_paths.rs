//! What a server that was killed has left in Keeper: paths of staging twins without a table.
//!
//! A replicated target has replicated twins. Their tables are made and dropped in two places, and a
//! kill can come between the two.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
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

/// Paths in Keeper that no staging table of this server has, and that are older than a minute.
///
/// None where this user may not look: such a server is told by the grants.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn left(server: &Server) -> Result<Vec<String>, Failure> {
    let facts = server.facts().await?;
    let folder = twins_in_keeper(server.staging(), &facts.server_uuid);
    let call = || server.call(sql::LIST_KEEPER_PATHS).param("staging", server.staging());
    let found: Vec<Path> = match retry_idempotent(|| call().fetch_all()).await {
        Ok(found) => found,
        // Nothing was ever staged there, this user may not look, or the server does not know replicated
        // tables (a library has no `system.zookeeper`).
        Err(failure)
            if matches!(
                failure.code(),
                Some(Code::KEEPER_EXCEPTION | Code::ACCESS_DENIED | Code::UNKNOWN_TABLE)
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    let old = found.into_iter().filter(|path| path.age_secs >= AGE_MIN.as_secs());
    Ok(old.map(|path| format!("{folder}/{}", path.name)).collect())
}

/// Takes such a path away. False where the server does not: it is in use, or this user may not.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn remove(server: &Server, path: &str) -> Result<bool, Failure> {
    match server.call(sql::DROP_KEEPER_PATH).literal("path", path).execute().await {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_refusal() => Ok(false),
        Err(failure) => Err(failure),
    }
}
