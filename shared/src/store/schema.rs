//! Making the control tables: idempotent, versioned, refusing a newer version.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::handle::settle_insert;
use super::{KeeperMapStore, StoreError, Stored};
use crate::clickhouse::{Code, Failure, Server, retry_idempotent, says_unconnected};
use crate::ledger::{self, Attempt};
use crate::sql::{self, Statement};

/// Version of the control tables that this program makes and understands.
pub const SCHEMA_VERSION: u32 = 1;

const VERSION_KEY: &str = "version";
const ENVIRONMENT_KEY: &str = "environment";

const KEEPER_TABLES: [(&str, Statement); 5] = [
    ("meta", sql::CREATE_META),
    ("jobs", sql::CREATE_JOBS),
    ("tasks", sql::CREATE_TASKS),
    ("cursors", sql::CREATE_CURSORS),
    ("workers", sql::CREATE_WORKERS),
];
const LOCAL_TABLES: [Statement; 3] =
    [sql::CREATE_RECEIPTS, sql::CREATE_MANIFESTS, sql::CREATE_ATTEMPTS];

/// What `init` found and made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// The tables were there before.
    pub existed: bool,
    /// Their version.
    pub version: u32,
    /// Identity of the environment: the same on every server that shares the Keeper ensemble.
    pub environment: String,
}

#[derive(Deserialize, Row)]
struct Value {
    value: String,
}

#[derive(Deserialize, Row)]
struct Fact {
    key: String,
    value: String,
}

/// Removes the control tables that Keeper does not know any more, so that [`init`] can make them
/// again; their names. Rows of them are lost already; receipts and history are not in Keeper.
///
/// # Errors
/// Missing grants, or a Keeper that does not answer: what it holds is not known then.
pub async fn drop_lost(server: &Server) -> Stored<Vec<&'static str>> {
    let mut dropped = Vec::new();
    for (table, _) in KEEPER_TABLES {
        let probe = server.call(sql::PROBE_TABLE).name("control", server.control());
        let Err(failure) = probe.name("table", table).execute().await else { continue };
        if failure.code() != Some(Code::INVALID_STATE) {
            continue;
        }
        // The rows may all be there: the server has not been able to look since its start.
        if says_unconnected(&failure.message) {
            return Err(failure.into());
        }
        let drop = server.call(sql::DROP_TABLE).name("database", server.control());
        drop.name("table", table).execute().await?;
        dropped.push(table);
    }
    Ok(dropped)
}

/// Makes the databases and tables that are missing.
///
/// # Errors
/// A newer version of the tables, missing grants, or a server without KeeperMap.
pub async fn init(server: &Server) -> Stored<InitReport> {
    let existed = match get_meta(server, VERSION_KEY).await {
        Ok(found) => {
            found.as_deref().map(check_version).transpose()?;
            found.is_some()
        }
        Err(StoreError::NotInitialised(_)) => false,
        Err(error) => return Err(error),
    };
    for database in [server.control(), server.staging()] {
        server.call(sql::CREATE_DATABASE).name("database", database).execute().await?;
    }
    for (table, statement) in KEEPER_TABLES {
        let path = format!("/{}/{table}", server.control());
        server
            .call(statement)
            .name("control", server.control())
            .literal("path", &path)
            .execute()
            .await?;
    }
    for statement in LOCAL_TABLES {
        server.call(statement).name("control", server.control()).execute().await?;
    }
    if probe_receipts(server).await == Some(Code::UNKNOWN_IDENTIFIER) {
        server.call(sql::ADD_RECEIPT_COLUMNS).name("control", server.control()).execute().await?;
    }
    let version = ensure_meta(server, VERSION_KEY, &SCHEMA_VERSION.to_string()).await?;
    let version = check_version(&version)?;
    // A Keeper that was wiped takes up the old identity: plans get the ids they had, and what their
    // receipts prove is not loaded again.
    let noted = noted_environment(server).await?;
    let fresh = noted.clone().unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    let environment = ensure_meta(server, ENVIRONMENT_KEY, &fresh).await?;
    if noted.as_ref() != Some(&environment) {
        ledger::note(server, Attempt::of_environment(&environment)).await;
    }
    Ok(InitReport { existed, version, environment })
}

