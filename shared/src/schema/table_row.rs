//! A row of `system.tables`, and what is read off it.

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::tokens::{Kind, tokens};
use crate::clickhouse::uuid_text;
use crate::task::{GraphTable, TableName};

/// A table or view as the server describes it.
#[derive(Debug, Clone, Deserialize, Row)]
pub(super) struct TableRow {
    pub(super) database: String,
    pub(super) name: String,
    pub(super) engine: String,
    #[serde(deserialize_with = "uuid_text")]
    pub(super) uuid: Uuid,
    pub(super) create_table_query: String,
    pub(super) as_select: String,
    pub(super) dependencies_database: Vec<String>,
    pub(super) dependencies_table: Vec<String>,
}

impl TableRow {
    pub(super) fn table_name(&self) -> TableName {
        TableName { database: self.database.clone(), table: self.name.clone() }
    }

    pub(super) fn is_called(&self, name: &TableName) -> bool {
        self.database == name.database && self.name == name.table
    }

    pub(super) fn dependents(&self) -> Vec<TableName> {
        let mut dependents: Vec<TableName> = self
            .dependencies_database
            .iter()
            .zip(&self.dependencies_table)
            .map(|(database, table)| TableName { database: database.clone(), table: table.clone() })
            .collect();
        dependents.sort();
        dependents
    }

    pub(super) fn to_table(&self) -> GraphTable {
        GraphTable {
            name: self.table_name(),
            uuid: Some(self.uuid),
            engine: self.engine.clone(),
            definition: self.create_table_query.clone(),
            dependents: self.dependents(),
            shadow: None,
        }
    }

    /// The table after `TO`, or the inner table. Parsed from the definition, because
    /// `system.tables` names the target in recent versions only.
    pub(super) fn view_target(&self) -> TableName {
        let all = tokens(&self.create_table_query);
        let solid: Vec<_> = all.iter().filter(|token| token.kind != Kind::Gap).collect();
        // CREATE MATERIALIZED VIEW db.name [UUID '…'] TO db.table (…) …: `TO` stands before any bracket.
        let head = solid.iter().take_while(|token| !token.is_symbol('('));
        for (at, token) in head.enumerate().skip(6) {
            if token.is_keyword("TO")
                && let [Some(database), Some(dot), Some(table)] =
                    [solid.get(at + 1), solid.get(at + 2), solid.get(at + 3)]
                && dot.is_symbol('.')
                && let (Some(database), Some(table)) = (database.name(), table.name())
            {
                return TableName { database: database.to_owned(), table: table.to_owned() };
            }
        }
        let inner = if self.uuid.is_nil() {
            format!(".inner.{}", self.name)
        } else {
            format!(".inner_id.{}", self.uuid)
        };
        TableName { database: self.database.clone(), table: inner }
    }
}
