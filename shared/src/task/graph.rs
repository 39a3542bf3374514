//! The target of a job, the views that depend on it, and their targets.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use uuid::Uuid;

use super::{Shadow, TableName};

/// A column as in `system.columns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type.
    pub r#type: String,
    /// Empty, `DEFAULT`, `MATERIALIZED`, `ALIAS` or `EPHEMERAL`.
    pub default_kind: String,
}

impl Column {
    /// Can an INSERT name it?
    pub fn is_insertable(&self) -> bool {
        matches!(self.default_kind.as_str(), "" | "DEFAULT" | "EPHEMERAL")
    }
}

/// The plan does not say which table of this name it means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan does not hold the UUID of {0}")]
pub struct UnknownUuid(pub TableName);

/// A table that rows of the job end in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphTable {
    /// Its name.
    pub name: TableName,
    /// Its UUID: a table that was dropped and made again is another. None where plans are
    /// compared: an exchange, or another server, makes it another and the plan the same.
    #[serde(with = "uuid_or_empty")]
    pub uuid: Option<Uuid>,
    /// Its engine.
    pub engine: String,
    /// The server's text of its definition.
    pub definition: String,
    /// The views that fire on it, sorted.
    pub dependents: Vec<TableName>,
    /// The table that is filled in its place until the last task publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
}

/// Is this the engine of tables that several servers hold, each all of their rows?
pub fn is_replicated_engine(engine: &str) -> bool {
    engine.starts_with("Replicated") || engine.starts_with("Shared")
}

impl GraphTable {
    /// Does it keep rows that have to be moved? (`Null` only feeds views.)
    pub fn keeps_rows(&self) -> bool {
        self.engine != "Null"
    }

    /// Do several servers hold it, each all of its rows?
    pub fn is_replicated(&self) -> bool {
        is_replicated_engine(&self.engine)
    }

    /// The table that tasks move their rows into: its shadow, if it has one.
    pub fn destination(&self) -> &TableName {
        self.shadow.as_ref().map_or(&self.name, |shadow| &shadow.name)
    }

    /// UUID of the destination as it was planned.
    ///
    /// # Errors
    /// When it is not known.
    pub fn destination_uuid(&self) -> Result<Uuid, UnknownUuid> {
        self.shadow.as_ref().map_or_else(|| self.own_uuid(), |shadow| Ok(shadow.uuid))
    }

    /// UUID of the table itself, whatever is filled in its place.
    ///
    /// # Errors
    /// When it is not known: nothing is moved or exchanged by an identity that is not there.
    pub fn own_uuid(&self) -> Result<Uuid, UnknownUuid> {
        self.uuid.ok_or_else(|| UnknownUuid(self.name.clone()))
    }
}

/// A plan's text of a UUID that may not be known: it is empty then.
mod uuid_or_empty {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    #[allow(clippy::ref_option)] // As serde asks for it.
    pub(super) fn serialize<S: Serializer>(
        uuid: &Option<Uuid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match uuid {
            Some(uuid) => serializer.collect_str(uuid),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        Uuid::parse_str(&text).map(Some).map_err(D::Error::custom)
    }
}

/// A materialized view of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphView {
    /// Its name.
    pub name: TableName,
    /// The table it fires on.
    pub source: TableName,
    /// The table it writes to (the inner table of a view without `TO`).
    pub target: TableName,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The server's text of its SELECT, names qualified.
    pub select: String,
    /// Its query gives columns that its target does not take. The server fires such a view, and
    /// leaves those columns out, but it would not create it again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gives_more: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks for it.
fn is_false(value: &bool) -> bool {
    !value
}

/// Everything that a row of the target ends in. The target is the first table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// The tables, the target first.
    pub tables: Vec<GraphTable>,
    /// The views, sources before the views on their targets.
    pub views: Vec<GraphView>,
}

impl Graph {
    /// The target of the job.
    pub fn base(&self) -> &GraphTable {
        &self.tables[0]
    }

    /// Is every table replicated? Then any replica may fill it, and each holds all rows.
    pub fn is_replicated(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(GraphTable::is_replicated)
    }

    /// Position of a table.
    pub fn position(&self, name: &TableName) -> Option<usize> {
        self.tables.iter().position(|table| table.name == *name)
    }
}
