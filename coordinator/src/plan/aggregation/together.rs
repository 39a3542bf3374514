//! Which rows must stay together, and what they are known to share.

use super::shape::{Expression, Level};

/// The keys of every step that looks at several rows. Rows that are equal in all keys of one step
/// belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Together {
    steps: Vec<Vec<Expression>>,
}

impl Together {
    /// Of the steps of a query.
    pub(super) fn of(levels: &[Level]) -> Self {
        let mut steps: Vec<Vec<Expression>> =
            levels.iter().map(|level| level.keys.clone()).collect();
        steps.sort();
        steps.dedup();
        Self { steps }
    }

    /// Is an expression of the source (as the server writes it in a key) the same in all rows that
    /// belong together? It is when it is a key of each step, or made from such columns alone.
    pub(crate) fn decides(&self, expression: &str) -> bool {
        let plain = expression.replace('`', "");
        self.steps.iter().all(|keys| {
            let is_key = |key: &Expression| key.is_of_source() && key.words() == plain;
            let is_column = |name: &str| keys.contains(&Expression::Column(name.to_owned()));
            keys.iter().any(is_key) || names(expression).iter().all(|name| is_column(name))
        })
    }

    /// The keys as people read them.
    pub(crate) fn words(&self) -> String {
        let step = |keys: &Vec<Expression>| {
            keys.iter().map(Expression::words).collect::<Vec<_>>().join(", ")
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(" and by ")
    }
}

/// Names in an expression that are not called: its columns. Whatever else is in there, such as a
/// literal, is no column of anything and makes the answer no.
fn names(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '`' {
            let end = rest[1..].find('`').map_or(rest.len(), |end| end + 2);
            names.push(rest[..end].trim_matches('`').to_owned());
            rest = &rest[end..];
            continue;
        }
        let is_name = |symbol: char| symbol.is_alphanumeric() || symbol == '_' || symbol == '\'';
        let end = rest.find(|symbol| !is_name(symbol)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end.max(first.len_utf8()));
        let is_call = tail.starts_with('(');
        let is_number = word.chars().all(|symbol| symbol.is_ascii_digit());
        if end > 0 && !is_call && !is_number {
            names.push(word.to_owned());
        }
        rest = tail;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Expression {
        Expression::Column(name.into())
    }

    fn call(name: &str, column_name: &str) -> Expression {
        Expression::Function(name.into(), vec![column(column_name)])
    }

    #[test]
    fn a_key_is_decided_by_itself_and_by_its_columns() {
        let together =
            Together { steps: vec![vec![column("day"), column("odd name"), call("toHour", "at")]] };
        for decided in
            ["day", "toYYYYMM(day)", "toHour(at)", "`odd name`", "cityHash64(day, `odd name`) % 16"]
        {
            assert!(together.decides(decided), "{decided}");
        }
        for open in ["at", "toDate(at)", "kind", "cityHash64(day, kind)", "concat(day, 'x')"] {
            assert!(!together.decides(open), "{open}");
        }
    }

    #[test]
    fn a_column_of_another_table_with_the_same_name_decides_nothing() {
        let other = Expression::Other("kind".into());
        assert!(!Together { steps: vec![vec![other]] }.decides("kind"));
    }

    #[test]
    fn every_step_must_decide() {
        let together = Together { steps: vec![vec![column("a")], vec![column("a"), column("b")]] };
        assert!(together.decides("a") && !together.decides("b"));
        assert_eq!(together.words(), "a and by a, b");
    }
}
