//! Does every value of one type have its like in another?

use super::Type;
use super::numbers::{decimal, integer, precision};

/// Who converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The reader of a file format, given the type of the target. Formats store UUIDs, large
    /// numbers and addresses as bytes, dates as numbers and enums by name; only their reader knows.
    /// A `String` is text, and the reader casts it as an INSERT does.
    Format,
    /// The same of a format that has no other type than `String` for such bytes: only its reader
    /// tells them from text.
    FormatOfBytes,
    /// `INSERT … SELECT`, by a cast.
    Insert,
}

impl Reader {
    /// The reader of this format (26.7; Parquet, Arrow and Avro have `FixedString` for bytes).
    pub fn of(format: &str) -> Self {
        match format {
            "ORC" | "BSONEachRow" | "MsgPack" => Self::FormatOfBytes,
            _ => Self::Format,
        }
    }

    /// Who converts a value of this type?
    fn for_values_of(self, from: &str) -> Self {
        if self == Self::Format && from == "String" { Self::Insert } else { self }
    }

    fn is_of_format(self) -> bool {
        self != Self::Insert
    }
}

/// What becomes of values on their way from one type to another. Of what holds several the last of these
/// counts: what is done for it sees to those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Each has its like, or the conversion fails by itself.
    Exact,
    /// Each has its like, but for NULL.
    Nulls,
    /// Digits are rounded, as floating point numbers are.
    Rounded,
    /// Digits are rounded, and a number that is too large becomes infinite.
    Overflow,
    /// Numbers that are too large wrap; `accurateCast` fails instead.
    Range,
    /// A value may be cut off or saturate; it shows when it is converted back.
    Back,
    /// Text that names a value beyond the type's range or digits becomes another one; it shows when
    /// the text is read in a wider type too.
    Text,
    /// Not known here.
    Unknown,
}

/// What becomes of values of `from` in a column of type `to`.
pub fn fit(from: &Type, to: &Type, reader: Reader) -> Fit {
    let nulls = if from.is_nullable() && !to.is_nullable() { Fit::Nulls } else { Fit::Exact };
    let is_nullable = to.is_nullable();
    let (from, to) = (from.bare(), to.bare());
    let fits = match (from, to) {
        (from, to) if from == to => Fit::Exact,
        (Type::Array(from), Type::Array(to)) => fit(from, to, reader),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            fit(key, to_key, reader).max(fit(value, to_value, reader))
        }
        (Type::Tuple(from), Type::Tuple(to)) => tuple(from, to, reader),
        (from, Type::Plain { name, .. })
            if ["JSON", "Object", "Dynamic", "Variant"].contains(&name.as_str())
                && (from.is_composite() || is_text(from)) =>
        {
            Fit::Exact
        }
        _ => match (from.plain(), to.plain()) {
            (Some(from), Some(to)) => {
                let reader = reader.for_values_of(from.0);
                match plain(from, to, reader) {
                    Fit::Exact if is_nullable => null_of_text(from, to, reader),
                    fits => fits,
                }
            }
            _ => Fit::Unknown,
        },
    };
    nulls.max(fits)
}

/// A cast of text that does not parse into a nullable type is no error: it makes NULL (26.7). So is
/// one of more bytes than a `FixedString` has.
fn null_of_text(from: Named<'_>, to: Named<'_>, reader: Reader) -> Fit {
    let bits = match to.0 {
        "UUID" | "IPv6" => Some(128),
        "IPv4" => Some(32),
        name => integer(name).map(|(_, bits)| bits).filter(|bits| *bits > 64),
    };
    // The file has text or bytes here; only the format's reader tells them apart.
    let may_be_bytes = reader.is_of_format()
        && (bits.is_some() || decimal(to.1).is_some_and(|(digits, _)| digits > 38));
    let size = || from.1.first()?.parse::<u32>().ok();
    match (from.0, to.0) {
        ("String" | "FixedString", "String") => Fit::Exact,
        ("FixedString", "FixedString")
            if size() <= to.1.first().and_then(|size| size.parse().ok()) =>
        {
            Fit::Exact
        }
        ("FixedString", _) if may_be_bytes && size().map(|bytes| bytes * 8) == bits => Fit::Exact,
        ("String" | "FixedString", _) if may_be_bytes => Fit::Unknown,
        ("String" | "FixedString", _) => Fit::Range,
        _ => Fit::Exact,
    }
}

pub(super) type Element = (Option<String>, Type);

/// Elements go by name where both have names, else by place.
fn tuple(from: &[Element], to: &[Element], reader: Reader) -> Fit {
    let has_names = |items: &[Element]| items.iter().all(|(name, _)| name.is_some());
    if has_names(from) && has_names(to) {
        let each = from.iter().map(|(name, from)| {
            let to = to.iter().find(|(to_name, _)| to_name == name);
            to.map_or(Fit::Unknown, |(_, to)| fit(from, to, reader))
        });
        return each.max().unwrap_or(Fit::Exact);
    }
    if from.len() != to.len() {
        return Fit::Unknown;
    }
    let each = from.iter().zip(to).map(|((_, from), (_, to))| fit(from, to, reader));
    each.max().unwrap_or(Fit::Exact)
}

