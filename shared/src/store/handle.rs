//! The handle on the KeeperMap tables of a server: strict writes, and a compare-and-set that proves itself.

use std::fmt::Display;
use std::pin::Pin;

use backon::BackoffBuilder;
use clickhouse::{Row, RowWrite};
use serde::Deserialize;

use super::{StoreError, Stored, Swap};
use crate::clickhouse::{Call, Code, Failure, Server, control_schedule, retry_idempotent};
use crate::planted::{Bug, planted};
use crate::sql;

/// Keeper's own retries inside the server: the default of 20 hangs for minutes (ENGINE C).
const KEEPER_RETRIES: u32 = 3;

/// A mutation is analysed once more before it is run, for tables that run it in the background. KeeperMap runs
/// it at once and tells its error, and the second look is 60 % of the processor time of an UPDATE (26.7).
const VALIDATE: &str = "validate_mutation_query";

/// A row of a control table that has a stamp.
#[derive(Clone, Copy)]
pub(super) struct Stamped<'a> {
    pub(super) table: &'static str,
    /// Its key.
    pub(super) column: &'static str,
    pub(super) key: &'a str,
}

#[derive(Deserialize, Row)]
struct StampRow {
    stamp: String,
}

/// A row being read back after a write.
pub(super) type ReadBack<'a, T> = Pin<Box<dyn Future<Output = Stored<Option<T>>> + Send + 'a>>;

/// The store on one server. Servers that share a Keeper ensemble show the same rows.
#[derive(Clone)]
pub struct KeeperMapStore {
    server: Server,
}

impl KeeperMapStore {
    /// A store on this server's control database.
    pub fn new(server: Server) -> Self {
        Self { server }
    }

    pub(super) fn call(&self, statement: sql::Statement) -> Call<'_> {
        self.server.call(statement).name("control", self.server.control())
    }

    pub(super) fn write(&self, statement: sql::Statement) -> Call<'_> {
        let call = self
            .call(statement)
            .setting("keeper_map_strict_mode", 1)
            .setting("insert_keeper_max_retries", KEEPER_RETRIES);
        if self.server.knows_already(VALIDATE) { call.setting(VALIDATE, 0) } else { call }
    }

    /// A strict insert is all or nothing; an error can follow an insert that was applied.
    pub(super) async fn insert_strict<R>(&self, table: &str, rows: &[R]) -> Stored<()>
    where
        for<'a> R: RowWrite + Row<Value<'a> = R>,
    {
        let table = sql::quote_table(self.server.control(), table);
        let send = async {
            let mut insert = self
                .server
                .client()
                .clone()
                .with_setting("keeper_map_strict_mode", "1")
                .with_setting("insert_keeper_max_retries", KEEPER_RETRIES.to_string())
                .with_setting("async_insert", "0")
                .insert_unescaped::<R>(&table)
                .await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        send.await.map_err(|error| Failure::from_client("insert", &error).into())
    }

    /// Writes a fact of `meta`. An error can follow a write that was applied.
    pub(super) async fn insert_fact(&self, key: &str, value: &str) -> Stored<()> {
        let call = self.write(sql::INSERT_META).param("key", key).param("value", value);
        call.execute().await?;
        Ok(())
    }

    /// The stamp of a row; none when it is not there.
    pub(super) async fn stamp(&self, row: Stamped<'_>) -> Stored<Option<String>> {
        let call = || self.call(sql::GET_STAMP).name("table", row.table).name("column", row.column);
        let found: Option<StampRow> =
            retry_idempotent(|| call().param("key", row.key).fetch_optional()).await?;
        Ok(found.map(|found| found.stamp))
    }

    /// Sends a compare-and-set until a read-back shows whether it is in force.
    ///
    /// What is read back first is the stamp alone, where it has a column (`at`): mostly it is our own.
    /// `stamp_of` finds the stamp of the row now in force. Our own stamp there is proof of success,
    /// whatever the answer said. A row that is still exactly what we expected means that nothing
    /// was applied, so the same conditional write may be sent again.
    pub(super) async fn settle_swap<'a, T>(
        &'a self,
        was_stamp: &str,
        own_stamp: &str,
        send: impl Fn() -> Call<'a> + Send + Sync,
        at: Option<Stamped<'a>>,
        read_back: impl Fn() -> ReadBack<'a, T> + Send + Sync,
        stamp_of: fn(&T) -> &str,
    ) -> Stored<Swap<T>>
    where
        T: Send,
    {
        let mut pauses = control_schedule().build();
        loop {
            let answer = send().execute().await;
            match &answer {
                Ok(_) if planted(Bug::TrustOk) => return Ok(Swap::Won),
                Err(_) if planted(Bug::TrustError) => return Ok(Swap::Lost(read_back().await?)),
                _ => {}
            }
            if let Some(at) = at
                && Box::pin(self.stamp(at)).await?.as_deref() == Some(own_stamp)
            {
                return Ok(Swap::Won);
            }
            match read_back().await? {
                Some(row) if stamp_of(&row) == own_stamp => return Ok(Swap::Won),
                Some(row) if stamp_of(&row) == was_stamp => {
                    // Unapplied, or not applied yet. Keeper was busy, or another write was between.
                    let Some(pause) = pauses.next() else {
                        return match answer {
                            Err(failure) => Err(failure.into()),
                            Ok(_) => Ok(Swap::Lost(Some(row))),
                        };
                    };
                    if let Err(failure) = &answer {
                        tracing::debug!(error = %failure, "compare-and-set was not applied, again");
                        if stays(failure) {
                            return Err(failure.clone().into());
                        }
                    }
                    tokio::time::sleep(pause).await;
                }
                other => return Ok(Swap::Lost(other)),
            }
        }
    }
}

/// Sends a strict insert of one row until a look shows which row is in force: ours, or that of whoever
/// was first.
///
/// The key fences it: where a row is, an insert changes nothing. So its answer decides nothing, an insert
/// that is still on its way does no harm, and while no row is there it may be sent again. Rows whose
/// writer must be known change by [`KeeperMapStore::settle_swap`] instead.
pub(super) async fn settle_insert<T, S, R>(
    key: impl Display,
    send: impl Fn() -> S,
    read_back: impl Fn() -> R,
) -> Stored<T>
where
    S: Future<Output = Stored<()>>,
    R: Future<Output = Stored<Option<T>>>,
{
    let mut pauses = control_schedule().build();
    loop {
        let answer = send().await;
        if let Some(found) = read_back().await? {
            return Ok(found);
        }
        match (answer, pauses.next()) {
            (Err(error), None) => return Err(error),
            (Ok(()), None) => {
                return Err(StoreError::record(format!("`{key}` was written and is not there")));
            }
            (_, pause) => tokio::time::sleep(pause.unwrap_or_default()).await,
        }
    }
}

/// Will the server say the same to the next try?
fn stays(failure: &Failure) -> bool {
    matches!(
        failure.code(),
        Some(
            Code::ACCESS_DENIED
                | Code::AUTHENTICATION_FAILED
                | Code::UNKNOWN_TABLE
                | Code::UNKNOWN_DATABASE
        )
    )
}
