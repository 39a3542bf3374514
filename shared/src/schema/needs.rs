//! What a user must be allowed to read so that queries and column expressions can be run.

use std::collections::BTreeSet;

use super::detours::lookup;
use super::reads::{What, reads};
use crate::clickhouse::{Failure, Server};
use crate::task::TableName;

/// Plain views in plain views, at most.
const DEPTH_MAX: usize = 20;

/// Tables and dictionaries that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tables and views: `SELECT`.
    pub tables: BTreeSet<TableName>,
    /// Dictionaries: `dictGet`.
    pub dictionaries: BTreeSet<TableName>,
}

/// What these texts read, also by plain views, which read as the user who asks. Queries,
/// expressions and definitions of tables are such texts.
///
/// # Errors
/// When the server cannot be asked.
pub async fn needs(server: &Server, texts: &[&str]) -> Result<Needs, Failure> {
    let mut found = Needs::default();
    let mut open: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let mut seen: BTreeSet<TableName> = BTreeSet::new();
    for _ in 0..DEPTH_MAX {
        let mut names = BTreeSet::new();
        // What another server reads is for its own user to be allowed.
        for read in open.iter().flat_map(|text| reads(text)).filter(|read| read.server.is_none()) {
            match read.what {
                What::Dictionary(name) => {
                    found.dictionaries.insert(name);
                }
                What::Name(name) | What::Join(name) => {
                    names.insert(name);
                }
                What::Pattern { .. } => {}
            }
        }
        names.retain(|name| seen.insert(name.clone()));
        if names.is_empty() {
            break;
        }
        open.clear();
        // A column of an alias looks like a table; only tables are in the answer.
        for object in lookup(server, &names.iter().collect::<Vec<_>>()).await? {
            let name = object.table_name();
            match object.engine.as_str() {
                "Dictionary" if object.engine_full.is_empty() => {
                    found.dictionaries.insert(name.clone());
                }
                "View" if !object.create_table_query.contains("SQL SECURITY DEFINER") => {
                    open.push(object.as_select);
                }
                _ => {}
            }
            found.tables.insert(name);
        }
    }
    Ok(found)
}

/// The plain views that a query reads, and those that they read, with their queries.
///
/// # Errors
/// When the server cannot be asked.
pub async fn plain_views(
    server: &Server,
    select: &str,
) -> Result<Vec<(TableName, String)>, Failure> {
    let mut found: Vec<(TableName, String)> = Vec::new();
    let mut open = vec![select.to_owned()];
    while let Some(text) = open.pop() {
        let names: BTreeSet<TableName> = reads(&text)
            .into_iter()
            .filter(|read| read.server.is_none())
            .filter_map(|read| match read.what {
                What::Name(name) => Some(name),
                _ => None,
            })
            .filter(|name| !found.iter().any(|(known, _)| known == name))
            .collect();
        for object in lookup(server, &names.iter().collect::<Vec<_>>()).await? {
            if object.engine == "View" {
                found.push((object.table_name(), object.as_select.clone()));
                open.push(object.as_select);
            }
        }
    }
    Ok(found)
}
