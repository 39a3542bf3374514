//! Types that hold more than a given one, to see what would be cut off.

use super::Type;
use super::numbers::{decimal, integer, precision};

/// Digits behind the point that are looked at beyond those of the target.
const DIGITS_BEYOND: u32 = 20;
/// Digits of the widest decimal.
const DIGITS_MAX: u32 = 76;

/// The type in which text is read once more to see whether a value of the given type is all of it.
pub(super) fn beyond(name: &str, arguments: &[String]) -> Option<Type> {
    match name {
        // Text of dates alone is read without a look at the calendar: 30 February is 2 March, the
        // thirteenth month is in 1970 or 1900, and 1850 too (26.7).
        "Date" | "Date32" => Some(midnight()),
        "DateTime" => {
            let digits = ["6".to_owned()];
            Some(Type::with("DateTime64", digits.into_iter().chain(arguments.iter().cloned())))
        }
        // With nine digits the years after 2262 are out of reach. Nothing has more, but only a cast looks
        // at the calendar and at the range: a reader takes the thirteenth month for 1900 (26.7).
        "DateTime64" => {
            let wider = if precision(arguments) < 8 { 8 } else { 9 };
            let zone = arguments.iter().skip(1).cloned();
            Some(Type::with("DateTime64", std::iter::once(format!("{wider}")).chain(zone)))
        }
        "Decimal" => {
            let (digits, scale) = decimal(arguments)?;
            let wider = (scale + DIGITS_BEYOND).min(DIGITS_MAX - (digits - scale));
            let arguments = [DIGITS_MAX.to_string(), wider.to_string()];
            (wider > scale).then(|| Type::with("Decimal", arguments))
        }
        _ => None,
    }
}

/// A date as a moment. In a zone of its own, because elsewhere a day may have no midnight.
fn midnight() -> Type {
    Type::with("DateTime64", ["6".to_owned(), "'UTC'".to_owned()])
}

/// The type in which a text format is read for a column of this type, so that nothing is lost on
/// the way: the readers of text wrap numbers and cut digits off without an error. Nothing for
/// types that they read whole.
///
/// Measured: three million rows of CSV with seven columns take as long as with the narrow types.
/// `as_text`: moments and dates can be read as the text that they are.
pub fn widened(to: &Type, as_text: bool) -> Option<Type> {
    match to {
        // A moment may be written as a number, which a wider type would read in another unit.
        Type::Plain { name, .. } if matches!(name.as_str(), "DateTime" | "DateTime64") => {
            beyond(name, to.plain()?.1).filter(|_| as_text).map(|_| Type::named("String"))
        }
        Type::Plain { name, .. } if as_text && matches!(name.as_str(), "Date" | "Date32") => {
            Some(Type::named("String"))
        }
        Type::Nullable(inner) => Some(Type::Nullable(Box::new(widened(inner, as_text)?))),
        Type::LowCardinality(inner) => widened(inner, as_text),
        other => inside(other),
    }
}

/// Are there moments inside whose text may have more digits than they hold? No wider type is read in
/// their place.
pub fn cuts_moments(to: &Type) -> bool {
    match to.bare() {
        Type::Array(item) => cuts_moments(item),
        Type::Map(key, value) => cuts_moments(key) || cuts_moments(value),
        Type::Tuple(items) => items.iter().any(|(_, item)| cuts_moments(item)),
        plain => plain.plain().is_some_and(|(name, arguments)| {
            name.starts_with("DateTime") && beyond(name, arguments).is_some()
        }),
    }
}

/// Are there integers of 256 bits inside? No wider type is read in their place, so text of a number
/// beyond their range wraps, as in a plain INSERT.
pub fn has_widest_integers(to: &Type) -> bool {
    match to.bare() {
        Type::Array(item) => has_widest_integers(item),
        Type::Map(key, value) => has_widest_integers(key) || has_widest_integers(value),
        Type::Tuple(items) => items.iter().any(|(_, item)| has_widest_integers(item)),
        plain => plain.plain_name().and_then(integer).is_some_and(|(_, bits)| bits == 256),
    }
}

/// As [`widened`], of what a value holds.
fn inside(to: &Type) -> Option<Type> {
    let or_same = |kind: &Type| inside(kind).unwrap_or_else(|| kind.clone());
    match to {
        Type::Nullable(inner) => Some(Type::Nullable(Box::new(inside(inner)?))),
        Type::LowCardinality(inner) => inside(inner),
        Type::Array(inner) => Some(Type::Array(Box::new(inside(inner)?))),
        Type::Map(key, value) => {
            if inside(key).is_none() && inside(value).is_none() {
                return None;
            }
            Some(Type::Map(Box::new(or_same(key)), Box::new(or_same(value))))
        }
        Type::Tuple(items) => items.iter().any(|(_, item)| inside(item).is_some()).then(|| {
            Type::Tuple(items.iter().map(|(name, item)| (name.clone(), or_same(item))).collect())
        }),
        Type::Plain { name, arguments } => match name.as_str() {
            name if integer(name).is_some_and(|(_, bits)| bits <= 64) => {
                Some(Type::named("Int128"))
            }
            "Int128" | "UInt128" => Some(Type::named("Int256")),
            "Date" | "Date32" | "Decimal" => beyond(name, arguments),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_dates_and_decimals_are_read_wider() {
        let of = |text: &str| widened(&Type::parse(text), true).map(|wider| wider.to_string());
        assert_eq!(of("UInt8").unwrap(), "Int128");
        assert_eq!(of("UInt128").unwrap(), "Int256");
        assert_eq!(of("Nullable(Date)").unwrap(), "Nullable(String)");
        assert_eq!(of("LowCardinality(Nullable(UInt8))").unwrap(), "Nullable(Int128)");
        assert_eq!(of("Decimal(9, 2)").unwrap(), "Decimal(76, 22)");
        assert_eq!(of("DateTime('UTC')").unwrap(), "String");
        assert_eq!(of("Map(String, Array(UInt8))").unwrap(), "Map(String, Array(Int128))");
        assert_eq!(
            of("Tuple(a String, b Date)").unwrap(),
            "Tuple(`a` String, `b` DateTime64(6, 'UTC'))"
        );
        let of_rule = widened(&Type::parse("Date32"), false);
        assert_eq!(of_rule.unwrap().to_string(), "DateTime64(6, 'UTC')");
        assert_eq!(widened(&Type::parse("DateTime"), false), None);
        for text in ["String", "UInt256", "Float32", "Array(DateTime)", "Enum8('a' = 1)"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
