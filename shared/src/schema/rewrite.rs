//! Makes a view's SELECT read a staging table in the place of its source.
//!
//! Inside a view every direct reference to the source sees only the inserted block (ENGINE H), so
//! every direct reference is replaced, on tokens, in the server's own database-qualified text.

use std::ops::Range;

use super::reads::function_spans;
use super::tokens::{Kind, Token, tokens};
use crate::sql::{quote_identifier, quote_table};
use crate::task::TableName;

/// A SELECT that cannot be rewritten without doubt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The source is not read at all.
    #[error("its SELECT does not read {0} directly")]
    NotRead(TableName),
    /// `db.table` could also be a column of something named like the database.
    #[error("its SELECT has an alias named like the database `{0}`, so `{0}.…` is ambiguous")]
    Ambiguous(String),
}

/// The SELECT with every direct reference to `source` replaced by `twin`.
///
/// A reference without an alias gets the table's own name as alias, so that columns written as
/// `table.column` still resolve.
///
/// # Errors
/// [`RewriteError`] when the source is not there or a name has two meanings.
pub fn rewrite_source(
    select: &str,
    source: &TableName,
    twin: &TableName,
) -> Result<String, RewriteError> {
    let all = tokens(select);
    // Positions of tokens that mean something: gaps only matter for the text.
    let solid: Vec<usize> =
        (0..all.len()).filter(|at| !matches!(all[*at].kind, super::tokens::Kind::Gap)).collect();
    refuse_ambiguous(&all, &solid, &source.database)?;

    let spans = spans(&all, &solid);
    let mut replaced = 0;
    let mut texts: Vec<String> = all.iter().map(|token| token.text.to_owned()).collect();
    for window in 0..solid.len() {
        // What a table function reads is the whole table, or that of another server.
        if spans.iter().any(|span| span.contains(&window)) {
            continue;
        }
        let Some(reference) = reference_at(&all, &solid, window, source) else { continue };
        let [first, dot, last] = [solid[window], solid[window + 1], solid[window + 2]];
        texts[dot].clear();
        texts[last].clear();
        texts[first] = match reference {
            Reference::Column => quote_identifier(&source.table),
            Reference::Named => quote_table(&twin.database, &twin.table),
            Reference::Unnamed => format!(
                "{} AS {}",
                quote_table(&twin.database, &twin.table),
                quote_identifier(&source.table)
            ),
        };
        replaced += usize::from(reference != Reference::Column);
    }
    if replaced == 0 {
        return Err(RewriteError::NotRead(source.clone()));
    }
    Ok(texts.concat())
}

/// Does this SELECT read the table by its name, and not inside of a table function?
pub(super) fn reads_directly(select: &str, table: &TableName) -> bool {
    let all = tokens(select);
    let solid: Vec<usize> = (0..all.len()).filter(|at| all[*at].kind != Kind::Gap).collect();
    let spans = spans(&all, &solid);
    let is_free = |window: &usize| !spans.iter().any(|span| span.contains(window));
    (0..solid.len())
        .filter(is_free)
        .any(|window| reference_at(&all, &solid, window, table).is_some())
}

