//! A conversion that fails where a value would be lost, as SQL.

use super::Type;
use super::fit::{Fit, Reader, fit};
use super::widen::beyond;
use crate::sql::quote_literal;

/// What becomes of NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// It stays NULL: the column takes it, or puts its default there.
    Stay,
    /// It fails: the column has no place for it, and no default that somebody chose.
    Fail,
}

/// The SQL of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The value in the other type; fails where it does not fit.
    pub expression: String,
    /// Holds for values that do not fit.
    pub misfit: String,
}

/// Converts `column`, which is SQL of type `from`, into `to`.
///
/// A cast of `Nullable(String)` gives NULL where the text does not parse, and so does
/// `accurateCast` (measured on 26.7), so NULL is taken off before. That NULL must not be there is
/// never left to a cast: compiled expressions (`compile_expressions`, after three times the same)
/// make 0 of it (26.7: `CAST(CAST(c, 'UInt32'), 'UInt32')` over `Nullable(UInt32)`).
pub fn conversion(column: &str, name: &str, from: &Type, to: &Type, nulls: Nulls) -> Conversion {
    let (from_plain, to_plain) = (from.not_null(), to.not_null());
    let value =
        if from.is_nullable() { format!("assumeNotNull({column})") } else { column.to_owned() };
    let message = quote_literal(&format!("a value of column {name} does not fit {to}"));
    let how = How::of(&from_plain, &to_plain);
    let converted = how.convert(&value, &from_plain, &to_plain, &message);
    let known = format!("assumeNotNull({column})");
    let known = if from.is_nullable() { known.as_str() } else { column };
    let misfit = how.misfit(known, &from_plain, &to_plain);
    let (expression, misfit) = match (from.is_nullable(), nulls) {
        (false, _) => (converted, misfit),
        (true, Nulls::Stay) => (
            format!("if(isNull({column}), NULL, {converted})"),
            format!("isNotNull({column}) AND ({misfit})"),
        ),
        (true, Nulls::Fail) => {
            let default = format!("defaultValueOfTypeName({})", to_plain.literal());
            (
                format!("if(throwIf(isNull({column}), {message}) = 0, {converted}, {default})"),
                format!("isNull({column}) OR ({misfit})"),
            )
        }
    };
    Conversion { expression, misfit }
}

/// How it is seen that a value does not fit.
enum How {
    /// A plain cast fails by itself.
    Cast,
    /// `accurateCast` fails.
    Accurate,
    /// By the name of an element; one that is not there fails.
    ByName,
    /// The value is not what it was when it is converted back.
    Back,
    /// The text says something else in a wider type.
    Text(Type),
}

impl How {
    fn of(from: &Type, to: &Type) -> Self {
        // Also of one type into itself: readers of text take numbers that are no member.
        if is_enum(from) && is_enum(to) {
            return Self::ByName;
        }
        match fit(from, to, Reader::Insert) {
            Fit::Exact | Fit::Nulls | Fit::Rounded | Fit::Unknown => Self::Cast,
            Fit::Range if from.is_composite() => Self::Back,
            Fit::Range => Self::Accurate,
            Fit::Text => to
                .bare()
                .plain()
                .and_then(|(name, arguments)| beyond(name, arguments))
                .map_or(Self::Back, Self::Text),
            Fit::Back => Self::Back,
        }
    }

    fn convert(&self, value: &str, from: &Type, to: &Type, message: &str) -> String {
        let cast = format!("CAST({value}, {})", to.literal());
        let differs = match self {
            Self::Cast => return cast,
            Self::Accurate => return format!("accurateCast({value}, {})", to.literal()),
            Self::ByName => return format!("CAST(toString({value}), {})", to.literal()),
            Self::Back | Self::Text(_) => self.differs(value, from, to),
        };
        let default = format!("defaultValueOfTypeName({})", to.literal());
        format!("if(throwIf({differs}, {message}) = 0, {cast}, {default})")
    }

    /// Is the converted value another one?
    fn differs(&self, value: &str, from: &Type, to: &Type) -> String {
        let there = format!("CAST({value}, {})", to.literal());
        match self {
            Self::Text(wider) => {
                let wider = wider.literal();
                format!("CAST({there}, {wider}) != CAST({value}, {wider})")
            }
            // Neither NULL inside nor NaN is equal to itself, so text is compared; and what can lose
            // nothing may still look different (a FixedString is filled up), so it is cast alike.
            _ if from.is_composite() => {
                let common = common(from, to).literal();
                format!("toString(CAST({there}, {common})) != toString(CAST({value}, {common}))")
            }
            _ => format!("CAST({there}, {}) != {value}", from.literal()),
        }
    }

