//! What two types have inside, at the same places.

use super::Type;
use super::fit::{Element, Fit, Reader, fit, is_text};
use super::numbers::{decimal, integer};

/// Is there a value inside that only the reader of the format can convert?
pub fn needs_reader(format: &str, from: &Type, to: &Type) -> bool {
    let reader = Reader::of(format);
    any_inside(from, to, &|from, to| {
        fit(from, to, reader) == Fit::Exact && fit(from, to, Reader::Insert) > Fit::Nulls
    })
}

/// The type in the file, but for the values inside that only the reader of the format can convert:
/// these have the target's. So the rest can be read as it is stored, and looked at.
pub fn for_reader(format: &str, from: &Type, to: &Type) -> Type {
    let for_reader = |from: &Type, to: &Type| for_reader(format, from, to);
    let inner = match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => Type::Array(Box::new(for_reader(from, to))),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            Type::Map(Box::new(for_reader(key, to_key)), Box::new(for_reader(value, to_value)))
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            let items = from.iter().enumerate().map(|(at, (name, from))| {
                let like = place(to, at, name.as_deref());
                (name.clone(), like.map_or_else(|| from.clone(), |at| for_reader(from, &to[at].1)))
            });
            Type::Tuple(items.collect())
        }
        (from_bare, to_bare) => {
            if !needs_reader(format, from_bare, to_bare)
                && !may_be_bytes(format, from_bare, to_bare)
            {
                return from.clone();
            }
            to_bare.clone()
        }
    };
    if from.is_nullable() { inner.nullable().unwrap_or(inner) } else { inner }
}

/// Are there bytes that the reader of the format takes for a number? Parquet, ORC and Arrow have no
/// integers of 128 and 256 bits; the bytes do not say whether the number has a sign.
pub fn has_bytes_of_numbers(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        from.plain_name() == Some("FixedString")
            && to.plain_name().and_then(integer).is_some_and(|(_, bits)| bits >= 128)
    })
}

/// Text that may be the bytes of a UUID or an address: ORC has no other type for them (26.7). Its
/// reader knows the bytes, and a cast takes them for text.
fn may_be_bytes(format: &str, from: &Type, to: &Type) -> bool {
    Reader::of(format) == Reader::FormatOfBytes
        && is_text(from)
        && matches!(to.plain(), Some(("UUID" | "IPv6", _)))
}

/// Is there text, also inside, of which the reader of this format makes NULL when it cannot read it? Nobody
/// else can tell it from bytes.
pub fn may_become_null(format: &str, from: &Type, to: &Type) -> bool {
    let within = |from: &Type, to: &Type| may_become_null(format, from, to);
    let reader = Reader::of(format);
    match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => within(from, to),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            within(key, to_key) || within(value, to_value)
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.iter().enumerate().any(|(at, (name, from))| {
                place(to, at, name.as_deref()).is_some_and(|at| within(from, &to[at].1))
            })
        }
        (from, _) => {
            reader == Reader::FormatOfBytes
                && to.is_nullable()
                && is_text(from)
                && fit(from, to, reader) == Fit::Unknown
        }
    }
}

/// Does the reader of this format take what is stored for the type that it is given, numbers apart?
/// Avro's takes the days of a date for seconds, 5 for a `Decimal` of 0.05 and the bytes of a decimal
/// for text (26.7).
pub fn reads_as_stored(format: &str) -> bool {
    format == "Avro"
}

/// Is there a value inside that a cast converts and the reader of this format does not? Avro's knows
/// numbers alone, and ORC's takes the days of a date for seconds,
/// for parts of a second, or for text (26.7).
pub fn needs_cast(format: &str, from: &Type, to: &Type) -> bool {
    let is_number = |kind: &Type| {
        let name = kind.plain().map_or("", |(name, _)| name);
        integer(name).is_some() || name.starts_with("Float") || name == "Bool"
    };
    let is_word = |kind: &Type| {
        let name = kind.plain().map_or("", |(name, _)| name);
        name.ends_with("String") || name.starts_with("Enum")
    };
    let is_day = |kind: &Type| matches!(kind.plain_name(), Some("Date" | "Date32"));
    let is_moment = |kind: &Type| kind.plain_name().is_some_and(|n| n.starts_with("DateTime"));
    any_inside(from, to, &|from, to| match format {
        _ if reads_as_stored(format) => {
            let is_same =
                from == to || is_number(from) && is_number(to) || is_word(from) && is_word(to);
            !is_same && fit(from, to, Reader::Insert) != Fit::Unknown
        }
        "ORC" => is_day(from) && (is_moment(to) || is_word(to)),
        _ => false,
    })
}

