//! What a table held when an earlier plan of it was made.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::schema::identities;
use longshore_shared::sql;
use longshore_shared::task::{JobId, Known, TableName};
use serde::Deserialize;

use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Since when.
pub(crate) struct Since {
    /// The earlier job.
    pub(crate) job: JobId,
    /// What the table consisted of then.
    pub(crate) known: Known,
    /// What its engine keeps of rows that it merges.
    pub(crate) engine: SourceEngine,
}

/// The engine of a table, and its settings.
#[derive(Deserialize, Row)]
pub(crate) struct SourceEngine {
    engine: String,
    engine_full: String,
    #[allow(dead_code)]
    primary_key: String,
}

impl SourceEngine {
    async fn of(server: &Server, table: &TableName) -> Result<Self, Failure> {
        let call = || {
            let call = server.call(sql::TABLE_KEY).param("database", &table.database);
            call.param("table", &table.table).fetch_one()
        };
        retry_idempotent(call).await
    }

    /// Other engines fold rows in a merge: the number of rows tells nothing there.
    pub(crate) fn keeps_rows(&self) -> bool {
        matches!(self.engine.as_str(), "MergeTree" | "ReplicatedMergeTree" | "SharedMergeTree")
    }

    /// Do merged rows remember the block they came in?
    pub(crate) fn numbers_blocks(&self) -> bool {
        self.engine_full.contains("enable_block_number_column = 1")
            || self.engine_full.contains("enable_block_number_column = true")
    }
}

impl Since {
    /// The snapshot that an earlier plan of the same table was made from.
    pub(crate) async fn of(session: &Session, job: &str, from: &TableName) -> Result<Self, Error> {
        let job = session.job(job).await?;
        let refuse = |message: String, help: &str| -> Error {
            Report::new(Kind::Usage, format!("{message} (--delta)")).help(help).into()
        };
        let feeds = job.spec.source.as_tables().map_or(&[][..], |tables| &tables.feeds[..]);
        let now = identities(&session.server, std::slice::from_ref(from)).await?;
        let uuid = now.first().map(|(_, uuid)| *uuid);
        // By its identity: an exchange gives a table another name.
        let known = feeds
            .iter()
            .filter_map(|feed| feed.known.clone())
            .find(|known| Some(known.uuid) == uuid);
        let Some(known) = known else {
            let Some(feed) = feeds.iter().find(|feed| feed.origin == *from) else {
                let message = format!("job {} does not copy {from}", job.id);
                return Err(refuse(message, "name the job that copied this table last"));
            };
            if feed.known.is_some() {
                let message = format!("{from} is another table than job {} copied", job.id);
                return Err(refuse(message, "copy it whole, or name the old table with --from"));
            }
            let message = format!("what {from} held when job {} was planned is not known", job.id);
            return Err(refuse(
                message,
                "only a plan with --snapshot can be followed by a --delta",
            ));
        };
        let engine = SourceEngine::of(&session.server, from).await?;
        Ok(Self { job: job.id, known, engine })
    }
}
