//! Names that stand in an expression.

use std::collections::BTreeSet;

use super::tokens::tokens;

/// Every name in an expression: columns, and functions too. Text in literals is no name.
pub fn names_in(sql: &str) -> BTreeSet<String> {
    tokens(sql).iter().filter_map(|token| token.name().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_literals_are_not() {
        let names: Vec<String> = names_in("concat(`a b`, 'c', toString(d))").into_iter().collect();
        assert_eq!(names, ["a b", "concat", "d", "toString"]);
    }
}
