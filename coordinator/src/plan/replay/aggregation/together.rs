//! Which rows must stay together, and what they are known to share.

use longshore_shared::sql::quote_literal;

use super::shape::{Expression, Level};

/// The keys of every step that looks at several rows. Rows that are equal in all keys of one step
/// belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Together {
    steps: Vec<Vec<Expression>>,
}

impl Together {
    /// Of the steps of a query.
    pub(crate) fn of(levels: &[Level]) -> Self {
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

    /// Columns of the source that stand in the keys, as they are or as an argument of a function.
    pub(crate) fn columns(&self) -> Vec<String> {
        let column = |key: &Expression| match key {
            Expression::Column(name) => Some(name.clone()),
            Expression::Function(_, arguments) => {
                arguments.iter().find_map(|argument| match argument {
                    Expression::Column(name) => Some(name.clone()),
                    _ => None,
                })
            }
            _ => None,
        };
        let mut columns: Vec<String> = self.steps.iter().flatten().filter_map(column).collect();
        columns.sort();
        columns.dedup();
        columns
    }

    /// Conditions on a moment of a time column, with `{}` for it, under which it is a border of all
    /// groups; `None` when some groups have nothing to do with that column.
    pub(crate) fn borders(&self, column: &str, zone: &str, is_day: bool) -> Option<Vec<String>> {
        let of_step =
            |keys: &Vec<Expression>| keys.iter().find_map(|key| border(key, column, zone, is_day));
        let found: Option<Vec<String>> = self.steps.iter().map(of_step).collect();
        found.map(|conditions| conditions.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// The keys as people read them.
    pub(crate) fn words(&self) -> String {
        let step = |keys: &Vec<Expression>| {
            keys.iter().map(Expression::words).collect::<Vec<_>>().join(", ")
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(" and by ")
    }
}

/// What cuts a time off, by what it is cut off to. All of them give nothing later than the time
/// itself, so a moment that stays what it is divides what is before it from what is not.
const FLOORS: [(&str, &str); 19] = [
    ("toStartOfSecond", "toStartOfSecond"),
    ("toStartOfMinute", "toStartOfMinute"),
    ("toStartOfFiveMinutes", "toStartOfFiveMinutes"),
    ("toStartOfFiveMinute", "toStartOfFiveMinutes"),
    ("toStartOfTenMinutes", "toStartOfTenMinutes"),
    ("toStartOfFifteenMinutes", "toStartOfFifteenMinutes"),
    ("toStartOfHour", "toStartOfHour"),
    ("toStartOfDay", "toStartOfDay"),
    ("toDate", "toStartOfDay"),
    ("toYYYYMMDD", "toStartOfDay"),
    ("toStartOfWeek", "toStartOfWeek"),
    ("toMonday", "toMonday"),
    ("toStartOfMonth", "toStartOfMonth"),
    ("toYYYYMM", "toStartOfMonth"),
    ("toStartOfQuarter", "toStartOfQuarter"),
    ("toStartOfYear", "toStartOfYear"),
    ("toYear", "toStartOfYear"),
    ("toStartOfInterval", "toStartOfInterval"),
    ("toDate32", "toStartOfDay"),
];

/// The condition for a moment to be a border of this key; empty when each moment is one.
fn border(key: &Expression, column: &str, zone: &str, is_day: bool) -> Option<String> {
    let is_time = |argument: &Expression| *argument == Expression::Column(column.to_owned());
    if is_time(key) {
        return Some(String::new());
    }
    let Expression::Function(name, arguments) = key else { return None };
    if let ("dateTrunc", [Expression::Constant(unit), time, rest @ ..]) = (&**name, &**arguments) {
        let own_zone = rest.first().map(Expression::words);
        let zone = own_zone.clone().unwrap_or_else(|| quote_literal(zone));
        let given: Vec<String> = ["{}".to_owned()].into_iter().chain(own_zone).collect();
        let floored = format!("dateTrunc({unit}, {})", given.join(", "));
        return is_time(time).then(|| stays(&floored, &zone, is_day));
    }
    let (first, rest) = arguments.split_first()?;
    let (_, floor) = FLOORS.iter().find(|(function, _)| function == name)?;
    let is_value = |argument: &Expression| matches!(argument, Expression::Constant(_));
    if !is_time(first) || !rest.iter().all(is_value) {
        return None;
    }
    if is_day && *floor == "toStartOfDay" {
        return Some(String::new());
    }
    let rest: Vec<String> = rest.iter().map(Expression::words).collect();
    let own_zone = rest.iter().find(|value| value.starts_with('\''));
    let zone = own_zone.cloned().unwrap_or_else(|| quote_literal(zone));
    let given: Vec<&str> = ["{}"].into_iter().chain(rest.iter().map(String::as_str)).collect();
    Some(stays(&format!("{floor}({})", given.join(", ")), &zone, is_day))
}

/// The condition that a moment is what it is cut off to.
fn stays(floored: &str, zone: &str, is_day: bool) -> String {
    if is_day {
        return format!("toDate32({floored}) = toDate32({{}})");
    }
    // A day has no zone of its own: it begins where the zone says.
    format!("toDateTime64({floored}, 9, {zone}) = toDateTime64({{}}, 9, {zone})")
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
    fn a_border_is_a_moment_that_stays_what_it_is() {
        let borders = |key| Together { steps: vec![vec![key]] }.borders("at", "Asia/Tokyo", false);
        assert_eq!(borders(column("at")), Some(vec![]));
        assert_eq!(borders(column("x")), None);
        assert_eq!(borders(call("toHour", "at")), None);
        assert_eq!(
            borders(call("toDate", "at")).unwrap(),
            ["toDateTime64(toStartOfDay({}), 9, 'Asia/Tokyo') = toDateTime64({}, 9, 'Asia/Tokyo')"]
        );
        let interval = Expression::Constant("INTERVAL 6 HOUR".into());
        let every = Expression::Function("toStartOfInterval".into(), vec![column("at"), interval]);
        assert!(borders(every).unwrap()[0].contains("toStartOfInterval({}, INTERVAL 6 HOUR)"));
    }

    #[test]
    fn every_step_must_decide() {
        let together = Together { steps: vec![vec![column("a")], vec![column("a"), column("b")]] };
        assert!(together.decides("a") && !together.decides("b"));
        assert_eq!(together.words(), "a and by a, b");
    }
}