fn spans(all: &[Token<'_>], solid: &[usize]) -> Vec<Range<usize>> {
    let tokens: Vec<&Token<'_>> = solid.iter().map(|at| &all[*at]).collect();
    function_spans(&tokens)
}

/// Does this SELECT name the table, wherever?
pub(super) fn mentions(select: &str, table: &TableName) -> bool {
    let all = tokens(select);
    let solid: Vec<usize> =
        (0..all.len()).filter(|at| !matches!(all[*at].kind, super::tokens::Kind::Gap)).collect();
    (0..solid.len()).any(|window| reference_at(&all, &solid, window, table).is_some())
}

/// The part of a view's SELECT that fires: of a UNION ALL at its top, only the first SELECT.
pub fn firing_select(select: &str) -> String {
    let all = tokens(select);
    let mut depth = 0;
    let solid: Vec<usize> =
        (0..all.len()).filter(|at| all[*at].kind != super::tokens::Kind::Gap).collect();
    for (place, at) in solid.iter().enumerate() {
        match &all[*at].kind {
            Kind::Symbol('(') => depth += 1,
            Kind::Symbol(')') => depth -= 1,
            _ if depth == 0
                && all[*at].is_keyword("UNION")
                && solid.get(place + 1).is_some_and(|next| all[*next].is_keyword("ALL")) =>
            {
                let first = all[..*at].iter().map(|token| token.text).collect::<String>();
                return first.trim_end().to_owned();
            }
            _ => {}
        }
    }
    select.to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    /// `db.table.column`
    Column,
    /// `FROM db.table AS x`, `IN db.table`
    Named,
    /// `FROM db.table`
    Unnamed,
}

fn reference_at(
    all: &[Token<'_>],
    solid: &[usize],
    window: usize,
    table: &TableName,
) -> Option<Reference> {
    let at = |offset: usize| solid.get(window + offset).map(|at| &all[*at]);
    let before = window.checked_sub(1).map(|before| &all[solid[before]]);
    let matches = at(0)?.name() == Some(&table.database)
        && at(1)?.is_symbol('.')
        && at(2)?.name() == Some(&table.table)
        && !before.is_some_and(|token| token.is_symbol('.'));
    if !matches {
        return None;
    }
    if at(3).is_some_and(|token| token.is_symbol('.')) {
        return Some(Reference::Column);
    }
    let in_from = before.is_some_and(|token| {
        token.is_keyword("FROM") || token.is_keyword("JOIN") || token.is_symbol(',')
    });
    let has_alias = at(3).is_some_and(|token| token.is_keyword("AS"));
    Some(if in_from && !has_alias { Reference::Unnamed } else { Reference::Named })
}

fn refuse_ambiguous(
    all: &[Token<'_>],
    solid: &[usize],
    database: &str,
) -> Result<(), RewriteError> {
    let aliased = solid
        .windows(2)
        .any(|pair| all[pair[0]].is_keyword("AS") && all[pair[1]].name() == Some(database));
    if aliased { Err(RewriteError::Ambiguous(database.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(select: &str) -> Result<String, RewriteError> {
        let name = |text: &str| text.parse::<TableName>().unwrap();
        rewrite_source(select, &name("shop.orders"), &name("stage.s0"))
    }

    #[test]
    fn a_source_without_alias_keeps_its_name_as_alias() {
        insta::assert_snapshot!(
            rewrite("SELECT orders.id, shop.orders.x FROM shop.orders WHERE s = 'shop.orders'").unwrap(),
            @"SELECT orders.id, `orders`.x FROM `stage`.`s0` AS `orders` WHERE s = 'shop.orders'"
        );
    }

    #[test]
    fn every_direct_reference_is_replaced() {
        insta::assert_snapshot!(
            rewrite("SELECT a.id FROM shop.orders AS a INNER JOIN shop.orders AS b ON a.id = b.up \
                     WHERE id IN (SELECT id FROM shop.orders) AND k IN shop.orders").unwrap(),
            @"SELECT a.id FROM `stage`.`s0` AS a INNER JOIN `stage`.`s0` AS b ON a.id = b.up WHERE id IN (SELECT id FROM `stage`.`s0` AS `orders`) AND k IN `stage`.`s0`"
        );
    }

    #[test]
    fn of_a_union_at_the_top_the_first_select_fires() {
        let first = |select: &str| firing_select(select);
        assert_eq!(first("SELECT 1\nUNION ALL\nSELECT 2"), "SELECT 1");
        assert_eq!(first("(SELECT 1) UNION ALL (SELECT 2)"), "(SELECT 1)");
        for whole in [
            "SELECT * FROM (SELECT 1 UNION ALL SELECT 2)",
            "SELECT `UNION` ALL",
            "SELECT 'a UNION ALL b'",
        ] {
            assert_eq!(first(whole), whole);
        }
    }

    #[test]
    fn other_tables_stay() {
        insta::assert_snapshot!(
            rewrite("SELECT * FROM shop.orders AS o LEFT JOIN shop.orders_dim AS d USING id, eu.orders").unwrap(),
            @"SELECT * FROM `stage`.`s0` AS o LEFT JOIN shop.orders_dim AS d USING id, eu.orders"
        );
    }

    #[test]
    fn what_a_table_function_reads_stays() {
        let text = "SELECT n, (SELECT count() FROM remote('far:9000', shop.orders)) AS c FROM shop.orders AS o";
        insta::assert_snapshot!(
            rewrite(text).unwrap(),
            @"SELECT n, (SELECT count() FROM remote('far:9000', shop.orders)) AS c FROM `stage`.`s0` AS o"
        );
        let table = "shop.orders".parse().unwrap();
        assert!(reads_directly(text, &table));
        assert!(!reads_directly("SELECT 1 FROM view(SELECT n FROM shop.orders)", &table));
        assert!(mentions("SELECT 1 FROM view(SELECT n FROM shop.orders)", &table));
    }

    #[test]
    fn quoted_and_unicode_names_are_the_same_names() {
        let source: TableName = "`söurce db`.`a.b c`".parse().unwrap();
        let twin: TableName = "stage.s0".parse().unwrap();
        assert_eq!(
            rewrite_source("SELECT 1 FROM `söurce db`.`a.b c` AS x", &source, &twin).unwrap(),
            "SELECT 1 FROM `stage`.`s0` AS x"
        );
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        assert!(matches!(
            rewrite("SELECT shop.orders FROM shop.orders AS shop"),
            Err(RewriteError::Ambiguous(_))
        ));
        assert!(matches!(rewrite("SELECT 1 FROM eu.orders"), Err(RewriteError::NotRead(_))));
    }
}
