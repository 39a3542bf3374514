//! The server's own reading of a query (`EXPLAIN QUERY TREE`) as a tree of nodes.

use std::collections::BTreeSet;

/// A line of the answer and the lines under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// The line without its indent.
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// The tree of an answer: depth is two spaces a step.
    pub(crate) fn parse<S: AsRef<str>>(lines: &[S]) -> Option<Self> {
        let mut open: Vec<(usize, Self)> = Vec::new();
        let close = |open: &mut Vec<(usize, Self)>| {
            let (_, node) = open.pop()?;
            let (_, parent) = open.last_mut()?;
            parent.children.push(node);
            Some(())
        };
        for line in lines.iter().map(AsRef::as_ref).filter(|line| !line.trim().is_empty()) {
            let text = line.trim_start_matches(' ');
            let depth = (line.len() - text.len()) / 2;
            while open.last().is_some_and(|(above, _)| *above >= depth) {
                // A second root is no tree that we know.
                close(&mut open)?;
            }
            open.push((depth, Self { text: text.to_owned(), children: Vec::new() }));
        }
        while open.len() > 1 {
            close(&mut open)?;
        }
        open.pop().map(|(_, node)| node)
    }

    /// `QUERY`, `TABLE`, `JOIN TREE`, …
    pub(crate) fn kind(&self) -> &str {
        self.text.split_once(" id: ").map_or(self.text.as_str(), |(kind, _)| kind)
    }

    /// The value of an attribute on the line.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let key = format!("{name}: ");
        let at = self
            .text
            .match_indices(&key)
            .map(|(at, _)| at)
            .find(|at| *at == 0 || self.text[..*at].ends_with(' '))?;
        let rest = &self.text[at + key.len()..];
        Some(rest.split(", ").next().unwrap_or(rest))
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.value("id")
    }

    pub(crate) fn child(&self, kind: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.kind() == kind)
    }

    /// The nodes of the list under a heading.
    pub(crate) fn list(&self, heading: &str) -> &[Self] {
        self.child(heading).and_then(|node| node.child("LIST")).map_or(&[], |list| &list.children)
    }

    /// Name of a TABLE, unquoted. Names may hold anything, so what follows it is cut off by name.
    pub(crate) fn table_name(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("table_name: ")?;
        let end = rest.find(", table_expression_modifiers").unwrap_or(rest.len());
        (self.kind() == "TABLE").then(|| &rest[..end])
    }

    /// Name of a table function.
    pub(crate) fn function_name(&self) -> Option<&str> {
        self.value("table_function_name").or_else(|| self.value("function_name"))
    }

    /// This node and everything under it.
    pub(crate) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for child in &self.children {
            child.walk(visit);
        }
    }

    /// Ids of the places where a table is named. One place may be shown several times.
    pub(crate) fn places(&self, table: &str) -> BTreeSet<&str> {
        let mut ids = BTreeSet::new();
        self.walk(&mut |node| {
            if node.table_name() == Some(table) {
                ids.extend(node.id());
            }
        });
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_tree_by_their_indent() {
        let tree = Node::parse(&[
            "QUERY id: 0, is_distinct: 1",
            "  PROJECTION COLUMNS",
            "    k String",
            "  PROJECTION",
            "    LIST id: 1, nodes: 1",
            "      COLUMN id: 2, column_name: k, result_type: String, source_id: 3",
            "  JOIN TREE",
            "    TABLE id: 3, alias: __table1, table_name: x.o'dd na.me, or so",
        ])
        .unwrap();
        assert_eq!((tree.kind(), tree.value("is_distinct")), ("QUERY", Some("1")));
        assert_eq!(tree.list("PROJECTION")[0].value("source_id"), Some("3"));
        assert_eq!(tree.places("x.o'dd na.me, or so").len(), 1);
        assert_eq!(Node::parse(&["QUERY id: 0", "QUERY id: 1"]), None);
    }
}