    fn misfit(&self, value: &str, from: &Type, to: &Type) -> String {
        if from.is_composite() || to.is_composite() {
            // A cast of what holds NULL fails, so text is compared.
            let differs = Self::Back.differs(value, from, to);
            return if loses_null(from, to) {
                format!("toString({value}) LIKE '%NULL%' OR {differs}")
            } else {
                differs
            };
        }
        // There is no such thing as a LowCardinality that is NULL for want of a value.
        let bare = to.bare().literal();
        match self {
            Self::Cast | Self::Accurate => {
                format!("isNull(accurateCastOrNull({value}, {bare}))")
            }
            Self::ByName => format!("isNull(accurateCastOrNull(toString({value}), {bare}))"),
            Self::Back => self.differs(value, from, to),
            Self::Text(_) => format!(
                "if(isNull(accurateCastOrNull({value}, {bare})), 1, {})",
                self.differs(value, from, to)
            ),
        }
    }
}

fn is_enum(kind: &Type) -> bool {
    kind.plain_name().is_some_and(|name| name.starts_with("Enum"))
}

/// May there be NULL inside of the one where the other has no place for it?
fn loses_null(from: &Type, to: &Type) -> bool {
    match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => loses_null(from, to),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            loses_null(key, to_key) || loses_null(value, to_value)
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.iter().zip(to).any(|((_, from), (_, to))| loses_null(from, to))
        }
        _ => from.is_nullable() && !to.is_nullable(),
    }
}

/// The first type, with the second's where that can lose nothing.
fn common(from: &Type, to: &Type) -> Type {
    let nullable = |kind: Type| match kind.nullable() {
        Some(nullable) if from.is_nullable() => nullable,
        _ => kind,
    };
    match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => Type::Array(Box::new(common(from, to))),
        (Type::Map(key, value), Type::Map(to_key, to_value)) => {
            Type::Map(Box::new(common(key, to_key)), Box::new(common(value, to_value)))
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            let item = |(at, (name, from)): (usize, &(Option<String>, Type))| {
                let by_name = to.iter().find(|(other, _)| name.is_some() && other == name);
                let to = by_name.or_else(|| to.get(at)).map(|(_, to)| to);
                (name.clone(), to.map_or_else(|| from.clone(), |to| common(from, to)))
            };
            Type::Tuple(from.iter().enumerate().map(item).collect())
        }
        (bare, to) => match fit(bare, to, Reader::Insert) {
            Fit::Exact | Fit::Rounded => nullable(to.clone()),
            _ => nullable(bare.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &str, to: &str, nulls: Nulls) -> String {
        conversion("`c`", "c", &Type::parse(from), &Type::parse(to), nulls).expression
    }

    #[test]
    fn each_way_of_seeing_a_loss() {
        insta::assert_snapshot!(of("Int64", "UInt8", Nulls::Fail), @"accurateCast(`c`, 'UInt8')");
        insta::assert_snapshot!(of("Nullable(String)", "UInt8", Nulls::Stay), @"if(isNull(`c`), NULL, accurateCast(assumeNotNull(`c`), 'UInt8'))");
        insta::assert_snapshot!(of("Nullable(Int64)", "Int64", Nulls::Fail), @"if(throwIf(isNull(`c`), 'a value of column c does not fit Int64') = 0, CAST(assumeNotNull(`c`), 'Int64'), defaultValueOfTypeName('Int64'))");
        insta::assert_snapshot!(of("Enum8('a' = 0)", "Enum8('a' = 1)", Nulls::Fail), @r"CAST(toString(`c`), 'Enum8(\'a\' = 1)')");
        insta::assert_snapshot!(of("Date32", "Date", Nulls::Stay), @"if(throwIf(CAST(CAST(`c`, 'Date'), 'Date32') != `c`, 'a value of column c does not fit Date') = 0, CAST(`c`, 'Date'), defaultValueOfTypeName('Date'))");
        insta::assert_snapshot!(of("String", "DateTime", Nulls::Stay), @"if(throwIf(CAST(CAST(`c`, 'DateTime'), 'DateTime64(6)') != CAST(`c`, 'DateTime64(6)'), 'a value of column c does not fit DateTime') = 0, CAST(`c`, 'DateTime'), defaultValueOfTypeName('DateTime'))");
        insta::assert_snapshot!(of("Array(Float64)", "Array(Decimal(9, 2))", Nulls::Fail), @"if(throwIf(toString(CAST(CAST(`c`, 'Array(Decimal(9, 2))'), 'Array(Float64)')) != toString(CAST(`c`, 'Array(Float64)')), 'a value of column c does not fit Array(Decimal(9, 2))') = 0, CAST(`c`, 'Array(Decimal(9, 2))'), defaultValueOfTypeName('Array(Decimal(9, 2))'))");
    }
}
