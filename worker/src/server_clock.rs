//! The server's own clock, and when it was started.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::sql;
use serde::Deserialize;

use crate::error::AttemptError;

/// The server's clock, and how long it lists merged parts unless a table says otherwise.
#[derive(Deserialize, Row)]
pub(crate) struct Clock {
    pub(crate) now_ms: i64,
    pub(crate) parts_lifetime_secs: u64,
}

/// When the server was started, by its own clock.
#[derive(Deserialize, Row)]
pub(crate) struct Started {
    pub(crate) started_ms: i64,
}

/// The server tells its age in whole seconds.
pub(crate) const START_MARGIN_MS: i64 = 2_000;

/// When each of these servers was started, by its own clock, in milliseconds since 1970.
pub(crate) async fn starts(servers: &[Server]) -> Result<Vec<i64>, AttemptError> {
    let mut starts = Vec::with_capacity(servers.len());
    for server in servers {
        let Started { started_ms } =
            retry_idempotent(|| server.call(sql::SERVER_STARTED).fetch_one()).await?;
        starts.push(started_ms);
    }
    Ok(starts)
}

pub(crate) async fn clock(server: &Server) -> Result<Clock, AttemptError> {
    Ok(retry_idempotent(|| server.call(sql::SERVER_CLOCK).fetch_one()).await?)
}
