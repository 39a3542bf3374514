//! A slice as a condition in SQL: the only place where it is made.
//!
//! A key is compared column by column rather than as a tuple: a tuple with a NULL compares to NULL,
//! and a column that is sorted from the greatest down could not be in one.

use crate::sql::quote_literal;
use crate::task::{KeyColumn, PartRange, Piece, Slice};

/// The literal of NULL in a bound: the greatest value of a column.
const NULL: &str = "NULL";
/// The literal of NaN in a bound: greater than every number.
const NAN: &str = "nan";

/// The condition that holds for exactly the rows of the slice, and prunes by partition and primary
/// key. For other rows it is false, or NULL where the key is.
pub fn slice_where(key: &[KeyColumn], slice: &Slice) -> String {
    let pieces: Vec<String> = slice.pieces.iter().map(|piece| piece_where(key, piece)).collect();
    match pieces.as_slice() {
        [] => "0".to_owned(),
        [only] => only.clone(),
        several => several.iter().map(|p| format!("({p})")).collect::<Vec<_>>().join(" OR "),
    }
}

fn piece_where(key: &[KeyColumn], piece: &Piece) -> String {
    let mut conditions = Vec::new();
    if !piece.partitions.is_empty() {
        conditions.push(one_of("_partition_id", &piece.partitions));
    }
    if !piece.parts.is_empty() {
        conditions.push(parts_where(&piece.parts));
    }
    if !piece.from.is_empty() {
        conditions.push(compare(key, &piece.from, Side::AtOrAfter, &piece.to));
    }
    if !piece.to.is_empty() {
        conditions.push(compare(key, &piece.to, Side::Before, &piece.from));
    }
    if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") }
}

fn parts_where(parts: &[PartRange]) -> String {
    let range = |range: &PartRange| {
        let part = quote_literal(&range.part);
        let (from, to) = (range.from, range.to);
        format!("_part = {part} AND _part_offset >= {from} AND _part_offset < {to}")
    };
    match parts {
        [only] => range(only),
        several => {
            let names: Vec<&String> = several.iter().map(|range| &range.part).collect();
            let ranges: Vec<String> = several.iter().map(|r| format!("({})", range(r))).collect();
            format!("{} AND ({})", one_of("_part", &names), ranges.join(" OR "))
        }
    }
}

fn one_of<S: AsRef<str>>(name: &str, values: &[S]) -> String {
    let list: Vec<String> = values.iter().map(|value| quote_literal(value.as_ref())).collect();
    match list.as_slice() {
        [only] => format!("{name} = {only}"),
        several => format!("{name} IN ({})", several.join(", ")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    AtOrAfter,
    Before,
}

/// The key is on this side of the bound, in the order of the key. The first column reaches the
/// bound's, and passes it or the next column decides. `other` is the piece's other bound.
fn compare(key: &[KeyColumn], bound: &[String], side: Side, other: &[String]) -> String {
    let (Some((column, key)), Some((value, bound))) = (key.split_first(), bound.split_first())
    else {
        return "1".to_owned();
    };
    // Rows with NaN or NULL are kept out by the other bound, if that is a value of the same column.
    // Saying so again for this bound would cost its pruning: the index knows nothing of isNaN.
    let is_capped = other.first().is_some_and(|cap| cap != NULL && cap != NAN);
    if bound.is_empty() || key.is_empty() {
        return Comparison { column, value, is_capped }.of(side, side == Side::Before);
    }
    let comparison = Comparison { column, value, is_capped };
    let (reaches, passes) = (comparison.of(side, false), comparison.of(side, true));
    let other = if other.first() == Some(value) { &other[1..] } else { &[] };
    let rest = compare(key, bound, side, other);
    format!("{reaches} AND ({passes} OR ({rest}))")
}

struct Comparison<'a> {
    column: &'a KeyColumn,
    value: &'a str,
    is_capped: bool,
}

impl Comparison<'_> {
    fn of(&self, side: Side, is_strict: bool) -> String {
        // NULL is the greatest value and NaN the next, also where the greatest comes first.
        match ((side == Side::AtOrAfter) != self.column.descending, is_strict) {
            (true, false) => self.at_least(),
            (true, true) => self.above(),
            (false, false) => self.at_most(),
            (false, true) => self.below(),
        }
    }

    fn at_least(&self) -> String {
        let expression = &self.column.expression;
        match self.value {
            NULL => format!("isNull({expression})"),
            NAN => self.or_special(format!("isNaN({expression})"), false),
            value => self.or_special(format!("{expression} >= {value}"), true),
        }
    }

    fn above(&self) -> String {
        let expression = &self.column.expression;
        match self.value {
            NULL => "0".to_owned(),
            NAN => self.or_special("0".to_owned(), false),
            value => self.or_special(format!("{expression} > {value}"), true),
        }
    }

    fn at_most(&self) -> String {
        let expression = &self.column.expression;
        match self.value {
            NAN if self.column.nullable => format!("isNotNull({expression})"),
            NULL | NAN => "1".to_owned(),
            value => format!("{expression} <= {value}"),
        }
    }

    fn below(&self) -> String {
        let expression = &self.column.expression;
        match self.value {
            NULL => format!("isNotNull({expression})"),
            NAN => format!("{expression} <= inf"),
            value => format!("{expression} < {value}"),
        }
    }

    /// The comparison, or one of the values that no comparison finds.
    fn or_special(&self, comparison: String, with_nan: bool) -> String {
        let expression = &self.column.expression;
        let mut any = vec![comparison];
        if with_nan && !self.is_capped && self.column.has_nan() {
            any.push(format!("isNaN({expression})"));
        }
        if !self.is_capped && self.column.nullable {
            any.push(format!("isNull({expression})"));
        }
        if any.len() == 1 { any.swap_remove(0) } else { format!("({})", any.join(" OR ")) }
    }
}
