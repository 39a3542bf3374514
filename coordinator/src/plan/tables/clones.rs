//! Snapshots that are known to be of one state of their source.

use longshore_shared::clickhouse::{Code, Server};
use longshore_shared::schema::changes;
use longshore_shared::sql;
use longshore_shared::task::TableName;
use uuid::Uuid;

use super::snapshot;
use crate::plan::cut::{ListedPart, content, list_parts};
use crate::plan::unfinished::refuse_unfinished;
use crate::ui::error::{Error, Kind, Report};

/// A table that changes between two looks is looked at again.
const TRIES: u32 = 20;

/// A clone without a name yet: `gc` removes it when its plan was given up.
pub(crate) struct Clone {
    pub(crate) table: TableName,
    /// The parts that the source had at that moment.
    pub(crate) parts: Vec<ListedPart>,
}

/// Clones a table as of a moment whose parts are known.
pub(crate) async fn clone_of(server: &Server, source: &TableName) -> Result<Clone, Error> {
    for _ in 0..TRIES {
        let before = refuse_unfinished(server, source).await?;
        let parts = list_parts(server, source).await?;
        let unnamed = format!("rehearsal_{}_snapshot", &Uuid::new_v4().simple().to_string()[..12]);
        let table = snapshot::make(server, source, &unnamed).await?;
        let is_same = content(&list_parts(server, &table).await?) == content(&parts);
        if is_same && !before.has_new(&changes(server, source).await?) {
            return Ok(Clone { table, parts });
        }
        // A merge, an INSERT or a mutation came in between.
        snapshot::drop(server, &unnamed).await?;
    }
    let message = format!("the parts of {source} change faster than they can be linked");
    Err(Report::new(Kind::Conflict, message).help("try again in a quieter moment").into())
}

impl Clone {
    /// Gives the clone its name, or takes the one that has it already: a plan with this identity
    /// was being made before, of the same rows.
    pub(crate) async fn name(self, server: &Server, name: &str) -> Result<TableName, Error> {
        let database = self.table.database;
        let call = server.call(sql::RENAME_TABLE).name("database", &database);
        match call.name("from", &self.table.table).name("to", name).execute().await {
            Err(failure) if failure.code() == Some(Code::TABLE_ALREADY_EXISTS) => {
                snapshot::drop(server, &self.table.table).await?;
            }
            renamed => std::mem::drop(renamed?),
        }
        Ok(TableName { database, table: name.to_owned() })
    }
}