/// Is there an integer where the other type has a date?
pub fn has_days(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        from.plain().is_some_and(|(name, _)| integer(name).is_some())
            && matches!(to.plain(), Some(("Date" | "Date32", _)))
    })
}

/// Is there a number or a moment inside where the other type has a date, a moment or a decimal? Of
/// large decimals a format may have the bytes.
pub fn has_units(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        let is_word = matches!(from.plain(), Some(("String" | "FixedString", _)));
        to.plain().is_some_and(|(name, arguments)| {
            let is_large = decimal(arguments).is_some_and(|(digits, _)| digits > 18);
            (name.starts_with("Date") && !is_word) || (name == "Decimal" && (!is_word || is_large))
        })
    })
}

/// Is there a whole number inside where the other type has a date or a moment? Whether it counts days,
/// seconds or parts of a second depends on the reader of the format, and no file says it.
pub fn has_numbers_of_moments(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        from.plain_name().and_then(integer).is_some()
            && to.plain_name().is_some_and(|name| name.starts_with("Date"))
    })
}

/// Is there text inside where the other type has a date or a moment?
pub fn has_text_of_moments(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        is_text(from) && to.plain().is_some_and(|(name, _)| name.starts_with("Date"))
    })
}

/// Is there a moment inside where the other type has text? The text is of the moment's own zone, and
/// who reads it again takes it for one of the column's.
pub(super) fn loses_zone(from: &Type, to: &Type) -> bool {
    any_inside(from, to, &|from, to| {
        from.plain().is_some_and(|(name, _)| name.starts_with("DateTime")) && is_text(to)
    })
}

/// Does it hold for two plain types that stand at the same place?
fn any_inside(from: &Type, to: &Type, holds: &impl Fn(&Type, &Type) -> bool) -> bool {
    match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => any_inside(from, to, holds),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            any_inside(key, to_key, holds) || any_inside(value, to_value, holds)
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.iter().enumerate().any(|(at, (name, from))| {
                place(to, at, name.as_deref()).is_some_and(|at| any_inside(from, &to[at].1, holds))
            })
        }
        (from, to) => holds(from, to),
    }
}

/// Where a tuple has the element of this name, or else of this place.
pub(super) fn place(items: &[Element], at: usize, name: Option<&str>) -> Option<usize> {
    let by_name = items.iter().position(|(other, _)| name.is_some() && other.as_deref() == name);
    by_name.or_else(|| (at < items.len()).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_cast_cannot_convert_is_left_to_the_reader() {
        let of = |from, to| for_reader("ORC", &Type::parse(from), &Type::parse(to)).to_string();
        for (from, to, read) in [
            ("Nullable(Int64)", "UInt8", "Nullable(Int64)"),
            ("Nullable(String)", "IPv6", "Nullable(IPv6)"),
            ("FixedString(16)", "UUID", "UUID"),
            (
                "Tuple(x Nullable(Int8), y Nullable(String))",
                "Tuple(x UInt8, y IPv6)",
                "Tuple(x Nullable(Int8), y Nullable(IPv6))",
            ),
            (
                "Map(String, Array(Nullable(String)))",
                "Map(String, Array(UUID))",
                "Map(String, Array(Nullable(UUID)))",
            ),
            ("Tuple(x Int64, z String)", "Tuple(x Int32, y String)", "Tuple(x Int64, z String)"),
        ] {
            assert_eq!(of(from, to), Type::parse(read).to_string(), "{from} into {to}");
        }
        // Parquet has a type of its own for the bytes, so text is text.
        let text = for_reader("Parquet", &Type::parse("String"), &Type::parse("UUID"));
        assert_eq!(text.to_string(), "String");
    }

    #[test]
    fn what_a_reader_of_numbers_does_not_convert() {
        let of = |from, to| needs_cast("Avro", &Type::parse(from), &Type::parse(to));
        for (from, to) in [
            ("Date32", "DateTime64(3)"),
            ("Int32", "Decimal(9, 2)"),
            ("Array(Tuple(x Decimal(9, 2)))", "Array(Tuple(x String))"),
            ("Decimal(9, 2)", "Decimal(18, 4)"),
        ] {
            assert!(of(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("Int32", "Int64"),
            ("Bool", "UInt8"),
            ("Nullable(Decimal(9, 2))", "Decimal(9, 2)"),
            ("FixedString(16)", "UUID"),
            ("Enum8('a' = 0)", "String"),
        ] {
            assert!(!of(from, to), "{from} {to}");
        }
    }
}
