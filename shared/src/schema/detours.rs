//! Ways by which a query reaches a table other than by naming it: plain views, `Merge`, dictionaries,
//! `remote()` of this server.
//!
//! Inside a view a table that is named directly is the inserted block. Reached by a detour it is the
//! whole table, which does not have the rows yet that a load has staged elsewhere.

use std::collections::HashSet;
use std::fmt;

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::reads::{Read, What, dictionary_reads, engine_reads, reads};
use super::table_row::TableRow;
use crate::clickhouse::{Failure, Server, retry_idempotent, uuid_text};
use crate::sql::{self, quote_literal};
use crate::task::TableName;

/// Objects that are looked at for one query. A `Merge` over everything would never end.
const OBJECTS_MAX: usize = 2_000;

/// A way from a query to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detour {
    /// What the way leads over, in order: `shop.totals (View)`, `merge()`.
    pub over: Vec<String>,
    /// The table that it reaches.
    pub table: TableName,
}

impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.over {
            write!(f, "{step} → ")?;
        }
        write!(f, "{}", self.table)
    }
}

/// A table, view or dictionary, with what tells what is read through it.
#[derive(Deserialize, Row)]
pub(super) struct Object {
    database: String,
    name: String,
    pub(super) engine: String,
    pub(super) engine_full: String,
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
    pub(super) create_table_query: String,
    pub(super) as_select: String,
    loading_dependencies_database: Vec<String>,
    loading_dependencies_table: Vec<String>,
}

impl Object {
    pub(super) fn table_name(&self) -> TableName {
        TableName { database: self.database.clone(), table: self.name.clone() }
    }

    /// What a query reads through this object.
    fn reads(&self) -> Vec<Read> {
        let own = |database: &String, table: &String| Read {
            what: What::Name(TableName { database: database.clone(), table: table.clone() }),
            function: None,
            server: None,
        };
        match self.engine.as_str() {
            "View" | "LiveView" | "WindowView" => reads(&self.as_select),
            "MaterializedView" => {
                let target = self.as_row().view_target();
                vec![own(&target.database, &target.table)]
            }
            // The server knows the tables of a dictionary whose source is this very server.
            "Dictionary" if self.engine_full.is_empty() => {
                let tables = self.loading_dependencies_table.iter();
                let local: Vec<Read> = self
                    .loading_dependencies_database
                    .iter()
                    .zip(tables)
                    .map(|(database, table)| own(database, table))
                    .collect();
                if local.is_empty() { dictionary_reads(&self.create_table_query) } else { local }
            }
            engine => engine_reads(engine, &self.engine_full, &self.database),
        }
    }

    fn as_row(&self) -> TableRow {
        TableRow {
            database: self.database.clone(),
            name: self.name.clone(),
            engine: self.engine.clone(),
            uuid: self.uuid,
            create_table_query: self.create_table_query.clone(),
            as_select: self.as_select.clone(),
            dependencies_database: Vec::new(),
            dependencies_table: Vec::new(),
        }
    }
}

#[derive(Deserialize, Row)]
struct Matching {
    database: String,
    name: String,
}

#[derive(Deserialize, Row)]
struct Identity {
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
}

/// Something that is reached, and how.
struct Reached {
    name: TableName,
    way: Way,
}

/// What has been passed.
#[derive(Clone, Default)]
struct Way {
    over: Vec<String>,
    /// Places where another server may have been meant: the call, and the name looked for there.
    servers: Vec<(String, TableName)>,
}

/// The first way by which a text (a query, the definition of a table) reaches one of these tables
/// other than by naming it; none when there is no such way.
///
/// # Errors
/// When the server cannot be asked.
pub async fn find_detour(
    server: &Server,
    text: &str,
    tables: &[TableName],
) -> Result<Option<Detour>, Failure> {
    let mut open = expand(server, &Way::default(), reads(text)).await?;
    // What the text names itself is the inserted block, and no detour.
    open.retain(|reached| !reached.way.over.is_empty() || !tables.contains(&reached.name));
    let mut seen = HashSet::new();
    while !open.is_empty() && seen.len() < OBJECTS_MAX {
        open.retain(|reached| seen.insert((reached.name.clone(), reached.way.servers.len())));
        for reached in open.iter().filter(|reached| tables.contains(&reached.name)) {
            if is_here(server, &reached.way).await? {
                let (over, table) = (reached.way.over.clone(), reached.name.clone());
                return Ok(Some(Detour { over, table }));
            }
        }
        let mut next = Vec::new();
        let names: Vec<&TableName> = open.iter().map(|reached| &reached.name).collect();
        for object in lookup(server, &names).await? {
            let name = object.table_name();
            let found = object.reads();
            if found.is_empty() || tables.contains(&name) {
                continue;
            }
            for reached in open.iter().filter(|reached| reached.name == name) {
                let mut way = reached.way.clone();
                way.over.push(format!("{name} ({})", object.engine));
                next.extend(expand(server, &way, found.clone()).await?);
            }
        }
        open = next;
    }
    Ok(None)
}

/// What is reached by these reads at the end of a way.
async fn expand(server: &Server, way: &Way, found: Vec<Read>) -> Result<Vec<Reached>, Failure> {
    let mut next = Vec::with_capacity(found.len());
    for read in found {
        let names = match read.what {
            What::Name(name) | What::Dictionary(name) | What::Join(name) => vec![name],
            What::Pattern { database, table } => {
                matching(server, database.as_deref().unwrap_or(""), &table).await?
            }
        };
        for name in names {
            let mut way = way.clone();
            way.over.extend(read.function.as_ref().map(|function| format!("{function}()")));
            way.servers.extend(read.server.as_ref().map(|call| (call.clone(), name.clone())));
            next.push(Reached { name, way });
        }
    }
    Ok(next)
}

/// Is it reached on this server? Where that cannot be told, it is taken for yes.
async fn is_here(server: &Server, way: &Way) -> Result<bool, Failure> {
    for (call, name) in &way.servers {
        let own = lookup(server, &[name]).await?.pop().map(|object| object.uuid);
        let text = format!(
            "SELECT toString(uuid) AS uuid FROM {call} \
             WHERE database = {} AND name = {}",
            quote_literal(&name.database),
            quote_literal(&name.table)
        );
        let there = server.call_text("detour_server", text).fetch_optional::<Identity>().await;
        match there {
            Ok(there) if there.as_ref().map(|there| there.uuid) != own => return Ok(false),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(true)
}

async fn matching(server: &Server, database: &str, table: &str) -> Result<Vec<TableName>, Failure> {
    let call = || server.call(sql::LIST_MATCHING).param("database", database);
    let found: Vec<Matching> =
        retry_idempotent(|| call().param("table", table).fetch_all()).await?;
    let name = |row: Matching| TableName { database: row.database, table: row.name };
    Ok(found.into_iter().map(name).collect())
}

/// What of these names there is.
pub(super) async fn lookup(server: &Server, names: &[&TableName]) -> Result<Vec<Object>, Failure> {
    let names: HashSet<&&TableName> = names.iter().collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&TableName> = names.into_iter().copied().collect();
    retry_idempotent(|| server.call(sql::LIST_REACHED).tables(&names).fetch_all()).await
}
