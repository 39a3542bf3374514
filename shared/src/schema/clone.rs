//! The CREATE statements of a staging set: twins of the tables, clones of the views.

use super::rewrite::{RewriteError, rewrite_source};
use super::twin::{twin_engine, unreplicated_engine};
use crate::clickhouse::{Call, Server};
use crate::planted::{Bug, planted};
use crate::sql::{quote_identifier, quote_table};
use crate::task::{Epoch, Graph, TableName, TaskId};

/// Characters of a target's name that a staging name shows to people.
const LABEL_CHARS: usize = 40;

/// Settings of a staging twin, whatever the target has. A twin lives for one attempt and only
/// gives its parts away, so nothing may merge, deduplicate or expire in it.
const TWIN_SETTINGS: [(&str, &str); 8] = [
    // Every staged part gets an identity of its own (ENGINE L).
    ("assign_part_uuids", "1"),
    // An inherited window drops identical inserts silently (ENGINE A).
    ("non_replicated_deduplication_window", "0"),
    ("replicated_deduplication_window", "0"),
    // No merges, over restarts too: the manifest names parts.
    ("max_bytes_to_merge_at_max_space_in_pool", "1"),
    ("max_bytes_to_merge_at_min_space_in_pool", "1"),
    ("max_number_of_merges_with_ttl_in_pool", "0"),
    // Staged parts may be many for a moment; they are not merged here.
    ("parts_to_throw_insert", "100000"),
    ("max_parts_in_total", "1000000"),
];

/// Settings of a snapshot: nothing merges or expires in it, and its index holds all key columns. Those of
/// `sql/create_snapshot.sql`.
const SNAPSHOT_SETTINGS: [(&str, &str); 4] = [
    ("max_bytes_to_merge_at_max_space_in_pool", "1"),
    ("max_bytes_to_merge_at_min_space_in_pool", "1"),
    ("max_number_of_merges_with_ttl_in_pool", "0"),
    ("primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns", "1"),
];

/// The names of one staging set.
#[derive(Debug, Clone)]
pub struct StagingNames {
    database: String,
    prefix: String,
}

impl StagingNames {
    /// The set of one epoch of a task.
    pub fn of_task(database: &str, task: &TaskId, epoch: Epoch) -> Self {
        Self { database: database.to_owned(), prefix: task.staging_set(epoch) }
    }

    /// A set that belongs to no task, for the planner's rehearsal.
    pub fn rehearsal(database: &str, mark: &str) -> Self {
        Self { database: database.to_owned(), prefix: format!("rehearsal_{mark}_") }
    }

    /// What all names of the set begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The part of a twin's name that stays when a take-over renames it.
    pub fn suffix(graph: &Graph, position: usize) -> String {
        format!("{position}_{}", label(&graph.tables[position].name.table))
    }

    /// The twin of a table of the graph.
    pub fn table(&self, graph: &Graph, position: usize) -> TableName {
        self.named(&Self::suffix(graph, position))
    }

    /// A twin by the part of its name that stays.
    pub fn named(&self, suffix: &str) -> TableName {
        TableName { database: self.database.clone(), table: format!("{}{suffix}", self.prefix) }
    }

    /// The clone of a view of the graph.
    pub fn view(&self, graph: &Graph, position: usize) -> TableName {
        self.named(&format!("v{position}_{}", label(&graph.views[position].name.table)))
    }
}

fn label(name: &str) -> String {
    name.chars()
        .filter(|symbol| symbol.is_ascii_alphanumeric() || *symbol == '_')
        .take(LABEL_CHARS)
        .collect()
}

/// Lets a view be made whose columns are not those of its target.
const AS_IT_STANDS: &str = "allow_materialized_view_with_bad_select";

/// A statement that makes a table or view of a staging set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Its text.
    pub text: String,
    /// The view is one that the server fires and would not make again.
    as_it_stands: bool,
}

impl Creation {
    fn plain(text: String) -> Self {
        Self { text, as_it_stands: false }
    }

    /// The statement on its way to the server.
    pub fn call<'a>(&self, server: &'a Server, name: &'static str) -> Call<'a> {
        let call = server.call_text(name, self.text.clone()).types_of_others();
        if self.as_it_stands { call.setting(AS_IT_STANDS, 1) } else { call }
    }
}

