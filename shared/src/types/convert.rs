//! A conversion that fails where a value would be lost, as SQL.

use super::Type;
use super::fit::{Fit, Reader, fit, is_text, needs_parsing};
use super::inside::place;
use super::numbers::integer;
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
    /// By the name of an element, or the bytes that are not filled up; what is not there fails.
    ByText,
    /// The value is not what it was when it is converted back.
    Back,
    /// A number became infinite.
    Finite,
    /// The text says something else in a wider type.
    Text(Type),
    /// The text says another number: digits beyond 128 and 256 bits wrap in every cast (26.7).
    Digits,
}

impl How {
    fn of(from: &Type, to: &Type) -> Self {
        // Also of one type into itself: readers of text take numbers that are no member. And no cast
        // makes a FixedString shorter, whatever is in it (26.7).
        let is_bytes = |kind: &Type| kind.plain_name() == Some("FixedString");
        if (is_enum(from) && is_enum(to)) || (is_bytes(from) && is_bytes(to) && from != to) {
            return Self::ByText;
        }
        let is_wide = to.bare().plain_name().and_then(integer).is_some_and(|(_, bits)| bits > 64);
        if is_text(from.bare()) && is_wide {
            return Self::Digits;
        }
        match fit(from, to, Reader::Insert) {
            Fit::Exact | Fit::Nulls | Fit::Rounded | Fit::Unknown => Self::Cast,
            Fit::Overflow | Fit::Range if from.is_composite() => Self::Back,
            Fit::Overflow => Self::Finite,
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
            Self::ByText => return format!("CAST(toString({value}), {})", to.literal()),
            Self::Back | Self::Finite | Self::Text(_) | Self::Digits => {
                self.differs(value, from, to)
            }
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
            Self::Finite => infinite(value, &there, from),
            Self::Digits => is_another_number(
                &format!("CAST({there}, 'Float64')"),
                &format!("CAST({value}, 'Float64')"),
            ),
            // Neither NULL inside nor NaN is equal to itself, so text is compared; and what can lose
            // nothing may still look different (a FixedString is filled up), so it is cast alike.
            _ if from.is_composite() => {
                let common = common(from, to).literal();
                let differs = format!(
                    "toString(CAST({there}, {common})) != toString(CAST({value}, {common}))"
                );
                let makes =
                    [makes_null(value, &there, from, to), makes_infinite(value, &there, from, to)];
                makes.into_iter().flatten().chain([differs]).collect::<Vec<_>>().join(" OR ")
            }
            _ => {
                let back =
                    if is_one_way(from, to) { "'String'".to_owned() } else { from.literal() };
                let value = if is_one_way(from, to) {
                    format!("CAST({value}, {back})")
                } else {
                    value.to_owned()
                };
                format!("CAST({there}, {back}) != {value}")
            }
        }
    }

    fn misfit(&self, value: &str, from: &Type, to: &Type) -> String {
        if from.is_composite() || to.is_composite() {
            // A cast of what holds NULL fails, so it is not made then.
            let differs = Self::Back.differs(value, from, to);
            return match holds_null(value, from, to) {
                Some(holds) => format!("{holds} OR {differs}"),
                None => differs,
            };
        }
        // There is no such thing as a LowCardinality that is NULL for want of a value.
        let bare = to.bare().literal();
        match self {
            Self::Cast | Self::Accurate => {
                format!("isNull(accurateCastOrNull({value}, {bare}))")
            }
            Self::ByText => format!("isNull(accurateCastOrNull(toString({value}), {bare}))"),
            Self::Back | Self::Finite => self.differs(value, from, to),
            Self::Digits => {
                let there =
                    format!("CAST(accurateCastOrNull({value}, {bare}), 'Nullable(Float64)')");
                let number = format!("accurateCastOrNull({value}, 'Float64')");
                format!("ifNull({}, 1)", is_another_number(&there, &number))
            }
            Self::Text(wider) => {
                let wider = wider.literal();
                format!(
                    "if(isNull(accurateCastOrNull({value}, {bare})), 1, ifNull(\
                     accurateCastOrNull({value}, {wider}) != CAST(CAST({value}, {bare}), {wider}), 1))"
                )
            }
        }
    }
}

/// Is a number not that of the text? One that wrapped is off by half of itself or more, and rounding to
/// `Float64` by 1e-16 of it.
fn is_another_number(there: &str, text: &str) -> String {
    format!("(isInfinite({text}) OR abs({there} - {text}) > abs({text}) * 1e-9)")
}

fn is_enum(kind: &Type) -> bool {
    kind.plain_name().is_some_and(|name| name.starts_with("Enum"))
}

/// Is there NULL inside of a value where the other type has no place for it? Nothing where there
/// cannot be. The word stands in texts too, so the value is looked at and not how it is written.
fn holds_null(value: &str, from: &Type, to: &Type) -> Option<String> {
    any_inside(&[value.to_owned()], (from, to), 0, &|values, from, to| {
        (from.is_nullable() && !to.is_nullable()).then(|| format!("isNull({})", values[0]))
    })
}