async fn noted_environment(server: &Server) -> Stored<Option<String>> {
    let row: Option<Value> = retry_idempotent(|| {
        server.call(sql::FIND_ENVIRONMENT).name("control", server.control()).fetch_optional()
    })
    .await?;
    Ok(row.map(|row| row.value))
}

/// Identity of the environment, after a check that the tables can be used by this program.
///
/// # Errors
/// [`StoreError::NotInitialised`] before `init`, [`StoreError::NewerVersion`] after an upgrade elsewhere.
pub async fn environment(server: &Server) -> Stored<String> {
    let missing = || StoreError::NotInitialised(server.control().to_owned());
    let call = || server.call(sql::GET_FACTS).name("control", server.control());
    let facts = if_made(server, retry_idempotent(|| call().fetch_all::<Fact>()).await)?;
    let fact = |key: &str| {
        let found = facts.iter().find(|fact| fact.key == key);
        found.map(|fact| fact.value.clone()).ok_or_else(missing)
    };
    check_version(&fact(VERSION_KEY)?)?;
    let is_old = match probe_receipts(server).await {
        Some(Code::UNKNOWN_IDENTIFIER) => true,
        // Receipts that somebody has dropped are told by whoever needs them.
        Some(Code::UNKNOWN_TABLE) => is_missing(server, "manifests").await,
        _ => false,
    };
    if is_old {
        return Err(StoreError::Outdated(server.control().to_owned()));
    }
    fact(ENVIRONMENT_KEY)
}

async fn is_missing(server: &Server, table: &str) -> bool {
    let probe = server.call(sql::PROBE_TABLE).name("control", server.control());
    let answer = probe.name("table", table).execute().await;
    answer.is_err_and(|failure| failure.code() == Some(Code::UNKNOWN_TABLE))
}

/// What the server says of tables that an earlier version made: there were no manifests, or receipts had no
/// names of parts. A table that cannot be asked is judged by whoever needs it.
async fn probe_receipts(server: &Server) -> Option<Code> {
    let probe = server.call(sql::PROBE_RECEIPTS).name("control", server.control());
    probe.execute().await.err().and_then(|failure| failure.code())
}

/// What the control tables call their version is no number.
#[derive(Debug, thiserror::Error)]
#[error("version `{text}` of the control tables: {source}")]
struct BadVersion {
    text: String,
    source: std::num::ParseIntError,
}

fn check_version(text: &str) -> Stored<u32> {
    let found: u32 = text
        .parse()
        .map_err(|source| StoreError::record(BadVersion { text: text.to_owned(), source }))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerVersion { found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

async fn get_meta(server: &Server, key: &str) -> Stored<Option<String>> {
    let row: Result<Option<Value>, Failure> = retry_idempotent(|| {
        server
            .call(sql::GET_META)
            .name("control", server.control())
            .param("key", key)
            .fetch_optional()
    })
    .await;
    Ok(if_made(server, row)?.map(|row| row.value))
}

/// An answer about `meta`: where that table is not there, nothing was made yet.
fn if_made<T>(server: &Server, answer: Result<T, Failure>) -> Stored<T> {
    answer.map_err(|failure| match failure.code() {
        Some(Code::UNKNOWN_TABLE | Code::UNKNOWN_DATABASE) => {
            StoreError::NotInitialised(server.control().to_owned())
        }
        _ => failure.into(),
    })
}

/// Writes a fact unless one is there; the first writer wins and everybody reads the same.
async fn ensure_meta(server: &Server, key: &str, value: &str) -> Stored<String> {
    // Who only looks after what others have made may not be allowed to write.
    if let Some(found) = get_meta(server, key).await? {
        return Ok(found);
    }
    let store = KeeperMapStore::new(server.clone());
    settle_insert(key, || store.insert_fact(key, value), || get_meta(server, key)).await
}
