//! What a job fills: the whole graph of a staged load, or the target alone of a direct one.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::schema::{Graph, GraphTable, discover, discover_alone, find_detour};
use longshore_shared::sql;
use longshore_shared::task::{Mode, Publish, TableName};
use serde::Deserialize;

use super::expiry::expiry_notes;
use super::rehearse::rehearse;
use super::{shadow, zero_copy};
use crate::grants::dictionaries;
use crate::ui::error::{Error, Kind, Report};

/// Server-wide setting of tables that do not set it themselves.
const WINDOW: &str = "non_replicated_deduplication_window";

#[derive(Deserialize, Row)]
struct Default {
    value: String,
}

/// The graph of a target, and what the user should know of it. A staged load is rehearsed.
pub(crate) async fn target(
    server: &Server,
    name: &TableName,
    mode: Mode,
    publishing: Publish,
    ignored: &[TableName],
) -> Result<(Graph, Vec<String>), Error> {
    match mode {
        Mode::Staged => {
            let mut graph = discover(server, name, ignored).await?;
            zero_copy::refuse(server, &graph).await?;
            let mut notes = shadow::leave_views(&mut graph, publishing);
            notes.extend(rehearse(server, &mut graph).await?);
            shadow::rehearse(server, &graph, publishing).await?;
            notes.extend(told(server, &graph).await?);
            Ok((graph, notes))
        }
        Mode::Direct if !publishing.is_append() => {
            let message = "--mode direct writes into the target itself: it can only append";
            Err(Report::new(Kind::Usage, message)
                .help("leave --mode staged, or --publish append")
                .into())
        }
        Mode::Direct => {
            let graph = discover_alone(server, name).await?;
            let guarantee = guarantee(server, graph.base()).await?;
            if let Guarantee::None { refused: true, .. } = guarantee {
                let message = format!(
                    "{name} does not deduplicate inserts: a chunk that is interrupted would be there twice"
                );
                let help = format!(
                    "leave --mode staged (exactly once), or ALTER TABLE {} MODIFY SETTING {WINDOW} = 10000",
                    name.quoted()
                );
                return Err(Report::new(Kind::Usage, message).help(help).into());
            }
            let mut notes = vec![guarantee.words(name)];
            notes.extend(told(server, &graph).await?);
            if !graph.base().dependents.is_empty() {
                notes.push(format!(
                    "the server fires the views of {name}; they are not staged, so readers see \
                     their rows before the chunk is complete"
                ));
            }
            Ok((graph, notes))
        }
    }
}

/// What the tables and views of a graph do to rows, or ask for, without being in the way of a plan.
pub(crate) async fn told(server: &Server, graph: &Graph) -> Result<Vec<String>, Error> {
    let mut notes = expiry_notes(graph);
    if let Some(table) = graph.tables.iter().find(|table| table.is_replicated()) {
        notes.push(format!(
            "{} is replicated: this server loads it, and the other replicas fetch what is published. The job is \
             completed when this server has every row (--replicas-wait all waits for the others too)",
            table.name
        ));
    }
    let names: Vec<TableName> = graph.tables.iter().map(|table| table.name.clone()).collect();
    for table in &graph.tables {
        if let Some(detour) = find_detour(server, &table.definition, &names).await? {
            notes.push(format!(
                "columns of {} look into {}, which this job fills ({detour}): they see the rows that \
                 are published by then",
                table.name, detour.table
            ));
        }
    }
    let needs = dictionaries::graph_needs(server, graph).await?;
    notes.extend(dictionaries::notes(server, &needs.dictionaries).await?);
    Ok(notes)
}

/// What keeps a chunk that is sent twice from being in the target twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// The tokens of the last so many blocks are remembered by the server alone.
    Window(u64),
    /// Tokens are in Keeper, for a time and a number of blocks.
    Replicated,
    /// Nothing. Refused where staging is possible.
    None {
        engine: String,
        /// A MergeTree that could be staged, or could remember tokens.
        refused: bool,
    },
}

impl Guarantee {
    /// In words, for a plan and for `doctor`.
    pub(crate) fn words(&self, table: &TableName) -> String {
        match self {
            Self::Window(blocks) => format!(
                "direct mode is weaker than staged: {table} drops a repeated chunk only while it is \
                 among its last {blocks} blocks, and a server that is killed may remember a chunk \
                 that is not on its disk (4 of 360 kills)"
            ),
            Self::Replicated => format!(
                "direct mode is weaker than staged: {table} drops a repeated chunk only while its \
                 replicas remember it (10,000 blocks or an hour unless set otherwise)"
            ),
            Self::None { engine, .. } => format!(
                "direct mode into {table} ({engine}) is at least once: a chunk that is interrupted \
                 is loaded again from its beginning, and what arrived before stays"
            ),
        }
    }
}

/// What a table of this engine and these settings remembers.
pub(crate) async fn guarantee(server: &Server, table: &GraphTable) -> Result<Guarantee, Error> {
    let engine = table.engine.clone();
    if !engine.ends_with("MergeTree") {
        return Ok(Guarantee::None { engine, refused: false });
    }
    if engine.starts_with("Replicated") || engine.starts_with("Shared") {
        return Ok(Guarantee::Replicated);
    }
    let own = own_window(&table.definition);
    let blocks = if let Some(blocks) = own {
        blocks
    } else {
        let call = || server.call(sql::MERGE_TREE_DEFAULT).param("name", WINDOW);
        let found: Option<Default> = retry_idempotent(|| call().fetch_optional()).await?;
        found.and_then(|found| found.value.parse().ok()).unwrap_or(0)
    };
    Ok(if blocks == 0 {
        Guarantee::None { engine, refused: true }
    } else {
        Guarantee::Window(blocks)
    })
}

/// `non_replicated_deduplication_window = N` in a table's own settings.
fn own_window(definition: &str) -> Option<u64> {
    let rest = definition.split(&format!("{WINDOW} = ")).nth(1)?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::own_window;

    #[test]
    fn reads_a_tables_own_window() {
        let text = "CREATE TABLE a (x) ENGINE = MergeTree SETTINGS non_replicated_deduplication_window = 100, index_granularity = 1";
        assert_eq!(own_window(text), Some(100));
        assert_eq!(own_window("CREATE TABLE a"), None);
    }
}
