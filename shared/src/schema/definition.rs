//! Takes apart what follows the columns in the server's text of a table: engine, keys, TTL, settings.

use super::tokens::{Kind, Token};

/// Where the engine's name stands. A column may be called `engine`.
pub(super) fn engine_at(all: &[Token<'_>]) -> Option<usize> {
    let solid: Vec<usize> = (0..all.len()).filter(|at| all[*at].kind != Kind::Gap).collect();
    let mut depth = 0;
    for three in solid.windows(3) {
        depth += nesting(&all[three[0]]);
        if depth == 0 && all[three[0]].is_keyword("ENGINE") && all[three[1]].is_symbol('=') {
            return Some(three[2]);
        }
    }
    None
}

/// Where the bracket that the tokens begin with is closed.
pub(super) fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().position(|token| {
        depth += nesting(token);
        depth == 0
    })
}

pub(super) fn nesting(token: &Token<'_>) -> i32 {
    match token.kind {
        Kind::Symbol('(' | '[' | '{') => 1,
        Kind::Symbol(')' | ']' | '}') => -1,
        _ => 0,
    }
}

/// Without `COMMENT '…'` at the end. A column may have that name.
pub(super) fn without_comment<'a, 'b>(rest: &'a [Token<'b>]) -> &'a [Token<'b>] {
    let solid: Vec<usize> = (0..rest.len()).filter(|at| rest[*at].kind != Kind::Gap).collect();
    match solid.as_slice() {
        [.., word, text]
            if rest[*word].is_keyword("COMMENT") && rest[*text].text.starts_with('\'') =>
        {
            &rest[..*word]
        }
        _ => rest,
    }
}

/// The last `SETTINGS name =` outside of brackets. A column may have that name.
pub(super) fn settings_at(rest: &[Token<'_>]) -> Option<usize> {
    let solid: Vec<usize> = (0..rest.len()).filter(|at| rest[*at].kind != Kind::Gap).collect();
    let mut depth = 0;
    let mut found = None;
    for (place, at) in solid.iter().enumerate() {
        depth += nesting(&rest[*at]);
        let is_first = depth == 0
            && rest[*at].is_keyword("SETTINGS")
            && solid.get(place + 2).is_some_and(|equals| rest[*equals].is_symbol('='));
        if is_first {
            found = Some(*at);
        }
    }
    found
}

/// By commas outside of brackets.
pub(super) fn listed(tokens: &[Token<'_>]) -> Vec<String> {
    let mut depth = 0;
    let items = tokens.split(|token| {
        depth += nesting(token);
        depth == 0 && token.is_symbol(',')
    });
    items.map(text).filter(|item| !item.is_empty()).collect()
}

pub(super) fn text(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| token.text).collect::<String>().trim().to_owned()
}
