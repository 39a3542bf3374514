//! The text of a type, as `DESCRIBE` and `system.columns` write it, taken apart.

use super::Type;

impl Type {
    /// Reads the text of a type. What cannot be taken apart is kept whole, as a name.
    pub fn parse(text: &str) -> Self {
        parse(text)
    }
}

/// Reads a type. What is not understood stays whole.
fn parse(text: &str) -> Type {
    let text = text.trim();
    let (name, inner) = match text.find('(') {
        Some(at) if text.ends_with(')') => (text[..at].trim(), &text[at + 1..text.len() - 1]),
        _ => return Type::named(text),
    };
    let items = split(inner);
    let only = || Box::new(parse(inner));
    match (name, items.as_slice()) {
        ("Nullable", [_]) => Type::Nullable(only()),
        ("LowCardinality", [_]) => Type::LowCardinality(only()),
        ("Array", [_]) => Type::Array(only()),
        // What a table takes from such a column is the value, not the state of a function.
        ("SimpleAggregateFunction", [_, value]) => parse(value),
        ("Map", [key, value]) => Type::Map(Box::new(parse(key)), Box::new(parse(value))),
        ("Tuple", items) => Type::Tuple(items.iter().map(|item| element(item)).collect()),
        ("Nested", items) => {
            Type::Array(Box::new(Type::Tuple(items.iter().map(|item| element(item)).collect())))
        }
        _ => Type::with(name, items.iter().map(|item| item.trim().to_owned())),
    }
}

/// An element of a tuple: a type, or a name and a type.
fn element(text: &str) -> (Option<String>, Type) {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('`') {
        let (name, length) = quoted(rest);
        return (Some(name), parse(&rest[length..]));
    }
    // A name is followed by a space before any bracket; a type alone has none there.
    let end = text.find(|symbol: char| !(symbol.is_alphanumeric() || symbol == '_'));
    match end {
        Some(at) if text[at..].starts_with(char::is_whitespace) => {
            (Some(text[..at].to_owned()), parse(&text[at..]))
        }
        _ => (None, parse(text)),
    }
}

/// The name up to the closing back quote, and the length with it.
fn quoted(text: &str) -> (String, usize) {
    let mut name = String::new();
    let mut symbols = text.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        match symbol {
            '\\' => name.extend(symbols.next().map(|(_, escaped)| escaped)),
            '`' => return (name, at + 1),
            symbol => name.push(symbol),
        }
    }
    (name, text.len())
}

/// Arguments between commas that stand outside brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut start, mut quote) = (0_usize, 0, None);
    let mut symbols = text.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        match (quote, symbol) {
            (Some(_), '\\') => drop(symbols.next()),
            (Some(open), symbol) if symbol == open => quote = None,
            (None, '\'' | '`') => quote = Some(symbol),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        items.push(&text[start..]);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_it_was_read() {
        for text in [
            "UInt8",
            "Decimal(9, 2)",
            "DateTime64(3, 'Europe/Berlin')",
            "LowCardinality(Nullable(String))",
            "Map(String, Array(Tuple(`a` UInt8, `b c` Nullable(Date))))",
            "Tuple(UInt8, String)",
            "Enum8('a,(' = -3, 'it\\'s' = 2)",
            "AggregateFunction(sum, UInt64)",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn lines_and_nested_columns_are_understood() {
        assert_eq!(
            parse("Tuple(\n    x Nullable(Int64),\n    y String)").to_string(),
            "Tuple(`x` Nullable(Int64), `y` String)"
        );
        assert_eq!(parse("Nested(x Int64)").to_string(), "Array(Tuple(`x` Int64))");
        assert_eq!(parse("SimpleAggregateFunction(max, DateTime)").to_string(), "DateTime");
    }
}