type Named<'a> = (&'a str, &'a [String]);

#[allow(clippy::match_same_arms, reason = "each arm is a fact of its own")]
fn plain(from: Named<'_>, to: Named<'_>, reader: Reader) -> Fit {
    if let (Some(from), Some(to)) = (integer(from.0), integer(to.0)) {
        let is_wider = match (from.0, to.0) {
            (true, false) => false,
            (false, true) => from.1 < to.1,
            _ => from.1 <= to.1,
        };
        return if is_wider { Fit::Exact } else { Fit::Range };
    }
    let by_format = reader.is_of_format();
    match (from.0, to.0) {
        ("String" | "FixedString", "String" | "FixedString" | "Enum8" | "Enum16" | "Enum") => {
            Fit::Exact
        }
        ("FixedString", _) if by_format => Fit::Exact,
        // A cast copies such bytes as they lie in memory.
        ("FixedString", "UUID" | "IPv6") => Fit::Unknown,
        // Text of these either reads as it is or fails.
        ("String" | "FixedString", "UUID" | "IPv4" | "IPv6" | "Bool" | "Float32" | "Float64")
            if by_format =>
        {
            Fit::Exact
        }
        // Formats without such numbers hold their bytes.
        ("String", to) if by_format && integer(to).is_some_and(|(_, bits)| bits > 64) => Fit::Exact,
        ("String", "Decimal")
            if by_format && decimal(to.1).is_some_and(|(digits, _)| digits > 38) =>
        {
            Fit::Unknown
        }
        ("String" | "FixedString", to) if integer(to).is_some() => Fit::Range,
        (
            "String" | "FixedString",
            "Date" | "Date32" | "DateTime" | "DateTime64" | "Decimal" | "UUID" | "IPv4" | "IPv6"
            | "Float32" | "Float64" | "Bool",
        ) => match super::widen::beyond(to.0, to.1) {
            Some(_) => Fit::Text,
            None => Fit::Exact,
        },
        ("Bool", to) if integer(to).is_some() => Fit::Exact,
        (from, "Bool") if integer(from).is_some() => Fit::Back,
        (_, "String") => Fit::Exact,
        // The same names under the same numbers; a reader of bytes knows the numbers alone.
        ("Enum8" | "Enum16", "Enum8" | "Enum16") => {
            if from.1.iter().all(|element| to.1.contains(element)) {
                Fit::Exact
            } else {
                Fit::Range
            }
        }
        // A reader takes a number that is no member, and then nobody can read the column.
        (from, "Enum8" | "Enum16") if integer(from).is_some() => Fit::Range,
        ("Float32" | "BFloat16", "Float64") | ("BFloat16", "Float32") => Fit::Exact,
        ("Float64", "Float32") => Fit::Overflow,
        // The largest Float32 is 3.4e38.
        ("Decimal", "Float32")
            if decimal(from.1).is_none_or(|(digits, scale)| digits - scale > 38) =>
        {
            Fit::Overflow
        }
        ("Decimal", "Float32" | "Float64") => Fit::Rounded,
        ("Float32" | "Float64", to) if integer(to).is_some() => Fit::Range,
        (from, "Float32" | "Float64") if integer(from).is_some() => {
            let (signed, bits) = integer(from).unwrap_or((true, 256));
            let digits = if to.0 == "Float32" { 24 } else { 53 };
            if bits - u32::from(signed) <= digits { Fit::Exact } else { Fit::Range }
        }
        ("Float32" | "Float64", "Decimal") => Fit::Back,
        _ => numbers_and_times(from, to, by_format),
    }
}

#[allow(clippy::match_same_arms, reason = "each arm is a fact of its own")]
fn numbers_and_times(from: Named<'_>, to: Named<'_>, by_format: bool) -> Fit {
    match (from.0, to.0) {
        ("Decimal", "Decimal") => match (decimal(from.1), decimal(to.1)) {
            (Some((digits, scale)), Some((to_digits, to_scale)))
                if to_scale >= scale && to_digits - to_scale >= digits - scale =>
            {
                Fit::Exact
            }
            _ => Fit::Back,
        },
        (from, "Decimal") if integer(from).is_some() => {
            let (_, bits) = integer(from).unwrap_or((true, 256));
            // log10(2) = 0.301: the digits that so many bits can have.
            let digits = bits * 302 / 1000 + 1;
            match decimal(to.1) {
                Some((to_digits, scale)) if to_digits - scale >= digits => Fit::Exact,
                _ => Fit::Back,
            }
        }
        ("Decimal", to) if integer(to).is_some() => Fit::Back,
        ("Date", "Date32") | ("Date" | "DateTime" | "Date32", "DateTime64") => {
            // Nine digits leave room for the years 1677 to 2262 only.
            if to.0 == "DateTime64" && from.0 == "Date32" && precision(to.1) == 9 {
                Fit::Back
            } else {
                Fit::Exact
            }
        }
        ("DateTime", "DateTime") => Fit::Exact,
        ("DateTime64", "DateTime64") => {
            let (from, to) = (precision(from.1), precision(to.1));
            if to == from || (to > from && to < 9) { Fit::Exact } else { Fit::Back }
        }
        ("Date" | "Date32" | "DateTime" | "DateTime64", "Date" | "Date32" | "DateTime") => {
            Fit::Back
        }
        ("UInt16", "Date") | ("UInt32", "DateTime" | "IPv4") | ("IPv4", "IPv6") => Fit::Exact,
        // What the server itself writes for these types where a format has none of them.
        ("Int32", "Date" | "Date32") | ("Int64", "DateTime64") if by_format => Fit::Exact,
        _ => Fit::Unknown,
    }
}

