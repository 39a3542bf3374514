//! What arrived in a table since a snapshot of it was made, told by the names of its parts.
//!
//! A part is named after the blocks that it was merged from. Blocks that the snapshot held are old, a
//! part of other blocks is new. One that was merged from both can be divided only in a table whose
//! rows remember their block.

use std::collections::BTreeMap;

use longshore_shared::task::{Known, Span};
use uuid::Uuid;

use crate::plan::cut::{Blocks, ListedPart};

/// More spans than this do not belong into a plan: nothing is known then.
const SPANS_MAX: usize = 2_000;

/// What a table of these parts consists of.
pub(crate) fn known(uuid: Uuid, parts: &[ListedPart]) -> Option<Known> {
    let mut partitions: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for part in parts {
        let Blocks { first, last, .. } = Blocks::of(&part.name)?;
        let spans = partitions.entry(part.partition_id.clone()).or_default();
        spans.push(Span { first, last, rows: part.rows });
    }
    for spans in partitions.values_mut() {
        spans.sort_by_key(|span| span.first);
        spans.dedup_by(|next, open| {
            let follows = open.last + 1 == next.first;
            if follows {
                (open.last, open.rows) = (next.last, open.rows + next.rows);
            }
            follows
        });
    }
    let spans: usize = partitions.values().map(Vec::len).sum();
    (spans <= SPANS_MAX).then_some(Known { uuid, partitions })
}

/// A part that was merged from old blocks and others.
#[derive(Debug, Clone)]
pub(crate) struct Mixed<'a> {
    pub(crate) part: &'a ListedPart,
    /// The old blocks in it.
    pub(crate) old: Vec<Span>,
}

/// The parts of a table that hold something new.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrived<'a> {
    /// Nothing old is in them.
    pub(crate) new: Vec<&'a ListedPart>,
    /// Old and new rows.
    pub(crate) mixed: Vec<Mixed<'a>>,
}

impl<'a> Arrived<'a> {
    /// All of them.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &'a ListedPart> {
        self.new.iter().copied().chain(self.mixed.iter().map(|mixed| mixed.part))
    }

    /// New rows in them.
    pub(crate) fn rows(&self) -> u64 {
        let old: u64 = self.mixed.iter().flat_map(|mixed| &mixed.old).map(|span| span.rows).sum();
        self.parts().map(|part| part.rows).sum::<u64>().saturating_sub(old)
    }
}

/// Sorts parts by what they were merged from. `keeps_rows`: a merge of this engine never folds rows.
/// None when a name is not that of a part.
pub(crate) fn arrived<'a>(
    known: &Known,
    parts: &'a [ListedPart],
    keeps_rows: bool,
) -> Option<Arrived<'a>> {
    let mut found = Arrived::default();
    for part in parts {
        let blocks = Blocks::of(&part.name)?;
        let spans = known.partitions.get(&part.partition_id).map_or(&[][..], Vec::as_slice);
        let old: Vec<Span> = spans
            .iter()
            .filter(|span| span.first <= blocks.last && span.last >= blocks.first)
            .copied()
            .collect();
        let is_inside = |span: &Span| span.first <= blocks.first && span.last >= blocks.last;
        if old.is_empty() {
            found.new.push(part);
        } else if !old.iter().any(is_inside) {
            // Gaps between old blocks may be numbers nobody used, or rows that came late.
            let rows: u64 = old.iter().map(|span| span.rows).sum();
            let are_whole =
                old.iter().all(|span| span.first >= blocks.first && span.last <= blocks.last);
            if !keeps_rows || blocks.mutation.is_some() || !are_whole || rows != part.rows {
                found.mixed.push(Mixed { part, old });
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, rows: u64) -> ListedPart {
        let partition_id = name.split('_').next().unwrap().to_owned();
        ListedPart {
            name: name.to_owned(),
            name_hash: 0,
            partition_id,
            rows,
            uncompressed: 0,
            compressed: 0,
            hash: String::new(),
            has_lightweight_delete: 0,
        }
    }

    /// Names of the new parts; an error for a mixed one.
    fn names(parts: &[(&str, u64)], later: &[(&str, u64)]) -> Result<Vec<String>, String> {
        let list = |parts: &[(&str, u64)]| -> Vec<ListedPart> {
            parts.iter().map(|(name, rows)| part(name, *rows)).collect()
        };
        let known = known(Uuid::nil(), &list(parts)).unwrap();
        let later = list(later);
        let found = arrived(&known, &later, true).unwrap();
        match found.mixed.first() {
            Some(mixed) => Err(mixed.part.name.clone()),
            None => Ok(found.new.into_iter().map(|part| part.name.clone()).collect()),
        }
    }

    #[test]
    fn parts_of_new_blocks_are_new_whatever_was_merged_among_them() {
        let before = [("p_1_4_1", 40), ("p_5_5_0", 10), ("q_6_6_0", 10)];
        let later = [("p_1_5_2", 50), ("p_7_9_1", 30), ("q_6_6_0", 10), ("r_10_10_0", 1)];
        assert_eq!(names(&before, &later).unwrap(), ["p_7_9_1", "r_10_10_0"]);
    }

    #[test]
    fn a_part_of_old_and_new_blocks_is_refused() {
        assert!(names(&[("p_1_4_1", 40)], &[("p_1_5_2", 50)]).is_err());
        // Block 2 was on its way when the snapshot was made.
        assert!(names(&[("p_1_1_0", 10), ("p_3_3_0", 10)], &[("p_1_3_1", 30)]).is_err());
    }

    #[test]
    fn numbers_that_nobody_used_do_not_make_a_part_new() {
        let before = [("p_1_1_0", 10), ("p_3_3_0", 10)];
        assert_eq!(names(&before, &[("p_1_3_1", 20)]).unwrap(), Vec::<String>::new());
        assert!(names(&before, &[("p_1_3_1_9", 20)]).is_err(), "a mutation may have removed rows");
    }

    #[test]
    fn late_blocks_between_old_ones_are_new() {
        let before = [("p_1_1_0", 10), ("p_3_3_0", 10)];
        let later = [("p_1_1_0", 10), ("p_2_2_0", 5), ("p_3_3_0", 10)];
        assert_eq!(names(&before, &later).unwrap(), ["p_2_2_0"]);
    }
}
