//! A slice as a condition in SQL: the only place where it is made.

use crate::sql::quote_literal;
use crate::task::{KeyColumn, PartRange, Piece, Slice};

/// The condition that holds for exactly the rows of the slice, and prunes by partition and primary
/// key. For other rows it is false, or NULL where the key is. `key` is what the slice's bounds were made from.
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
        conditions.push(not_before(key, &piece.from));
    }
    if !piece.to.is_empty() {
        conditions.push(before(key, &piece.to));
    }
    if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") }
}

fn parts_where(parts: &[PartRange]) -> String {
    let range = |range: &PartRange| {
        let part = quote_literal(&range.part);
        format!(
            "(_part = {part} AND _part_offset >= {} AND _part_offset < {})",
            range.from, range.to
        )
    };
    match parts {
        [only] => range(only),
        several => {
            let names: Vec<&String> = several.iter().map(|range| &range.part).collect();
            let ranges: Vec<String> = several.iter().map(range).collect();
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

/// The key is at the bound or after it, in the order of the key.
fn not_before(key: &[KeyColumn], bound: &[String]) -> String {
    compare(key, bound, Side::AtOrAfter)
}

/// The key is before the bound.
fn before(key: &[KeyColumn], bound: &[String]) -> String {
    compare(key, bound, Side::Before)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    AtOrAfter,
    Before,
}

/// `a` at x or beyond, and beyond it or the next column decides. The first half is implied by the
/// second; it is what the index prunes by best.
fn compare(key: &[KeyColumn], bound: &[String], side: Side) -> String {
    let (Some((column, key)), Some((value, bound))) = (key.split_first(), bound.split_first())
    else {
        // Nothing left to compare: equal.
        return if side == Side::AtOrAfter { "1" } else { "0" }.to_owned();
    };
    if bound.is_empty() || key.is_empty() {
        return match side {
            Side::AtOrAfter => reaches(column, value, side),
            Side::Before => passes(column, value, side),
        };
    }
    format!(
        "({} AND ({} OR {}))",
        reaches(column, value, side),
        passes(column, value, side),
        compare(key, bound, side)
    )
}

/// At the value or on this side of it.
fn reaches(column: &KeyColumn, value: &str, side: Side) -> String {
    let expression = &column.expression;
    let operator = if (side == Side::AtOrAfter) == column.descending { "<=" } else { ">=" };
    match (column.nullable, value == NULL, side) {
        (false, ..) | (true, false, Side::Before) => compared(column, operator, value),
        // NULL is the last value.
        (true, true, Side::AtOrAfter) => format!("isNull({expression})"),
        (true, true, Side::Before) => "1".to_owned(),
        (true, false, Side::AtOrAfter) => {
            format!("({} OR isNull({expression}))", compared(column, operator, value))
        }
    }
}

/// Strictly on this side of the value.
fn passes(column: &KeyColumn, value: &str, side: Side) -> String {
    let expression = &column.expression;
    let operator = if (side == Side::AtOrAfter) == column.descending { "<" } else { ">" };
    match (column.nullable, value == NULL, side) {
        (false, ..) | (true, false, Side::Before) => compared(column, operator, value),
        (true, true, Side::AtOrAfter) => "0".to_owned(),
        (true, true, Side::Before) => format!("isNotNull({expression})"),
        (true, false, Side::AtOrAfter) => {
            format!("({} OR isNull({expression}))", compared(column, operator, value))
        }
    }
}

/// The literal of NULL in a bound.
const NULL: &str = "NULL";

fn compared(column: &KeyColumn, operator: &str, value: &str) -> String {
    format!("{} {operator} {value}", column.expression)
}
