//! Zero-copy replication: replicas share the files of a part on a remote disk, and count in Keeper who
//! still uses them. A MOVE between tables shares them once more, between two tables.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::schema::{Graph, GraphTable, own_setting};
use longshore_shared::sql;
use serde::Deserialize;

use crate::ui::error::{Error, Kind, Report};

/// Setting of a table, or of all replicated tables of a server.
const ZERO_COPY: &str = "allow_remote_fs_zero_copy_replication";

#[derive(Deserialize, Row)]
struct Value {
    value: String,
}

#[derive(Deserialize, Row)]
struct Disk {
    name: String,
}

/// Refuses a graph of which a replicated table shares its files between replicas.
pub(crate) async fn refuse(server: &Server, graph: &Graph) -> Result<(), Error> {
    for table in graph.tables.iter().filter(|table| table.is_replicated()) {
        if !is_on(server, table).await? {
            continue;
        }
        let call = || server.call(sql::LIST_REMOTE_DISKS).param("database", &table.name.database);
        let call = || call().param("table", &table.name.table).fetch_all();
        let disks: Vec<Disk> = retry_idempotent(call).await?;
        let Some(disk) = disks.first() else { continue };
        let message = format!(
            "{} uses zero-copy replication: its replicas share the files on the disk {}. Longshore does not load \
             such a table, because nobody has shown that a MOVE keeps shared files safe when a server dies",
            table.name, disk.name
        );
        let help = format!(
            "load into a table with SETTINGS {ZERO_COPY} = 0, or use --mode direct, which moves no parts and has \
             a weaker guarantee"
        );
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    Ok(())
}

/// Would a replica of this table take over files instead of copying them?
async fn is_on(server: &Server, table: &GraphTable) -> Result<bool, Error> {
    let own = own_setting(&table.definition, ZERO_COPY);
    let value = if own.is_some() {
        own
    } else {
        let call = || server.call(sql::REPLICATED_DEFAULT).param("name", ZERO_COPY);
        let found: Option<Value> = retry_idempotent(|| call().fetch_optional()).await?;
        found.map(|found| found.value)
    };
    // The server writes 1, or true as the user did.
    Ok(value.is_some_and(|value| matches!(value.trim_matches('\''), "1" | "true")))
}