/// Did a cast make NULL of a text inside, because it does not parse? Nothing where it cannot.
fn makes_null(value: &str, there: &str, from: &Type, to: &Type) -> Option<String> {
    let values = [value.to_owned(), there.to_owned()];
    any_inside(&values, (from, to), 0, &|values, from, to| {
        let may = to.is_nullable() && needs_parsing(from.bare(), to);
        may.then(|| format!("(isNotNull({}) AND isNull({}))", values[0], values[1]))
    })
}

/// Did a cast make a number infinite inside? Nothing where it cannot.
fn makes_infinite(value: &str, there: &str, from: &Type, to: &Type) -> Option<String> {
    let values = [value.to_owned(), there.to_owned()];
    any_inside(&values, (from, to), 0, &|values, from, to| {
        let may = fit(from.bare(), to.bare(), Reader::Insert) == Fit::Overflow;
        may.then(|| format!("ifNull({}, 0)", infinite(&values[0], &values[1], from)))
    })
}

/// SQL that holds where a number that was finite is not any more.
fn infinite(value: &str, there: &str, from: &Type) -> String {
    match from.plain_name() {
        // Always finite, and the function does not take one.
        Some("Decimal") => format!("isInfinite({there})"),
        _ => format!("(isInfinite({there}) AND NOT isInfinite({value}))"),
    }
}

/// SQL that holds where a condition does for something inside of values of the same shape.
fn any_inside(
    values: &[String],
    (from, to): (&Type, &Type),
    depth: usize,
    leaf: &impl Fn(&[String], &Type, &Type) -> Option<String>,
) -> Option<String> {
    let each = |call: &dyn Fn(&String) -> String| values.iter().map(call).collect::<Vec<_>>();
    let items: Vec<String> = (0..values.len()).map(|at| format!("x{depth}_{at}")).collect();
    let any = |lists: &[String], from: &Type, to: &Type| {
        let holds = any_inside(&items, (from, to), depth + 1, leaf)?;
        Some(format!("arrayExists(({}) -> {holds}, {})", items.join(", "), lists.join(", ")))
    };
    let parts: Vec<Option<String>> = match (from.bare(), to.bare()) {
        (Type::Array(from), Type::Array(to)) => vec![any(values, from, to)],
        (Type::Map(key, item), Type::Map(to_key, to_item)) => vec![
            any(&each(&|value| format!("mapKeys({value})")), key, to_key),
            any(&each(&|value| format!("mapValues({value})")), item, to_item),
        ],
        (Type::Tuple(from), Type::Tuple(to)) => {
            let part = |(at, (name, from)): (usize, &(Option<String>, Type))| {
                let place = place(to, at, name.as_deref())?;
                let part =
                    |(value, at): (&String, usize)| format!("tupleElement({value}, {})", at + 1);
                let parts: Vec<String> = values.iter().zip([at, place]).map(part).collect();
                any_inside(&parts, (from, &to[place].1), depth, leaf)
            };
            from.iter().enumerate().map(part).collect()
        }
        _ => vec![leaf(values, from, to)],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        parts => Some(format!("({})", parts.join(" OR "))),
    }
}

/// Does a cast lead there, and none back? The server makes no decimals of integers over 64 bits (26.7).
fn is_one_way(from: &Type, to: &Type) -> bool {
    let name = |kind: &Type| kind.plain_name().unwrap_or_default().to_owned();
    name(from) == "Decimal"
        && ["Int128", "UInt128", "Int256", "UInt256"].contains(&name(to).as_str())
}

