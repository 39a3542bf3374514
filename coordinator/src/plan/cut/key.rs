//! Which columns of a key can be bounds, and how the server writes their values.

use longshore_shared::sql::{quote_identifier, quote_literal};
use longshore_shared::task::KeyColumn;

/// A literal that is longer does not belong into a task.
const TEXT_BYTES_MAX: usize = 512;

/// A key column as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexColumn {
    /// As conditions have it.
    pub(crate) column: KeyColumn,
    /// Its quoted name in the index.
    name: String,
    /// Its type without Nullable and LowCardinality.
    inner: String,
}

impl IndexColumn {
    /// `None` when its values make no safe bounds: the usable key ends before it.
    pub(crate) fn new(
        index_name: &str,
        expression: String,
        type_name: &str,
        descending: bool,
    ) -> Option<Self> {
        let (inner, nullable) = unwrap(type_name);
        let name = quote_identifier(index_name);
        literal(inner, &name)?;
        let column =
            KeyColumn { expression, type_name: type_name.to_owned(), descending, nullable };
        Some(Self { column, name, inner: inner.to_owned() })
    }

    /// For ORDER BY: the order of the rows in a part.
    pub(crate) fn order(&self) -> String {
        // NULL and NaN are the greatest values whichever way the key is sorted.
        if self.column.descending {
            format!("{} DESC NULLS FIRST", self.name)
        } else {
            format!("{} ASC NULLS LAST", self.name)
        }
    }

    /// Arguments of a hash that are the same for equal values and never NULL: there are two zeros and
    /// many NaNs, and a hash of NULL is NULL.
    pub(crate) fn hashed(&self) -> String {
        let (name, inner) = (&self.name, quote_literal(&self.inner));
        let value = if self.column.nullable {
            format!("ifNull({name}, defaultValueOfTypeName({inner}))")
        } else {
            name.clone()
        };
        let value = if self.column.has_nan() {
            format!("if(isNaN({value}), nan, {value} + 0)")
        } else {
            value
        };
        if self.column.nullable { format!("isNull({name}), {value}") } else { value }
    }

    /// Is it not what the index shows for a column that it does not hold?
    pub(crate) fn is_set(&self) -> String {
        let (name, inner) = (&self.name, &self.inner);
        if inner.starts_with("Enum") {
            return format!("ifNull(toInt16({name}) != 0, 0)");
        }
        format!("ifNull({name} != defaultValueOfTypeName({}), 0)", quote_literal(inner))
    }

    /// Can it be written as a literal of bounded length?
    pub(crate) fn is_fit(&self) -> String {
        match self.inner.as_str() {
            "String" => format!("ifNull(length({}) <= {TEXT_BYTES_MAX}, 1)", self.name),
            _ => "1".to_owned(),
        }
    }

    /// An expression for the value as a literal.
    pub(crate) fn literal(&self) -> String {
        let name = &self.name;
        let value =
            if self.column.nullable { format!("assumeNotNull({name})") } else { name.clone() };
        let text = literal(&self.inner, &value).unwrap_or_else(|| "''".to_owned());
        if self.column.nullable { format!("if(isNull({name}), 'NULL', {text})") } else { text }
    }
}

/// The type inside, and whether it is nullable.
fn unwrap(type_name: &str) -> (&str, bool) {
    let inside =
        |name: &str| type_name.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(unwrap);
    if let Some((inner, nullable)) = inside("LowCardinality") {
        return (inner, nullable);
    }
    inside("Nullable").map_or((type_name, false), |(inner, _)| (inner, true))
}

/// An expression that gives the text of a literal of this type, equal to the value.
fn literal(inner: &str, value: &str) -> Option<String> {
    let (name, arguments) = inner.split_once('(').unwrap_or((inner, ""));
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
    let text = format!("toString({value})");
    Some(match name {
        "UInt8" | "UInt16" | "UInt32" | "UInt64" | "Int8" | "Int16" | "Int32" | "Int64"
        | "Bool" => text,
        "Int128" | "Int256" | "UInt128" | "UInt256" | "Date" | "Date32" | "UUID" | "IPv4"
        | "IPv6" => wrapped(&format!("to{name}("), &text, ")"),
        "Float32" | "Float64" => {
            let typed = wrapped(&format!("to{name}("), &text, ")");
            format!("if(isNaN({value}), 'nan', {typed})")
        }
        "DateTime" => wrapped("toDateTime(", &format!("toString({value}, 'UTC')"), ", 'UTC')"),
        "DateTime64" => {
            let precision = arguments.split(',').next()?.trim();
            let text = format!("toString({value}, 'UTC')");
            wrapped("toDateTime64(", &text, &format!(", {precision}, 'UTC')"))
        }
        "Decimal" => wrapped("CAST(", &text, &format!(", {})", quote_literal(inner))),
        "String" => bytes(value),
        "FixedString" => format!(
            "concat('toFixedString(', {}, ', {arguments})')",
            bytes(&format!("toString({value})"))
        ),
        "Enum8" | "Enum16" => bytes(&text),
        "Tuple" => tuple(arguments, value)?,
        _ => return None,
    })
}

/// A tuple of values that compare as plain ones: no NULL and no NaN.
fn tuple(arguments: &str, value: &str) -> Option<String> {
    let mut texts = Vec::new();
    for (at, element) in split(arguments).into_iter().enumerate() {
        // `Int8`, or `name Int8` in a tuple with names.
        let is_type = |text: &str| literal(text, value).is_some();
        let named = || element.split_once(' ').map(|(_, text)| text).filter(|text| is_type(text));
        let inner = Some(element).filter(|text| is_type(text)).or_else(named)?;
        if inner.starts_with("Float") {
            return None;
        }
        texts.push(literal(inner, &format!("tupleElement({value}, {})", at + 1))?);
    }
    Some(format!("concat('tuple(', {}, ')')", texts.join(", ', ', ")))
}

/// The types of a tuple.
fn split(arguments: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0, false, false);
    let elements = arguments.split(|symbol| {
        match symbol {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '\'' | '`' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        symbol == ',' && depth == 0 && !is_quoted
    });
    elements.map(str::trim).collect()
}

/// `before'text'after`.
fn wrapped(before: &str, text: &str, after: &str) -> String {
    format!(
        "concat({}, {text}, {})",
        quote_literal(&format!("{before}'")),
        quote_literal(&format!("'{after}"))
    )
}

/// Plain text in quotes, any other bytes in hex.
fn bytes(value: &str) -> String {
    // Without quote and backslash there is nothing that could end or change the literal.
    let plain = quote_literal(r"^[ -&(-\[\]-~]*$");
    format!(
        "if(match({value}, {plain}), concat('\\'', {value}, '\\''), concat('unhex(\\'', hex({value}), '\\')'))"
    )
}
