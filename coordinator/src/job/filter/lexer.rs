//! Splits a condition into words, operators and brackets.

/// A piece of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name, a number or a text without quotes.
    Bare(String),
    /// A text in quotes; the quote itself is written twice.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `!~`
    Operator(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
}

/// A piece and the byte it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// Longer ones first: `<` is the beginning of `<=`.
const OPERATORS: [&str; 8] = ["!=", "!~", "<=", ">=", "=", "<", ">", "~"];

impl Token {
    /// As a message names it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Bare(text) => format!("`{text}`"),
            Self::Quoted(text) => format!("'{text}'"),
            Self::Operator(text) => format!("`{text}`"),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
        }
    }
}

/// The pieces of a condition, or the byte at which it is none and why.
pub(crate) fn words(text: &str) -> Result<Vec<Word>, (usize, String)> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(symbol) = text[at..].chars().next() {
        let rest = &text[at..];
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
        let (token, length) = match (symbol, operator) {
            (symbol, _) if symbol.is_whitespace() => {
                at += symbol.len_utf8();
                continue;
            }
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('\'' | '"', _) => quoted(rest, symbol).ok_or((at, "a quote without an end".into()))?,
            (_, Some(operator)) => (Token::Operator(operator), operator.len()),
            _ => {
                let length = rest.find(|symbol| !is_bare(symbol)).unwrap_or(rest.len());
                if length == 0 {
                    return Err((at, format!("`{symbol}` means nothing here")));
                }
                (Token::Bare(rest[..length].to_owned()), length)
            }
        };
        words.push(Word { token, at });
        at += length;
    }
    Ok(words)
}

fn is_bare(symbol: char) -> bool {
    symbol.is_alphanumeric() || matches!(symbol, '_' | '-' | '.' | '/' | ':' | '*' | '%' | '@')
}

/// A text in quotes at the beginning of `rest`, and its length with them.
fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut symbols = rest.char_indices().skip(1).peekable();
    while let Some((at, symbol)) = symbols.next() {
        if symbol != quote {
            text.push(symbol);
        } else if symbols.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Some((Token::Quoted(text), at + 1));
        }
    }
    None
}
