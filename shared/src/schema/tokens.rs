//! Splits ClickHouse SQL into tokens, just far enough to change table names safely.
//!
//! Text inside literals and comments is never touched, and quoted names compare equal to bare ones.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare or quoted name or keyword, decoded.
    Word {
        /// The name itself.
        name: String,
        /// It stood in quotes, so it is no keyword.
        quoted: bool,
    },
    /// A string literal.
    Literal,
    Symbol(char),
    /// White space or a comment.
    Gap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it stands in the statement.
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// The name, if this is one.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Is it this keyword (in any case, not quoted)?
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word { name, quoted: false } if name.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// All tokens of a statement; their texts joined give the statement back.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = token(rest, first);
        let (text, tail) = rest.split_at(length);
        found.push(Token { kind, text });
        rest = tail;
    }
    found
}

fn token(rest: &str, first: char) -> (Kind, usize) {
    let span = |test: fn(char) -> bool| {
        rest.char_indices().find(|(_, symbol)| !test(*symbol)).map_or(rest.len(), |(at, _)| at)
    };
    match first {
        _ if first.is_whitespace() => (Kind::Gap, span(char::is_whitespace)),
        '-' if rest.starts_with("--") => {
            (Kind::Gap, rest.find('\n').map_or(rest.len(), |at| at + 1))
        }
        '/' if rest.starts_with("/*") => {
            (Kind::Gap, rest.find("*/").map_or(rest.len(), |at| at + 2))
        }
        '\'' => (Kind::Literal, quoted(rest, '\'').1),
        '`' | '"' => {
            let (name, length) = quoted(rest, first);
            (Kind::Word { name, quoted: true }, length)
        }
        _ if first.is_alphabetic() || first == '_' => {
            let length = span(|symbol| symbol.is_alphanumeric() || symbol == '_' || symbol == '$');
            (Kind::Word { name: rest[..length].to_owned(), quoted: false }, length)
        }
        // A number swallows its letters (0xff, 1e9) so that they are no names; `1.5` has no dot of a path.
        _ if first.is_ascii_digit() => {
            (Kind::Literal, span(|symbol| symbol.is_ascii_alphanumeric() || symbol == '.'))
        }
        symbol => (Kind::Symbol(symbol), symbol.len_utf8()),
    }
}

/// The decoded text between quotes and the length with both quotes.
pub(super) fn quoted(rest: &str, delimiter: char) -> (String, usize) {
    let mut text = String::new();
    let mut symbols = rest.char_indices().skip(1).peekable();
    while let Some((at, symbol)) = symbols.next() {
        if symbol == '\\' {
            if let Some((_, escaped)) = symbols.next() {
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                });
            }
        } else if symbol == delimiter {
            if symbols.peek().is_some_and(|(_, next)| *next == delimiter) {
                text.push(delimiter);
                symbols.next();
            } else {
                return (text, at + delimiter.len_utf8());
            }
        } else {
            text.push(symbol);
        }
    }
    (text, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_joined_give_the_statement_back(sql in "\\PC{0,200}") {
            let joined: String = tokens(&sql).iter().map(|token| token.text).collect();
            prop_assert_eq!(joined, sql);
        }

        #[test]
        fn a_quoted_name_is_read_as_it_was(name in "\\PC{1,40}") {
            let quoted = crate::sql::quote_identifier(&name);
            let found = tokens(&quoted);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].name(), Some(name.as_str()));
        }
    }

    #[test]
    fn names_in_literals_and_comments_are_no_names() {
        let words: Vec<String> = tokens("SELECT 'a.b' /* a.b */ FROM a.b -- a.b\n, 1.5e3")
            .iter()
            .filter_map(|token| token.name().map(str::to_owned))
            .collect();
        assert_eq!(words, ["SELECT", "FROM", "a", "b"]);
    }
}
