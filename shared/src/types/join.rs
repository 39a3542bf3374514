//! One type that holds the values of two.

use super::Type;
use super::fit::{Fit, Reader, fit};
use super::inside::loses_zone;
use super::numbers::{decimal, integer, precision};

/// The narrowest type known here that holds every value of both; nothing when there is none.
/// It may be NULL when one of them may.
pub fn join(one: &Type, other: &Type) -> Option<Type> {
    let joined = bare(one.bare(), other.bare())?;
    if one.is_nullable() || other.is_nullable() { joined.nullable() } else { Some(joined) }
}

fn bare(one: &Type, other: &Type) -> Option<Type> {
    if loses_zone(one, other) || loses_zone(other, one) {
        return None;
    }
    if fit(one, other, Reader::Insert) == Fit::Exact && one.is_composite() == other.is_composite() {
        return Some(other.clone());
    }
    if fit(other, one, Reader::Insert) == Fit::Exact && one.is_composite() == other.is_composite() {
        return Some(one.clone());
    }
    match (one, other) {
        (Type::Array(one), Type::Array(other)) => Some(Type::Array(Box::new(join(one, other)?))),
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            Some(Type::Map(Box::new(join(key, other_key)?), Box::new(join(value, other_value)?)))
        }
        _ => plain(one, other),
    }
}

fn plain(one: &Type, other: &Type) -> Option<Type> {
    let ((name, arguments), (other_name, other_arguments)) = (one.plain()?, other.plain()?);
    if let (Some((signed, bits)), Some((other_signed, other_bits))) =
        (integer(name), integer(other_name))
    {
        // Neither holds the other: one is signed, the other is not, and as wide.
        let unsigned = if signed { other_bits } else { bits };
        debug_assert_ne!(signed, other_signed, "equal signs are told by their width");
        return (unsigned < 256).then(|| Type::named(&format!("Int{}", unsigned * 2)));
    }
    let is_time = |name: &str| name.starts_with("Date");
    if is_time(name) && is_time(other_name) {
        let digits =
            |name: &str, of: &[String]| if name == "DateTime64" { precision(of) } else { 0 };
        let digits = digits(name, arguments).max(digits(other_name, other_arguments));
        return Some(Type::with("DateTime64", [digits.to_string(), "'UTC'".to_owned()]));
    }
    if let (Some((digits, scale)), Some((other_digits, other_scale))) =
        (decimal(arguments), decimal(other_arguments))
        && name == "Decimal"
        && other_name == "Decimal"
    {
        let scale_max = scale.max(other_scale);
        let digits = (digits - scale).max(other_digits - other_scale) + scale_max;
        let arguments = [digits.to_string(), scale_max.to_string()];
        return (digits <= 76).then(|| Type::with("Decimal", arguments));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joined_type_holds_both() {
        let of = |one: &str, other: &str| {
            join(&Type::parse(one), &Type::parse(other)).map(|joined| joined.to_string())
        };
        assert_eq!(of("Int32", "Int64").unwrap(), "Int64");
        assert_eq!(of("UInt64", "Int64").unwrap(), "Int128");
        assert_eq!(of("Nullable(Int8)", "UInt8").unwrap(), "Nullable(Int16)");
        assert_eq!(of("Decimal(9, 2)", "Decimal(9, 4)").unwrap(), "Decimal(11, 4)");
        assert_eq!(of("DateTime64(3)", "Date32").unwrap(), "DateTime64(3)");
        assert_eq!(of("Int64", "String").unwrap(), "String");
        assert_eq!(of("Array(Int8)", "Array(Nullable(Int64))").unwrap(), "Array(Nullable(Int64))");
        assert_eq!(of("Array(Int8)", "Int8"), None);
        assert_eq!(of("Date", "String").unwrap(), "String");
        assert_eq!(of("DateTime64(3, 'UTC')", "String"), None);
        assert_eq!(of("Array(String)", "Array(DateTime)"), None);
    }
}
