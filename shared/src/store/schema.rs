//! Making the control tables: idempotent, versioned, refusing a newer version.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::{StoreError, Stored};
use crate::clickhouse::{Failure, Server, read};
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
const LOCAL_TABLES: [Statement; 2] = [sql::CREATE_RECEIPTS, sql::CREATE_ATTEMPTS];

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
    let version = ensure_meta(server, VERSION_KEY, &SCHEMA_VERSION.to_string()).await?;
    let version = check_version(&version)?;
    let fresh = Uuid::new_v4().simple().to_string();
    let environment = ensure_meta(server, ENVIRONMENT_KEY, &fresh).await?;
    Ok(InitReport { existed, version, environment })
}

/// Identity of the environment, after a check that the tables can be used by this program.
///
/// # Errors
/// [`StoreError::NotInitialised`] before `init`, [`StoreError::NewerVersion`] after an upgrade elsewhere.
pub async fn environment(server: &Server) -> Stored<String> {
    let missing = || StoreError::NotInitialised(server.control().to_owned());
    let version = get_meta(server, VERSION_KEY).await?.ok_or_else(missing)?;
    check_version(&version)?;
    get_meta(server, ENVIRONMENT_KEY).await?.ok_or_else(missing)
}

fn check_version(text: &str) -> Stored<u32> {
    let found: u32 = text
        .parse()
        .map_err(|_| StoreError::Record(format!("version `{text}` of the control tables")))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerVersion { found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

async fn get_meta(server: &Server, key: &str) -> Stored<Option<String>> {
    let row: Result<Option<Value>, Failure> = read(|| {
        server
            .call(sql::GET_META)
            .name("control", server.control())
            .param("key", key)
            .fetch_optional()
    })
    .await;
    match row {
        Ok(row) => Ok(row.map(|row| row.value)),
        // UNKNOWN_TABLE, UNKNOWN_DATABASE
        Err(failure) if matches!(failure.code(), Some(60 | 81)) => {
            Err(StoreError::NotInitialised(server.control().to_owned()))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Writes a fact unless one is there; the first writer wins and everybody reads the same.
async fn ensure_meta(server: &Server, key: &str, value: &str) -> Stored<String> {
    let mut refusal = None;
    for _ in 0..3 {
        if let Some(found) = get_meta(server, key).await? {
            return Ok(found);
        }
        refusal = server
            .call(sql::INSERT_META)
            .name("control", server.control())
            .param("key", key)
            .param("value", value)
            .setting("keeper_map_strict_mode", 1)
            .setting("insert_keeper_max_retries", 3)
            .execute()
            .await
            .err();
    }
    match (get_meta(server, key).await?, refusal) {
        (Some(found), _) => Ok(found),
        (None, Some(failure)) => Err(failure.into()),
        (None, None) => Err(StoreError::Record(format!("`{key}` was written and is not there"))),
    }
}