/// Is it a way between integers? -1 becomes 2^64 - 1 and -1 again, so only their digits tell.
fn wraps(from: &Type, to: &Type) -> bool {
    let is_integer = |kind: &Type| kind.plain_name().is_some_and(|name| integer(name).is_some());
    is_integer(from) && is_integer(to)
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
                let to = place(to, at, name.as_deref()).map(|at| &to[at].1);
                (name.clone(), to.map_or_else(|| from.clone(), |to| common(from, to)))
            };
            Type::Tuple(from.iter().enumerate().map(item).collect())
        }
        (bare, to) => nullable(match fit(bare, to, Reader::Insert) {
            Fit::Exact | Fit::Rounded | Fit::Overflow => to.clone(),
            _ if is_one_way(bare, to) || wraps(bare, to) => Type::named("String"),
            // As of text that stands alone.
            Fit::Text => to
                .plain()
                .and_then(|(name, arguments)| beyond(name, arguments))
                .unwrap_or_else(|| bare.clone()),
            _ => bare.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_inside_is_seen_as_it_is() {
        let misfit = |from: &str, to: &str| {
            conversion("`c`", "c", &Type::parse(from), &Type::parse(to), Nulls::Fail).misfit
        };
        insta::assert_snapshot!(misfit("Array(Nullable(String))", "Array(String)"), @"arrayExists((x0_0) -> isNull(x0_0), `c`) OR toString(CAST(CAST(`c`, 'Array(String)'), 'Array(Nullable(String))')) != toString(CAST(`c`, 'Array(Nullable(String))'))");
        insta::assert_snapshot!(misfit("Array(String)", "Array(Nullable(FixedString(4)))"), @"arrayExists((x0_0, x0_1) -> (isNotNull(x0_0) AND isNull(x0_1)), `c`, CAST(`c`, 'Array(Nullable(FixedString(4)))')) OR toString(CAST(CAST(`c`, 'Array(Nullable(FixedString(4)))'), 'Array(FixedString(4))')) != toString(CAST(`c`, 'Array(FixedString(4))'))");
        insta::assert_snapshot!(
            misfit("Map(String, Tuple(a Nullable(Int8), b Nullable(Int8)))", "Map(String, Tuple(b Nullable(Int8), a Int8))"),
            @"arrayExists((x0_0) -> isNull(tupleElement(x0_0, 1)), mapValues(`c`)) OR toString(CAST(CAST(`c`, 'Map(String, Tuple(`b` Nullable(Int8), `a` Int8))'), 'Map(String, Tuple(`a` Nullable(Int8), `b` Nullable(Int8)))')) != toString(CAST(`c`, 'Map(String, Tuple(`a` Nullable(Int8), `b` Nullable(Int8)))'))"
        );
    }

    fn of(from: &str, to: &str, nulls: Nulls) -> String {
        conversion("`c`", "c", &Type::parse(from), &Type::parse(to), nulls).expression
    }

    #[test]
    fn each_way_of_seeing_a_loss() {
        insta::assert_snapshot!(of("Float64", "Float32", Nulls::Fail), @"if(throwIf((isInfinite(CAST(`c`, 'Float32')) AND NOT isInfinite(`c`)), 'a value of column c does not fit Float32') = 0, CAST(`c`, 'Float32'), defaultValueOfTypeName('Float32'))");
        insta::assert_snapshot!(of("Array(Float64)", "Array(Float32)", Nulls::Fail), @"if(throwIf(arrayExists((x0_0, x0_1) -> ifNull((isInfinite(x0_1) AND NOT isInfinite(x0_0)), 0), `c`, CAST(`c`, 'Array(Float32)')) OR toString(CAST(CAST(`c`, 'Array(Float32)'), 'Array(Float32)')) != toString(CAST(`c`, 'Array(Float32)')), 'a value of column c does not fit Array(Float32)') = 0, CAST(`c`, 'Array(Float32)'), defaultValueOfTypeName('Array(Float32)'))");
        insta::assert_snapshot!(of("Int64", "UInt8", Nulls::Fail), @"accurateCast(`c`, 'UInt8')");
        insta::assert_snapshot!(of("Nullable(String)", "UInt8", Nulls::Stay), @"if(isNull(`c`), NULL, accurateCast(assumeNotNull(`c`), 'UInt8'))");
        insta::assert_snapshot!(of("String", "UInt128", Nulls::Stay), @"if(throwIf((isInfinite(CAST(`c`, 'Float64')) OR abs(CAST(CAST(`c`, 'UInt128'), 'Float64') - CAST(`c`, 'Float64')) > abs(CAST(`c`, 'Float64')) * 1e-9), 'a value of column c does not fit UInt128') = 0, CAST(`c`, 'UInt128'), defaultValueOfTypeName('UInt128'))");
        insta::assert_snapshot!(of("Nullable(Int64)", "Int64", Nulls::Fail), @"if(throwIf(isNull(`c`), 'a value of column c does not fit Int64') = 0, CAST(assumeNotNull(`c`), 'Int64'), defaultValueOfTypeName('Int64'))");
        insta::assert_snapshot!(of("Enum8('a' = 0)", "Enum8('a' = 1)", Nulls::Fail), @r"CAST(toString(`c`), 'Enum8(\'a\' = 1)')");
        insta::assert_snapshot!(of("FixedString(8)", "FixedString(4)", Nulls::Fail), @"CAST(toString(`c`), 'FixedString(4)')");
        insta::assert_snapshot!(of("Date32", "Date", Nulls::Stay), @"if(throwIf(CAST(CAST(`c`, 'Date'), 'Date32') != `c`, 'a value of column c does not fit Date') = 0, CAST(`c`, 'Date'), defaultValueOfTypeName('Date'))");
        insta::assert_snapshot!(of("String", "DateTime", Nulls::Stay), @"if(throwIf(CAST(CAST(`c`, 'DateTime'), 'DateTime64(6)') != CAST(`c`, 'DateTime64(6)'), 'a value of column c does not fit DateTime') = 0, CAST(`c`, 'DateTime'), defaultValueOfTypeName('DateTime'))");
        insta::assert_snapshot!(of("Array(Float64)", "Array(Decimal(9, 2))", Nulls::Fail), @"if(throwIf(toString(CAST(CAST(`c`, 'Array(Decimal(9, 2))'), 'Array(Float64)')) != toString(CAST(`c`, 'Array(Float64)')), 'a value of column c does not fit Array(Decimal(9, 2))') = 0, CAST(`c`, 'Array(Decimal(9, 2))'), defaultValueOfTypeName('Array(Decimal(9, 2))'))");
    }
}
