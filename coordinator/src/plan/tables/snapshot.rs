//! A snapshot of a table: its parts, linked into a table of ours that never changes.
//!
//! Files are linked, not copied. The source may merge, change and be dropped; what was linked stays
//! until the snapshot is dropped, and until then takes the space that the source has freed.

use longshore_shared::clickhouse::{Code, Failure, Kind, Server, retry_idempotent};
use longshore_shared::schema::{engine_of_today, snapshot_of_replicated, table_now};
use longshore_shared::sql;
use longshore_shared::task::TableName;
use uuid::Uuid;

/// The engine or the table's state does not admit it.
const REFUSED: [Code; 2] = [Code::NOT_IMPLEMENTED, Code::SUPPORT_IS_DISABLED];

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The server could not be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The parts of the table cannot be linked.
    #[error("{table} cannot be linked into a snapshot: {reason}")]
    Refused {
        table: TableName,
        /// What the server says, remedy included.
        reason: String,
    },
}

/// Makes the snapshot `name` in the staging database, unless it is there: then it is left as it is.
/// A snapshot with this name is whole, whatever interrupted its making.
pub(crate) async fn make(
    server: &Server,
    source: &TableName,
    name: &str,
) -> Result<TableName, SnapshotError> {
    let snapshot = TableName { database: server.staging().to_owned(), table: name.to_owned() };
    if exists(server, &snapshot).await? {
        return Ok(snapshot);
    }
    let of_source = table_now(server, source).await?;
    let definition = of_source.map(|table| table.definition).unwrap_or_default();
    if engine_of_today(&definition).is_some() {
        let reason = "it was made with the old syntax of MergeTree".to_owned();
        return Err(SnapshotError::Refused { table: source.clone(), reason });
    }
    // Making a table and linking parts into it are two steps; the name comes last.
    let mark = Uuid::new_v4().simple().to_string();
    let unnamed = format!("{name}_{}", &mark[..8]);
    let made = link(server, (source, &definition), &snapshot, &unnamed).await;
    // After the renaming there is none of this name.
    drop_table(server, &unnamed).await?;
    match made {
        Err(SnapshotError::Failure(failure))
            if failure.code() == Some(Code::TABLE_ALREADY_EXISTS)
                || failure.kind == Kind::Unknown =>
        {
            // Another program was first, or the answer was lost.
            if exists(server, &snapshot).await? { Ok(snapshot) } else { Err(failure.into()) }
        }
        made => made.map(|()| snapshot),
    }
}

async fn link(
    server: &Server,
    (source, definition): (&TableName, &str),
    snapshot: &TableName,
    unnamed: &str,
) -> Result<(), SnapshotError> {
    let both = |statement| {
        let call = server.call(statement).name("database", server.staging()).name("table", unnamed);
        call.name("source_database", &source.database).name("source", &source.table)
    };
    let empty = TableName { database: server.staging().to_owned(), table: unnamed.to_owned() };
    // The server would keep the Keeper path of the source (26.7), which is taken.
    let created = match snapshot_of_replicated(source, definition, &empty) {
        Some(statement) => statement.call(server, "create_snapshot").execute().await,
        None => both(sql::CREATE_SNAPSHOT).types_of_others().execute().await,
    };
    created.map_err(|failure| refused(source, failure))?;
    // Linking a hundred thousand parts takes its time.
    let linked = both(sql::ATTACH_SNAPSHOT).deadline(None).execute().await;
    linked.map_err(|failure| refused(source, failure))?;
    let rename = server.call(sql::RENAME_TABLE).name("database", server.staging());
    rename.name("from", unnamed).name("to", &snapshot.table).execute().await?;
    Ok(())
}

fn refused(table: &TableName, failure: Failure) -> SnapshotError {
    match failure.code() {
        Some(code) if REFUSED.contains(&code) => {
            SnapshotError::Refused { table: table.clone(), reason: failure.message }
        }
        _ => failure.into(),
    }
}

/// Drops a snapshot, if it is there.
pub(crate) async fn drop(server: &Server, name: &str) -> Result<(), Failure> {
    drop_table(server, name).await
}

async fn drop_table(server: &Server, name: &str) -> Result<(), Failure> {
    let call =
        || server.call(sql::DROP_TABLE).name("database", server.staging()).name("table", name);
    retry_idempotent(|| call().execute()).await.map(|_| ())
}

async fn exists(server: &Server, table: &TableName) -> Result<bool, Failure> {
    let call = || {
        let call = server.call(sql::TABLE_KEY).param("database", &table.database);
        call.param("table", &table.table).fetch_bytes("TSV")
    };
    Ok(!retry_idempotent(call).await?.is_empty())
}