/// Is it text that a cast into the other type may find to be none of its values?
pub(super) fn needs_parsing(from: &Type, to: &Type) -> bool {
    let is_word = matches!(from.plain(), Some(("String" | "FixedString", _)));
    is_word && !matches!(fit(from, to, Reader::Insert), Fit::Exact | Fit::Nulls)
}

pub(super) fn is_text(kind: &Type) -> bool {
    kind.plain().is_some_and(|(name, _)| name == "String")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &str, to: &str) -> Fit {
        fit(&Type::parse(from), &Type::parse(to), Reader::Format)
    }

    #[test]
    fn a_wider_type_keeps_every_value() {
        for (from, to) in [
            ("UInt8", "UInt64"),
            ("UInt32", "Int64"),
            ("Int32", "Float64"),
            ("String", "LowCardinality(Nullable(String))"),
            ("Date", "Date32"),
            ("Decimal(9, 2)", "Decimal(18, 4)"),
            ("Int32", "Decimal(18, 2)"),
            ("DateTime64(3)", "DateTime64(6, 'UTC')"),
            ("FixedString(16)", "UUID"),
            ("FixedString(16)", "Nullable(UUID)"),
            ("FixedString(4)", "Nullable(FixedString(8))"),
            ("Array(Int32)", "Array(Int64)"),
            ("Tuple(b Int8, a Int8)", "Tuple(a Int64, b Int8)"),
        ] {
            assert_eq!(of(from, to), Fit::Exact, "{from} {to}");
        }
    }

    #[test]
    fn a_narrower_type_does_not() {
        for (from, to, fit) in [
            ("UInt64", "UInt32", Fit::Range),
            ("Int8", "UInt64", Fit::Range),
            ("UInt32", "Int32", Fit::Range),
            ("Int64", "Float64", Fit::Range),
            ("Float64", "UInt8", Fit::Range),
            ("String", "UInt64", Fit::Range),
            ("Nullable(Int64)", "Int64", Fit::Nulls),
            ("Array(Nullable(Int64))", "Array(Int64)", Fit::Nulls),
            ("DateTime64(6)", "DateTime64(3)", Fit::Back),
            ("DateTime64(3)", "Date", Fit::Back),
            ("Float64", "Decimal(9, 2)", Fit::Back),
            ("Decimal(18, 4)", "Decimal(18, 2)", Fit::Back),
            ("String", "Date", Fit::Text),
            ("String", "Decimal(9, 2)", Fit::Text),
            ("Float64", "Float32", Fit::Overflow),
            ("Decimal(76, 20)", "Float32", Fit::Overflow),
            ("Decimal(38, 0)", "Float32", Fit::Rounded),
            ("Tuple(a Float64, b Int64)", "Tuple(a Float32, b Int8)", Fit::Range),
            ("Tuple(a Int8, z Int8)", "Tuple(a Int8)", Fit::Unknown),
            ("Map(String, Int64)", "Map(String, Int8)", Fit::Range),
            ("FixedString(8)", "LowCardinality(Nullable(FixedString(4)))", Fit::Range),
            ("Array(String)", "Array(Nullable(FixedString(4)))", Fit::Range),
            ("String", "Nullable(Float64)", Fit::Range),
            ("String", "Nullable(UUID)", Fit::Range),
            ("String", "Nullable(IPv6)", Fit::Range),
            ("String", "Int128", Fit::Range),
        ] {
            assert_eq!(of(from, to), fit, "{from} {to}");
        }
    }

    #[test]
    fn only_the_reader_of_a_format_without_bytes_tells_them_from_text() {
        let of = |from, to| fit(&Type::parse(from), &Type::parse(to), Reader::of("ORC"));
        assert_eq!(of("String", "UUID"), Fit::Exact);
        assert_eq!(of("String", "Int128"), Fit::Exact);
        assert_eq!(of("String", "Nullable(UUID)"), Fit::Unknown);
    }

    #[test]
    fn a_cast_takes_bytes_for_text() {
        let cast = |from, to| fit(&Type::parse(from), &Type::parse(to), Reader::Insert);
        assert_eq!(cast("FixedString(16)", "UUID"), Fit::Unknown);
        assert_eq!(cast("String", "UInt64"), Fit::Range);
        assert_eq!(cast("UInt32", "DateTime"), Fit::Exact);
    }
}
