//! What a view's query makes of several rows of its source: groups, limits, second looks at it.

use std::collections::BTreeSet;

use super::tree::Node;

/// An expression over the columns of the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Expression {
    /// A column of the source.
    Column(String),
    /// A function of such expressions.
    Function(String, Vec<Expression>),
    /// A value, as the server shows it.
    Constant(String),
    /// Anything else, such as a column of another table.
    Other(String),
}

impl Expression {
    /// Is it made from columns of the source and values alone?
    pub(crate) fn is_of_source(&self) -> bool {
        match self {
            Self::Column(_) | Self::Constant(_) => true,
            Self::Function(_, arguments) => arguments.iter().all(Self::is_of_source),
            Self::Other(_) => false,
        }
    }

    /// As people read it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Column(name) | Self::Other(name) => name.clone(),
            Self::Constant(value) => constant(value),
            Self::Function(name, arguments) => {
                let words: Vec<String> = arguments.iter().map(Self::words).collect();
                format!("{name}({})", words.join(", "))
            }
        }
    }
}

/// `UInt64_3` is a 3 of that type.
fn constant(value: &str) -> String {
    let number = value.rsplit_once('_').filter(|(kind, _)| kind.ends_with(char::is_numeric));
    number.map_or(value, |(_, number)| number).to_owned()
}

/// A step of the query that looks at several rows together. Rows stay together if they are equal in
/// `keys`; without keys it looks at all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    /// A step of the outermost query.
    pub(crate) is_outermost: bool,
    /// `GROUP BY`, `DISTINCT`, …
    pub(crate) what: &'static str,
    pub(crate) keys: Vec<Expression>,
}

/// What a column of a grouped result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// One of the group's keys, or made from them alone.
    Key,
    /// One aggregate function, named.
    Aggregate(String),
    /// Something made from aggregates, or a choice among rows.
    Mixed,
}

/// What a query does with more than one row of its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Steps that look at several rows, from the outermost in; of all ways to the source.
    pub(crate) levels: Vec<Level>,
    /// The result's columns, when the outermost step is a plain GROUP BY and the only one.
    pub(crate) grouped: Option<Vec<(String, Output)>>,
    /// What looks at all rows whatever they are, in words.
    pub(crate) whole: Vec<String>,
    /// Places where the source is named and rows do not flow from: IN, JOIN, scalar.
    pub(crate) second_looks: usize,
    /// Ways by which rows flow from the source into the result.
    pub(crate) ways: usize,
    /// Other tables that it reads, unquoted.
    pub(crate) other_tables: BTreeSet<String>,
    /// Table functions that it reads.
    pub(crate) table_functions: BTreeSet<String>,
}

/// Reads the shape of a query. `source` is `database.table`, unquoted.
pub(crate) fn read(lines: &[String], source: &str) -> Option<Shape> {
    let root = Node::parse(lines)?;
    let mut shape = Shape::default();
    let mut reached = BTreeSet::new();
    let mut reader = Reader { source, shape: &mut shape, reached: &mut reached };
    reader.query(&root, &mut Vec::new(), &[]);
    shape.ways = reached.len();
    shape.second_looks = root.places(source).len() - reached.len();
    root.walk(&mut |node| {
        if let Some(name) = node.table_name().filter(|name| *name != source) {
            shape.other_tables.insert(name.to_owned());
        }
        if node.kind() == "TABLE_FUNCTION" {
            shape.table_functions.extend(node.function_name().map(str::to_owned));
        }
    });
    let is_plain = |level: &Level| level.is_outermost && level.what == "GROUP BY";
    let has_having = root.child("HAVING").is_some() || root.child("QUALIFY").is_some();
    if shape.levels.iter().all(is_plain) && shape.whole.is_empty() && !has_having {
        shape.grouped = grouped(&root);
    }
    Some(shape)
}

struct Reader<'b> {
    source: &'b str,
    shape: &'b mut Shape,
    reached: &'b mut BTreeSet<String>,
}

/// A query on the way to the source, and the ids by which the one around it names it: its own, and
/// those of the unions that it is a branch of.
#[derive(Clone)]
struct Step<'a> {
    query: &'a Node,
    ids: Vec<&'a str>,
}