/// The statements that make a staging set, in order: twins first, then the clones.
///
/// # Errors
/// When a view's SELECT cannot be rewritten; the view is named.
pub fn create_statements(
    graph: &Graph,
    names: &StagingNames,
) -> Result<Vec<Creation>, (TableName, RewriteError)> {
    let mut statements = Vec::with_capacity(graph.tables.len() + graph.views.len());
    for (position, table) in graph.tables.iter().enumerate() {
        let twin = names.table(graph, position).quoted();
        let mut statement = format!("CREATE TABLE {twin} AS {}", table.name.quoted());
        if table.keeps_rows() {
            let skipped = |name| name == "assign_part_uuids" && planted(Bug::HashesAsSet);
            let own: Vec<(&str, &str)> =
                TWIN_SETTINGS.iter().copied().filter(|(name, _)| !skipped(*name)).collect();
            let engine = twin_engine(&table.definition, &names.database, &own);
            let engine = engine.unwrap_or_else(|| settings_only(&own));
            statement = format!("{statement} {engine}");
        }
        statements.push(Creation::plain(statement));
    }
    for (position, view) in graph.views.iter().enumerate() {
        let twin_of = |name: &TableName| {
            graph
                .position(name)
                .map(|position| names.table(graph, position))
                .ok_or_else(|| (view.name.clone(), RewriteError::NotRead(name.clone())))
        };
        let (source, target) = (twin_of(&view.source)?, twin_of(&view.target)?);
        let select = rewrite_source(&view.select, &view.source, &source)
            .map_err(|error| (view.name.clone(), error))?;
        let columns: Vec<String> = view
            .columns
            .iter()
            .map(|column| format!("{} {}", quote_identifier(&column.name), column.r#type))
            .collect();
        let clone = names.view(graph, position);
        let text = format!(
            "CREATE MATERIALIZED VIEW {} TO {} ({}) AS {select}",
            quote_table(&clone.database, &clone.table),
            target.quoted(),
            columns.join(", "),
        );
        statements.push(Creation { text, as_it_stands: view.gives_more });
    }
    Ok(statements)
}

/// The statement that drops the tables and views of [`create_statements`]. One that is missing is no error. Views
/// are dropped before the tables that they read and fill. `DROP TABLE` drops views too, and needs the grant DROP
/// VIEW for them (25.8, 26.7).
#[must_use]
pub fn drop_statement(graph: &Graph, names: &StagingNames) -> String {
    let views = (0..graph.views.len()).map(|at| names.view(graph, at));
    let tables = (0..graph.tables.len()).map(|at| names.table(graph, at));
    let all: Vec<String> = views.chain(tables).map(|name| name.quoted()).collect();
    format!("DROP TABLE IF EXISTS {} SYNC", all.join(", "))
}

/// The statement that makes an empty snapshot of a replicated table: a table of this server alone. None for
/// other tables, whose engine the server keeps.
#[must_use]
pub fn snapshot_of_replicated(
    source: &TableName,
    definition: &str,
    snapshot: &TableName,
) -> Option<Creation> {
    let engine = unreplicated_engine(definition, &SNAPSHOT_SETTINGS)?;
    let text = format!("CREATE TABLE {} AS {} {engine}", snapshot.quoted(), source.quoted());
    Some(Creation::plain(text))
}

/// For a definition that cannot be taken apart: the server keeps the engine, from 26 on.
fn settings_only(own: &[(&str, &str)]) -> String {
    let settings: Vec<String> =
        own.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("SETTINGS {}", settings.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, GraphTable, GraphView};

    fn table(name: &str) -> GraphTable {
        GraphTable {
            name: name.parse().unwrap(),
            uuid: None,
            engine: "MergeTree".into(),
            definition: String::new(),
            dependents: Vec::new(),
            shadow: None,
        }
    }

    #[test]
    fn the_statements_of_a_chain_of_two_views() {
        let column =
            Column { name: "d".into(), r#type: "Date".into(), default_kind: String::new() };
        let view = |name: &str, source: &str, target: &str, select: &str| GraphView {
            name: name.parse().unwrap(),
            source: source.parse().unwrap(),
            target: target.parse().unwrap(),
            columns: vec![column.clone()],
            select: select.into(),
            gives_more: false,
        };
        let graph = Graph {
            tables: vec![table("db.base"), table("db.`tägl ich`"), table("db.total")],
            views: vec![
                view("db.v1", "db.base", "db.`tägl ich`", "SELECT d FROM db.base"),
                view("db.v2", "db.`tägl ich`", "db.total", "SELECT d FROM db.`tägl ich` AS t"),
            ],
        };
        let task: TaskId = "0123456789abcdef-7".parse().unwrap();
        let names = StagingNames::of_task("stage", &task, Epoch(2));
        let statements = create_statements(&graph, &names).unwrap();
        let texts: Vec<String> = statements.into_iter().map(|made| made.text).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        CREATE TABLE `stage`.`0123456789abcdef_0000007_e2_0_base` AS `db`.`base` SETTINGS assign_part_uuids = 1, non_replicated_deduplication_window = 0, replicated_deduplication_window = 0, max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1, max_number_of_merges_with_ttl_in_pool = 0, parts_to_throw_insert = 100000, max_parts_in_total = 1000000
        CREATE TABLE `stage`.`0123456789abcdef_0000007_e2_1_tglich` AS `db`.`tägl ich` SETTINGS assign_part_uuids = 1, non_replicated_deduplication_window = 0, replicated_deduplication_window = 0, max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1, max_number_of_merges_with_ttl_in_pool = 0, parts_to_throw_insert = 100000, max_parts_in_total = 1000000
        CREATE TABLE `stage`.`0123456789abcdef_0000007_e2_2_total` AS `db`.`total` SETTINGS assign_part_uuids = 1, non_replicated_deduplication_window = 0, replicated_deduplication_window = 0, max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1, max_number_of_merges_with_ttl_in_pool = 0, parts_to_throw_insert = 100000, max_parts_in_total = 1000000
        CREATE MATERIALIZED VIEW `stage`.`0123456789abcdef_0000007_e2_v0_v1` TO `stage`.`0123456789abcdef_0000007_e2_1_tglich` (`d` Date) AS SELECT d FROM `stage`.`0123456789abcdef_0000007_e2_0_base` AS `base`
        CREATE MATERIALIZED VIEW `stage`.`0123456789abcdef_0000007_e2_v1_v2` TO `stage`.`0123456789abcdef_0000007_e2_2_total` (`d` Date) AS SELECT d FROM `stage`.`0123456789abcdef_0000007_e2_1_tglich` AS t
        ");
    }
}
