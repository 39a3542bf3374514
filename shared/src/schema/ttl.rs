//! What a table deletes by its TTL.

use super::definition::{engine_at, nesting, settings_at, text, without_comment};
use super::tokens::{Kind, Token, tokens};

/// A TTL that deletes rows, or makes others of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowTtl {
    /// All of it, as the server writes it.
    pub text: String,
    /// When it is over for a row, with the columns of the table.
    pub moment: String,
    /// Only rows of this condition.
    pub condition: Option<String>,
}

/// The TTLs of a table that take values away: those of rows, and those of columns with their
/// expressions. What only moves parts or compresses them is left out.
#[must_use]
pub fn ttls(definition: &str) -> (Vec<RowTtl>, Vec<(String, String)>) {
    let all = tokens(definition);
    let engine = engine_at(&all).unwrap_or(all.len());
    (of_rows(&all[engine..]), of_columns(&all[..engine]))
}

fn of_rows(engine: &[Token<'_>]) -> Vec<RowTtl> {
    let Some(start) = top(engine, &["TTL"]) else { return Vec::new() };
    let clause = without_comment(&engine[start + 1..]);
    let clause = &clause[..settings_at(clause).unwrap_or(clause.len())];
    split(clause)
        .into_iter()
        .filter(|item| top(item, &["TO", "RECOMPRESS"]).is_none())
        .map(|item| {
            let end = top(item, &["DELETE", "WHERE", "GROUP"]).unwrap_or(item.len());
            let condition = top(item, &["WHERE"]).map(|at| text(&item[at + 1..]));
            RowTtl { text: text(item), moment: text(&item[..end]), condition }
        })
        // What follows a `GROUP BY a, b SET …` is no TTL of its own.
        .filter(|ttl| !ttl.moment.is_empty())
        .collect()
}

fn of_columns(head: &[Token<'_>]) -> Vec<(String, String)> {
    let Some(open) = head.iter().position(|token| token.is_symbol('(')) else { return Vec::new() };
    let end = head.iter().rposition(|token| token.is_symbol(')')).unwrap_or(head.len());
    split(head.get(open + 1..end).unwrap_or_default())
        .into_iter()
        .filter_map(|item| {
            let name = item.iter().find(|token| token.kind != Kind::Gap)?.name()?.to_owned();
            let rest = &item[top(item, &["TTL"])? + 1..];
            let rest = &rest[..top(rest, &["SETTINGS", "COLLATE"]).unwrap_or(rest.len())];
            Some((name, text(rest)))
        })
        .collect()
}

/// The first of these keywords outside of brackets.
fn top(tokens: &[Token<'_>], keywords: &[&str]) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().position(|token| {
        depth += nesting(token);
        depth == 0 && keywords.iter().any(|keyword| token.is_keyword(keyword))
    })
}

/// By commas outside of brackets; a `GROUP BY … SET a = …, b = …` stays whole.
fn split<'a, 'b>(tokens: &'a [Token<'b>]) -> Vec<&'a [Token<'b>]> {
    let (mut depth, mut is_grouped) = (0, false);
    tokens
        .split(|token| {
            depth += nesting(token);
            is_grouped |= depth == 0 && token.is_keyword("GROUP");
            depth == 0 && !is_grouped && token.is_symbol(',')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deletes_is_told_apart_from_what_moves() {
        let text = "CREATE TABLE x.ttl (`id` UInt64 TTL d + toIntervalDay(1), `ttl` DateTime, `c` Decimal(9, 2) DEFAULT 1 TTL f(d, 'x,y') SETTINGS (a = 1)) ENGINE = MergeTree \
             ORDER BY d TTL d + toIntervalMonth(1), ttl + toIntervalDay(2) WHERE id = 1, d + toIntervalYear(1) TO DISK 'default', d + toIntervalMonth(1) RECOMPRESS CODEC(ZSTD(3)), d + toIntervalYear(2) GROUP BY d, id SET c = max(c), id = any(id) SETTINGS index_granularity = 100";
        let (rows, columns) = ttls(text);
        let texts: Vec<&str> = rows.iter().map(|ttl| ttl.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "d + toIntervalMonth(1)",
                "ttl + toIntervalDay(2) WHERE id = 1",
                "d + toIntervalYear(2) GROUP BY d, id SET c = max(c), id = any(id)"
            ]
        );
        assert_eq!(rows[1].moment, "ttl + toIntervalDay(2)");
        assert_eq!(rows[1].condition.as_deref(), Some("id = 1"));
        let name = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(columns, [name("id", "d + toIntervalDay(1)"), name("c", "f(d, 'x,y')")]);
    }

    #[test]
    fn a_table_without_any_has_none() {
        let text = "CREATE TABLE x.t (`ttl` UInt64) ENGINE = MergeTree ORDER BY ttl";
        assert_eq!(ttls(text), (Vec::new(), Vec::new()));
    }
}
