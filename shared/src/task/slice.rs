//! A slice: the piece of a table that one task loads.
//!
//! A slice is a list of pieces that do not overlap; its rows are those of all of them. A piece is a
//! range of the sorting key in some partitions, or ranges of rows in named parts of a snapshot.

use serde::{Deserialize, Serialize};

/// A leading expression of a table's sorting key that can be a bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// As SQL, quoted where needed.
    #[serde(rename = "e")]
    pub expression: String,
    /// Its type as the server names it.
    #[serde(rename = "t")]
    pub type_name: String,
    /// Sorted from the greatest down.
    #[serde(rename = "d", default, skip_serializing_if = "is_false")]
    pub descending: bool,
    /// May hold NULL, the greatest of its values.
    #[serde(rename = "n", default, skip_serializing_if = "is_false")]
    pub nullable: bool,
}

impl KeyColumn {
    /// May it hold NaN, which is greater than every number and unequal to itself?
    pub fn has_nan(&self) -> bool {
        self.type_name.contains("Float")
    }
}

/// What one task loads of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Which feed of the job it is cut from.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub feed: usize,
    /// Its rows are in exactly one of these.
    #[serde(rename = "p")]
    pub pieces: Vec<Piece>,
    /// What the index says about its number of rows.
    #[serde(rename = "r")]
    pub rows: RowBounds,
    /// Estimate, in the unit of the plan's budget.
    #[serde(rename = "b")]
    pub bytes: u64,
}

/// Rows of some partitions between two bounds of the key, or some rows of some parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// `_partition_id`s; empty for all partitions.
    #[serde(rename = "i", default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<String>,
    /// Inclusive lower bound: SQL literals for the leading key columns; empty for none.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Exclusive upper bound; empty for none.
    #[serde(rename = "z", default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Only these rows; for a snapshot alone, whose parts do not change. Empty for no restriction.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartRange>,
}

/// Rows of a part by their place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRange {
    /// Name of the part, as `_part` has it.
    #[serde(rename = "n")]
    pub part: String,
    /// First `_part_offset`.
    #[serde(rename = "a")]
    pub from: u64,
    /// The `_part_offset` after the last; none for the part's end.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// Bounds of a number of rows, both inclusive; equal when the number is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBounds {
    /// At least.
    #[serde(rename = "a")]
    pub min: u64,
    /// At most.
    #[serde(rename = "z")]
    pub max: u64,
}

impl RowBounds {
    /// A number that is known.
    pub fn exact(rows: u64) -> Self {
        Self { min: rows, max: rows }
    }

    /// Can it be this many?
    pub fn hold(self, rows: u64) -> bool {
        (self.min..=self.max).contains(&rows)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_not_written() {
        let slice = Slice {
            feed: 0,
            pieces: vec![Piece { to: vec!["5".into()], ..Piece::default() }],
            rows: RowBounds { min: 1, max: 2 },
            bytes: 3,
        };
        let text = serde_json::to_string(&slice).expect("JSON");
        assert_eq!(text, r#"{"p":[{"z":["5"]}],"r":{"a":1,"z":2},"b":3}"#);
        assert_eq!(serde_json::from_str::<Slice>(&text).expect("a slice"), slice);
    }

    #[test]
    fn bounds_are_inclusive() {
        let bounds = RowBounds { min: 2, max: 3 };
        assert_eq!([1, 2, 3, 4].map(|rows| bounds.hold(rows)), [false, true, true, false]);
        assert!(RowBounds::exact(7).hold(7) && !RowBounds::exact(7).hold(8));
    }
}
