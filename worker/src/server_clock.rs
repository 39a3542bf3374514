//! The server's own clock, and when it was started.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, read};
use longshore_shared::sql;
use serde::Deserialize;

use crate::error::Trouble;

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

/// Asks the server for its clock.
pub(crate) async fn clock(server: &Server) -> Result<Clock, Trouble> {
    Ok(read(|| server.call(sql::SERVER_CLOCK).fetch_one()).await?)
}
