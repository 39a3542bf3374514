//! The expressions of a table's primary key, and which of them are sorted from the greatest down.

use super::tokens::{Kind, Token, tokens};

/// Each expression of `primary_key` (as `system.tables` has it) with whether `engine_full` sorts it
/// `DESC`, which the server tells nowhere else.
pub fn key_expressions(primary_key: &str, engine_full: &str) -> Vec<(String, bool)> {
    let key = tokens(primary_key);
    let engine = tokens(engine_full);
    let descending: Vec<bool> =
        split(order_by(&engine)).iter().map(|item| ends_descending(item)).collect();
    split(&key)
        .iter()
        .enumerate()
        .map(|(at, item)| {
            let text: String = item.iter().map(|token| token.text).collect();
            (text.trim().to_owned(), descending.get(at).copied().unwrap_or(false))
        })
        .filter(|(text, _)| !text.is_empty())
        .collect()
}

/// What stands behind `ORDER BY`, without parentheses or `tuple(…)` around all of it: the server writes
/// either.
fn order_by<'a, 'b>(engine: &'a [Token<'b>]) -> &'a [Token<'b>] {
    let words: Vec<usize> = (0..engine.len()).filter(|at| engine[*at].kind != Kind::Gap).collect();
    let is_start =
        |pair: &&[usize]| engine[pair[0]].is_keyword("ORDER") && engine[pair[1]].is_keyword("BY");
    let Some(start) = words.windows(2).find(is_start).map(|pair| pair[1] + 1) else {
        return &[];
    };
    let mut depth = 0_i32;
    let end = (start..engine.len()).find(|at| {
        let token = &engine[*at];
        depth += nesting(token);
        let ends = ["PRIMARY", "SAMPLE", "TTL", "SETTINGS", "PARTITION", "COMMENT"];
        depth == 0 && ends.iter().any(|word| token.is_keyword(word))
    });
    unwrapped(&engine[start..end.unwrap_or(engine.len())])
}

fn unwrapped<'a, 'b>(tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    let first = tokens.iter().position(|token| token.kind != Kind::Gap);
    let last = tokens.iter().rposition(|token| token.kind != Kind::Gap);
    let (Some(first), Some(last)) = (first, last) else { return &[] };
    let inner = &tokens[first..=last];
    let is_tuple = inner.len() > 1 && inner[0].is_keyword("tuple") && inner[1].is_symbol('(');
    let inner = if is_tuple { &inner[1..] } else { inner };
    if !inner[0].is_symbol('(') {
        return inner;
    }
    let mut depth = 0;
    let closed = inner.iter().position(|token| {
        depth += nesting(token);
        depth == 0
    });
    if closed == Some(inner.len() - 1) { &inner[1..inner.len() - 1] } else { inner }
}

fn split<'a, 'b>(tokens: &'a [Token<'b>]) -> Vec<&'a [Token<'b>]> {
    let mut depth = 0;
    tokens
        .split(|token| {
            depth += nesting(token);
            depth == 0 && token.is_symbol(',')
        })
        .collect()
}

fn ends_descending(item: &[Token<'_>]) -> bool {
    let words: Vec<&Token<'_>> = item.iter().filter(|token| token.kind != Kind::Gap).collect();
    // A column that is called `desc` stands alone.
    words.len() > 1 && words.last().is_some_and(|token| token.is_keyword("DESC"))
}

fn nesting(token: &Token<'_>) -> i32 {
    match token.kind {
        Kind::Symbol('(' | '[') => 1,
        Kind::Symbol(')' | ']') => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(primary_key: &str, engine: &str) -> Vec<(String, bool)> {
        key_expressions(primary_key, engine)
    }

    fn plain(texts: &[&str]) -> Vec<(String, bool)> {
        texts.iter().map(|text| ((*text).to_owned(), false)).collect()
    }

    #[test]
    fn commas_of_calls_and_names_are_no_separators() {
        let key = "a, cityHash64(a, b), `c, (d`, (e, 'f,)')";
        let expected = ["a", "cityHash64(a, b)", "`c, (d`", "(e, 'f,)')"];
        assert_eq!(read(key, &format!("MergeTree ORDER BY ({key})")), plain(&expected));
        assert_eq!(read("", "MergeTree ORDER BY tuple()"), plain(&[]));
    }

    #[test]
    fn descending_columns_are_found_in_the_engine() {
        let engine = "MergeTree PARTITION BY toYYYYMM(ts) PRIMARY KEY (a, b) \
                      ORDER BY (a, b DESC, c) SETTINGS index_granularity = 8192";
        assert_eq!(read("a, b", engine), [("a".to_owned(), false), ("b".to_owned(), true)]);
        let engine = "MergeTree ORDER BY a DESC SETTINGS index_granularity = 8192";
        assert_eq!(read("a", engine), [("a".to_owned(), true)]);
        let engine = "MergeTree ORDER BY (`desc`, f(b, c DESC)) TTL x + 1";
        assert_eq!(read("`desc`, f(b, c)", engine), plain(&["`desc`", "f(b, c)"]));
        let engine = "MergeTree ORDER BY (a) + (b) DESC";
        assert_eq!(read("(a) + (b)", engine), [("(a) + (b)".to_owned(), true)]);
        let engine = "MergeTree ORDER BY tuple(a, b DESC) SETTINGS index_granularity = 8192";
        assert_eq!(read("a, b", engine), [("a".to_owned(), false), ("b".to_owned(), true)]);
        let engine = "MergeTree ORDER BY (desc)";
        assert_eq!(read("desc", engine), plain(&["desc"]));
    }
}