impl Reader<'_> {
    /// A query or union on the way to the source; `above` are the queries that read it.
    fn query<'a>(&mut self, node: &'a Node, above: &mut Vec<Step<'a>>, unions: &[&'a str]) {
        let mut ids = unions.to_vec();
        ids.extend(node.id());
        match node.kind() {
            "UNION" => {
                if node.value("union_mode") != Some("UNION_ALL") {
                    let mode = node.value("union_mode").unwrap_or("UNION");
                    self.shape.whole.push(mode.replace('_', " "));
                }
                for branch in node.list("QUERIES") {
                    self.query(branch, above, &ids);
                }
            }
            "QUERY" => {
                above.push(Step { query: node, ids });
                if let Some(from) = node.child("JOIN TREE").and_then(|tree| tree.children.first()) {
                    self.from(from, above);
                }
                above.pop();
            }
            _ => self.shape.whole.push(node.kind().to_owned()),
        }
    }

    /// What stands left in FROM: there rows come from.
    fn from<'a>(&mut self, node: &'a Node, above: &mut Vec<Step<'a>>) {
        match node.kind() {
            "TABLE" if node.table_name() == Some(self.source) => {
                self.reached.extend(node.id().map(str::to_owned));
                self.way(above, node.id().unwrap_or_default());
            }
            "JOIN" | "CROSS_JOIN" => {
                let all = ["ALL", "LEFT", "INNER", "CROSS", "COMMA"];
                let kind = node.value("kind").unwrap_or("CROSS");
                let strictness = node.value("strictness").unwrap_or("ALL");
                let is_by_row = all.contains(&kind) && (kind != "INNER" || strictness != "ANY");
                let left = ["LEFT TABLE EXPRESSION", "TABLE EXPRESSIONS"];
                let left = left.into_iter().find_map(|heading| node.child(heading));
                let Some(left) = left.and_then(|heading| heading.children.first()) else { return };
                let left = if left.kind() == "LIST" { left.children.first() } else { Some(left) };
                let Some(left) = left else { return };
                if !is_by_row && !left.places(self.source).is_empty() {
                    self.shape.whole.push(format!("{strictness} {kind} JOIN"));
                }
                self.from(left, above);
            }
            "ARRAY_JOIN" => {
                let inner = node.child("TABLE EXPRESSION").and_then(|node| node.children.first());
                if let Some(inner) = inner {
                    self.from(inner, above);
                }
            }
            "QUERY" | "UNION" => self.query(node, above, &[]),
            _ => {}
        }
    }

    /// Rows flow from the source through these queries, the outermost first.
    fn way<'a>(&mut self, steps: &[Step<'a>], table: &str) {
        for (depth, Step { query, .. }) in steps.iter().enumerate() {
            let inner = &steps[depth + 1..];
            let keys = |nodes: &'a [Node]| -> Vec<Expression> {
                nodes.iter().map(|node| resolve(node, inner, table)).collect()
            };
            for (attribute, words) in [
                ("group_by_type", "GROUP BY with ROLLUP, CUBE or GROUPING SETS"),
                ("is_group_by_with_totals", "WITH TOTALS"),
            ] {
                if query.value(attribute).is_some_and(|value| value != "ordinary") {
                    self.shape.whole.push(words.to_owned());
                }
            }
            let is_outermost = depth == 0;
            let mut level = |what, keys| self.shape.levels.push(Level { is_outermost, what, keys });
            let aggregates = has_own(query, "aggregate");
            if query.child("GROUP BY").is_some() || aggregates {
                level("GROUP BY", keys(query.list("GROUP BY")));
            }
            if query.value("is_distinct").is_some() {
                level("DISTINCT", keys(query.list("PROJECTION")));
            }
            if query.child("LIMIT BY").is_some() {
                level("LIMIT BY", keys(query.list("LIMIT BY")));
            }
            for window in windows(query) {
                level("window function", keys(window.list("PARTITION BY")));
            }
            if query.child("LIMIT").is_some() || query.child("OFFSET").is_some() {
                self.shape.whole.push("LIMIT".to_owned());
            }
        }
    }
}

/// Parts of a query that are queries of their own.
const OWN: [&str; 3] = ["QUERY", "UNION", "JOIN TREE"];

fn own_functions<'a>(query: &'a Node, kind: &str) -> Vec<&'a Node> {
    fn collect<'a>(node: &'a Node, kind: &str, found: &mut Vec<&'a Node>) {
        for child in node.children.iter().filter(|child| !OWN.contains(&child.kind())) {
            if child.kind() == "FUNCTION" && child.value("function_type") == Some(kind) {
                found.push(child);
            }
            collect(child, kind, found);
        }
    }
    let mut found = Vec::new();
    collect(query, kind, &mut found);
    found
}

