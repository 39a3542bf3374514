//! What a target fills, as a tree, and what of it cannot be staged.

use std::collections::BTreeSet;

use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::schema::{
    Graph, GraphError, StagingNames, check_drift, create_statements, discover,
};
use longshore_shared::task::{JobSpec, TableName};
use serde::Serialize;

use super::{Finding, Level, or_unseen, unseen};
use crate::grants::dictionaries;
use crate::ui::text;

const CHECK: &str = "views";

/// A table and the views that fire on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TableNode {
    table: String,
    engine: String,
    views: Vec<ViewNode>,
}

/// A view and the table it fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ViewNode {
    view: String,
    fills: TableNode,
}

/// The graph of a target, and whether it can be staged.
pub(crate) async fn check(
    server: &Server,
    target: &TableName,
    config: &Config,
) -> (Option<Graph>, Vec<Finding>) {
    let graph = match discover(server, target, &[]).await {
        Ok(graph) => graph,
        Err(error) => return (None, refusals(server, target, error, config).await),
    };
    let names = StagingNames::rehearsal(server.staging(), "doctor");
    if let Err((view, error)) = create_statements(&graph, &names) {
        let message = format!("view {view} cannot be staged: {error}");
        let remedy = format!("write the SELECT of {view} with an alias for its source");
        let finding = Finding::problem(CHECK, message, remedy).about(target.to_string());
        return (Some(graph), vec![finding]);
    }
    let message = format!(
        "{target} and all it feeds can be staged: {}, {}",
        text::plural(graph.tables.len() as u64, "table"),
        text::plural(graph.views.len() as u64, "view"),
    );
    (Some(graph), vec![Finding::ok(CHECK, message).about(target.to_string())])
}

/// Why it cannot be staged. Refreshable views that only read it may be left as they are, so the
/// look goes on behind each of them: one call names everything.
async fn refusals(
    server: &Server,
    target: &TableName,
    error: GraphError,
    config: &Config,
) -> Vec<Finding> {
    let mut ignored: Vec<TableName> = Vec::new();
    let mut found = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.take() {
        let view = match &error {
            GraphError::Refreshable { view, .. } => Some(view.clone()),
            _ => None,
        };
        let finding = unseen(CHECK, Level::Problem, &error.into(), config);
        found.push(finding.about(target.to_string()));
        if let Some(view) = view.filter(|view| !ignored.contains(view)) {
            ignored.push(view);
            next = discover(server, target, &ignored).await.err();
        }
    }
    found.dedup();
    found
}

/// Are the tables and views of a plan what they were when it was made?
pub(crate) async fn unchanged(server: &Server, graph: &Graph, config: &Config) -> Finding {
    match check_drift(server, graph).await {
        Ok(None) => Finding::ok(CHECK, "the target and its views are as they were planned"),
        Ok(Some(drift)) => Finding::problem(
            CHECK,
            drift.to_string(),
            "undo the change; a job that has loaded nothing can be planned again instead",
        ),
        Err(failure) => unseen(CHECK, Level::Warning, &failure.into(), config),
    }
}

/// The dictionaries that a load uses and this user may not read. The workers may have another user,
/// so whoever only looks is warned.
pub(crate) async fn dictionaries(
    server: &Server,
    spec: &JobSpec,
    level: Level,
    config: &Config,
) -> Vec<Finding> {
    const CHECK: &str = "grants";
    let found = async {
        let needs = dictionaries::spec_needs(server, spec).await?;
        dictionaries::lacking(server, &needs.dictionaries).await
    };
    let finding = |lacking: dictionaries::Lacking| {
        let remedy = lacking.grant;
        Finding { level, ..Finding::problem(CHECK, lacking.message, remedy) }
    };
    let found = found.await.map(|found| found.into_iter().map(finding).collect());
    or_unseen(CHECK, config, found)
}

/// The graph as a tree from its target. A table that several views fill is shown in full once.
pub(crate) fn tree(graph: &Graph) -> TableNode {
    node(graph, 0, &mut BTreeSet::new())
}

fn node(graph: &Graph, position: usize, shown: &mut BTreeSet<usize>) -> TableNode {
    let table = &graph.tables[position];
    let is_first = shown.insert(position);
    let views = graph.views.iter().filter(|view| is_first && view.source == table.name);
    let views = views.filter_map(|view| {
        let fills = node(graph, graph.position(&view.target)?, shown);
        Some(ViewNode { view: view.name.to_string(), fills })
    });
    let views = views.collect();
    TableNode { table: table.name.to_string(), engine: table.engine.clone(), views }
}

/// The tree as lines.
pub(crate) fn tree_text(root: &TableNode) -> String {
    let mut lines = vec![format!("{}  {}", root.table, root.engine)];
    branches(&root.views, "", &mut lines);
    lines.join("\n")
}

fn branches(views: &[ViewNode], indent: &str, lines: &mut Vec<String>) {
    for (at, view) in views.iter().enumerate() {
        let is_last = at + 1 == views.len();
        let (corner, stem) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let fills = &view.fills;
        lines.push(format!("{indent}{corner}{} → {}  {}", view.view, fills.table, fills.engine));
        branches(&fills.views, &format!("{indent}{stem}"), lines);
    }
}

#[cfg(test)]
mod tests {
    use longshore_shared::schema::{GraphTable, GraphView};

    use super::*;

    #[test]
    fn a_chain_and_a_fork_are_a_tree() {
        let table = |name: &str, engine: &str| GraphTable {
            name: name.parse().unwrap(),
            uuid: None,
            engine: engine.into(),
            definition: String::new(),
            dependents: Vec::new(),
            shadow: None,
        };
        let view = |name: &str, source: &str, target: &str| GraphView {
            name: name.parse().unwrap(),
            source: source.parse().unwrap(),
            target: target.parse().unwrap(),
            columns: Vec::new(),
            select: String::new(),
            gives_more: false,
        };
        let graph = Graph {
            tables: vec![
                table("db.events", "MergeTree"),
                table("db.daily", "SummingMergeTree"),
                table("db.monthly", "SummingMergeTree"),
            ],
            views: vec![
                view("db.daily_mv", "db.events", "db.daily"),
                view("db.again_mv", "db.events", "db.daily"),
                view("db.monthly_mv", "db.daily", "db.monthly"),
            ],
        };
        insta::assert_snapshot!(tree_text(&tree(&graph)), @"
        db.events  MergeTree
        ├─ db.daily_mv → db.daily  SummingMergeTree
        │  └─ db.monthly_mv → db.monthly  SummingMergeTree
        └─ db.again_mv → db.daily  SummingMergeTree
        ");
    }
}
