//! A slice as a condition in SQL: the only place where it is made.
//!
//! A key is compared column by column rather than as a tuple: a tuple with a NULL compares to NULL,
//! and a column that is sorted from the greatest down could not be in one.

use crate::planted::{Bug, planted};
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
    // One list of names first: the server looks for no other parts.
    let names: Vec<&String> = parts.iter().map(|range| &range.part).collect();
    let listed = one_of("_part", &names);
    let is_whole = |range: &&PartRange| range.from == 0 && range.to.is_none();
    match parts {
        [only] if is_whole(&only) => listed,
        [only] => format!("{listed} AND {}", offsets_where(only)),
        several if several.iter().all(|range| is_whole(&range)) => listed,
        several => {
            let whole: Vec<&String> =
                several.iter().filter(is_whole).map(|range| &range.part).collect();
            let whole = (!whole.is_empty()).then(|| one_of("_part", &whole));
            let cut = several.iter().filter(|range| !is_whole(range)).map(|range| {
                format!("_part = {} AND {}", quote_literal(&range.part), offsets_where(range))
            });
            let any: Vec<String> =
                whole.into_iter().chain(cut).map(|text| format!("({text})")).collect();
            format!("{listed} AND ({})", any.join(" OR "))
        }
    }
}

fn offsets_where(range: &PartRange) -> String {
    let from = (range.from > 0).then(|| format!("_part_offset >= {}", range.from));
    let to = range.to.map(|to| format!("_part_offset < {to}"));
    from.into_iter().chain(to).collect::<Vec<_>>().join(" AND ")
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
        return Comparison { column, value, is_capped }
            .of(side, side == Side::Before && !planted(Bug::BoundsOverlap));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::RowBounds;

    fn column(expression: &str, type_name: &str, descending: bool) -> KeyColumn {
        KeyColumn {
            expression: expression.to_owned(),
            type_name: type_name.to_owned(),
            descending,
            nullable: type_name.starts_with("Nullable"),
        }
    }

    fn piece(from: &[&str], to: &[&str]) -> Piece {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Piece { from: texts(from), to: texts(to), ..Piece::default() }
    }

    fn text(key: &[KeyColumn], pieces: Vec<Piece>) -> String {
        slice_where(key, &Slice { feed: 0, pieces, rows: RowBounds::default(), bytes: 0 })
    }

    #[test]
    fn bounds_are_compared_column_by_column() {
        let key = [column("`a`", "UInt32", false), column("toDate(ts)", "Date", true)];
        insta::assert_snapshot!(text(&key, vec![piece(&["1"], &["2", "toDate('2024-01-01')"])]),
            @"`a` >= 1 AND `a` <= 2 AND (`a` < 2 OR (toDate(ts) > toDate('2024-01-01')))");
        insta::assert_snapshot!(text(&key, vec![piece(&["1", "toDate('2024-01-02')"], &[])]),
            @"`a` >= 1 AND (`a` > 1 OR (toDate(ts) <= toDate('2024-01-02')))");
        assert_eq!(text(&key, vec![Piece::default()]), "1");
        assert_eq!(text(&key, vec![]), "0");
    }

    #[test]
    fn null_and_nan_are_the_greatest_values() {
        let key = [column("f", "Nullable(Float64)", false)];
        insta::assert_snapshot!(text(&key, vec![piece(&["toFloat64('1')"], &[])]),
            @"(f >= toFloat64('1') OR isNaN(f) OR isNull(f))");
        insta::assert_snapshot!(text(&key, vec![piece(&["toFloat64('1')"], &["nan"])]),
            @"(f >= toFloat64('1') OR isNaN(f) OR isNull(f)) AND f <= inf");
        insta::assert_snapshot!(text(&key, vec![piece(&["nan"], &["NULL"])]),
            @"(isNaN(f) OR isNull(f)) AND isNotNull(f)");
        insta::assert_snapshot!(text(&key, vec![piece(&["NULL"], &[])]), @"isNull(f)");
        // The other bound keeps them out, so the index can be used for both.
        insta::assert_snapshot!(text(&key, vec![piece(&["toFloat64('1')"], &["toFloat64('2')"])]),
            @"f >= toFloat64('1') AND f < toFloat64('2')");
        let key = [column("f", "Float32", true)];
        insta::assert_snapshot!(text(&key, vec![piece(&[], &["toFloat32('1')"])]),
            @"(f > toFloat32('1') OR isNaN(f))");
    }

    #[test]
    fn partitions_and_parts_come_first() {
        let range = |part: &str, from, to| PartRange { part: part.to_owned(), from, to };
        let of = |parts| text(&[], vec![Piece { parts, ..Piece::default() }]);
        insta::assert_snapshot!(of(vec![range("a", 0, None), range("b", 0, None)]), @"_part IN ('a', 'b')");
        insta::assert_snapshot!(of(vec![range("a", 5, None)]), @"_part = 'a' AND _part_offset >= 5");
        let several = Piece {
            partitions: vec!["a'b".to_owned()],
            parts: vec![range("p1", 5, None), range("p2", 0, None), range("p3", 0, Some(20))],
            ..Piece::default()
        };
        let whole = Piece { partitions: vec!["x".into(), "y".into()], ..Piece::default() };
        insta::assert_snapshot!(text(&[], vec![several, whole]),
            @r"(_partition_id = 'a\'b' AND _part IN ('p1', 'p2', 'p3') AND ((_part = 'p2') OR (_part = 'p1' AND _part_offset >= 5) OR (_part = 'p3' AND _part_offset < 20))) OR (_partition_id IN ('x', 'y'))");
    }
}
