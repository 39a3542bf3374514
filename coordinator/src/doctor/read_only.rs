//! Replicated targets that take no rows: a worker waits for them, and some wait for a person.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::replicas::ReplicatedTable;
use longshore_shared::sql;
use longshore_shared::task::{Job, TableName};
use serde::Deserialize;

use super::Finding;
use crate::session::Session;
use crate::ui::error::Error;

const CHECK: &str = "read-only";

#[derive(Deserialize, Row)]
struct Refusal {
    words: String,
}

/// The targets of a job on each of its servers.
pub(crate) async fn of_job(session: &Session, job: &Job) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (shard, server) in session.reach_all(job).await? {
        let spec = if job.spec.is_sharded() { job.spec.on(shard) } else { job.spec.clone() };
        for table in spec.graph.tables.iter().filter(|table| table.is_replicated()) {
            let now = ReplicatedTable::read(&server, &table.name).await?;
            if now.is_some_and(|now| now.is_readonly) {
                found.push(told(&server, &table.name).await);
            }
        }
    }
    Ok(found)
}

async fn told(server: &Server, table: &TableName) -> Finding {
    let url = &server.connection().url;
    let finding = match refusal(server, table).await {
        Ok(Some(refusal)) => Finding::problem(
            CHECK,
            format!("{table} on {url} is read-only: {}", refusal.words),
            "the server was killed while it published, and found more rows on its disk than Keeper knows. Set \
             <merge_tree><replicated_max_ratio_of_wrong_parts>1</replicated_max_ratio_of_wrong_parts></merge_tree> \
             in its configuration and restart ClickHouse: it puts such parts aside in `detached`, and workers publish \
             their rows again. Not flags/force_restore_data: the parts would stay on this replica alone \
             (docs/replicas.md, A target stays read-only)",
        ),
        Ok(None) | Err(_) => Finding::warning(
            CHECK,
            format!("{table} on {url} is read-only: workers wait for it"),
            "after a start of ClickHouse or an outage of Keeper that ends by itself. If it stays: does the server's \
             log say `doesn't look like the set of parts in ZooKeeper`? Then see docs/replicas.md, A target stays \
             read-only",
        ),
    };
    finding.about(table.to_string())
}

/// What the server said when it did not start the table. This user may not be allowed to read it.
async fn refusal(server: &Server, table: &TableName) -> Result<Option<Refusal>, Failure> {
    let call = || server.call(sql::REFUSED_PARTS).param("database", &table.database);
    retry_idempotent(|| call().param("table", &table.table).fetch_optional()).await
}
