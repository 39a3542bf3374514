//! What a load needs besides tables: `dictGet` on the dictionaries that views and columns use.

use longshore_shared::clickhouse::{Failure, Server};
use longshore_shared::schema::{Graph, Needs, firing_select, needs};
use longshore_shared::task::{JobSpec, TableName};

use super::list::name;
use super::may::may;

/// What the views and the column expressions of a graph read.
pub(crate) async fn graph_needs(server: &Server, graph: &Graph) -> Result<Needs, Failure> {
    of_texts(server, graph, &[]).await
}

/// The same with what a plan itself reads: queries of replayed views, `--select`, `--where`.
pub(crate) async fn spec_needs(server: &Server, spec: &JobSpec) -> Result<Needs, Failure> {
    let feeds = spec.source.as_tables().map(|tables| tables.feeds.as_slice()).unwrap_or_default();
    let views = feeds.iter().filter_map(|feed| feed.view.as_ref());
    let mut texts: Vec<&str> = views.map(|view| view.select.as_str()).collect();
    texts.extend([spec.select.as_str(), spec.filter.as_str()]);
    of_texts(server, &spec.graph, &texts).await
}

async fn of_texts(server: &Server, graph: &Graph, more: &[&str]) -> Result<Needs, Failure> {
    let selects: Vec<String> = graph.views.iter().map(|view| firing_select(&view.select)).collect();
    let mut texts: Vec<&str> = selects.iter().map(String::as_str).collect();
    texts.extend(graph.tables.iter().map(|table| table.definition.as_str()));
    texts.extend(more);
    let mut found = needs(server, &texts).await?;
    found.tables.retain(|table| graph.position(table).is_none());
    Ok(found)
}

/// A grant that this user lacks, and what it is for.
pub(crate) struct Lacking {
    /// In words.
    pub(crate) message: String,
    /// The statement.
    pub(crate) grant: String,
}

/// The dictionaries that this user may not read.
pub(crate) async fn lacking<'a>(
    server: &Server,
    dictionaries: impl IntoIterator<Item = &'a TableName>,
) -> Result<Vec<Lacking>, Failure> {
    let user = &server.connection().user;
    let mut found = Vec::new();
    for dictionary in dictionaries {
        let on = dictionary.to_string();
        if !may(server, "dictGet", &on).await? {
            found.push(Lacking {
                message: format!(
                    "views or columns of this load use the dictionary {on}, and user `{user}` has \
                     no right to read it"
                ),
                grant: format!("GRANT dictGet ON {on} TO {}", name(user)),
            });
        }
    }
    Ok(found)
}

/// The same as notes of a plan: the workers may have a user of their own.
pub(crate) async fn notes<'a>(
    server: &Server,
    dictionaries: impl IntoIterator<Item = &'a TableName>,
) -> Result<Vec<String>, Failure> {
    let found = lacking(server, dictionaries).await?;
    let note = |Lacking { message, grant }| {
        format!("{message}: loads fail until the user of the workers has it ({grant})")
    };
    Ok(found.into_iter().map(note).collect())
}