fn has_own(query: &Node, kind: &str) -> bool {
    !own_functions(query, kind).is_empty()
}

fn windows(query: &Node) -> Vec<&Node> {
    let functions = own_functions(query, "window");
    functions
        .into_iter()
        .filter_map(|function| function.child("WINDOW")?.children.first())
        .collect()
}

/// An expression down to the columns of the source, through the queries between.
fn resolve(node: &Node, inner: &[Step<'_>], table: &str) -> Expression {
    match node.kind() {
        "COLUMN" => {
            let Some(name) = column_name(node) else { return Expression::Other(node.text.clone()) };
            let (other, of) = (|| Expression::Other(name.to_owned()), node.value("source_id"));
            let Some((Step { query, ids }, deeper)) = inner.split_first() else {
                let is_own = of == Some(table);
                return if is_own { Expression::Column(name.to_owned()) } else { other() };
            };
            if !of.is_some_and(|of| ids.contains(&of)) {
                return other();
            }
            let place = place_of(name, query);
            let found = place.and_then(|at| query.list("PROJECTION").get(at));
            found.map_or_else(other, |expression| resolve(expression, deeper, table))
        }
        "CONSTANT" => {
            let value = node.value("constant_value").unwrap_or_default();
            let unit = node.value("constant_value_type").and_then(|t| t.strip_prefix("Interval"));
            Expression::Constant(unit.map_or_else(
                || value.to_owned(),
                |unit| format!("INTERVAL {} {}", constant(value), unit.to_uppercase()),
            ))
        }
        "FUNCTION" if node.value("function_type") == Some("ordinary") => {
            let name = node.value("function_name").unwrap_or_default().to_owned();
            let arguments = node.list("ARGUMENTS").iter();
            Expression::Function(name, arguments.map(|node| resolve(node, inner, table)).collect())
        }
        _ => Expression::Other(node.function_name().unwrap_or(node.kind()).to_owned()),
    }
}

/// The place of a column in the result of a query. The columns of a union have the names of its
/// first branch: one with other names is not followed, which never makes a cut look safer.
fn place_of(name: &str, query: &Node) -> Option<usize> {
    let columns = &query.child("PROJECTION COLUMNS")?.children;
    columns
        .iter()
        .position(|column| column.text.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
}

fn column_name(node: &Node) -> Option<&str> {
    let (_, rest) = node.text.split_once("column_name: ")?;
    rest.find(", result_type: ").map(|end| &rest[..end])
}

/// The columns of a grouped result.
fn grouped(query: &Node) -> Option<Vec<(String, Output)>> {
    query.child("GROUP BY").or_else(|| has_own(query, "aggregate").then_some(query))?;
    let keys: BTreeSet<String> = query.list("GROUP BY").iter().map(signature).collect();
    let names = &query.child("PROJECTION COLUMNS")?.children;
    let outputs = query.list("PROJECTION").iter().zip(names);
    Some(outputs.map(|(node, name)| (name.text.clone(), output(node, &keys))).collect())
}

fn output(node: &Node, keys: &BTreeSet<String>) -> Output {
    if keys.contains(&signature(node)) || node.kind() == "CONSTANT" {
        return Output::Key;
    }
    let is_function = |kind| node.kind() == "FUNCTION" && node.value("function_type") == Some(kind);
    if is_function("aggregate") {
        return Output::Aggregate(node.value("function_name").unwrap_or_default().to_owned());
    }
    let arguments = node.list("ARGUMENTS");
    let of_keys = || arguments.iter().all(|node| output(node, keys) == Output::Key);
    if is_function("ordinary") && !arguments.is_empty() && of_keys() {
        return Output::Key;
    }
    Output::Mixed
}

/// What an expression is, whatever ids its nodes have here. Ids of tables and queries count.
fn signature(node: &Node) -> String {
    fn write(node: &Node, text: &mut String) {
        let (kind, rest) = node.text.split_once(" id: ").unwrap_or((&node.text, ""));
        let rest = rest.split_once(", ").map_or("", |(_, rest)| rest);
        text.push_str(kind);
        text.push(' ');
        text.push_str(rest);
        text.push('(');
        for child in &node.children {
            write(child, text);
        }
        text.push(')');
    }
    let mut text = String::new();
    write(node, &mut text);
    text
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
