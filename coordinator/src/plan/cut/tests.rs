//! The cut of layouts that no server made: every row of a random table is known here.

use proptest::prelude::*;

use super::fill::{Limits, Promise, Stretch, fill};
use super::layout::{KEY_COLUMNS_MAX, Layout, Part, RawMark};
use super::line::{Border, Line};

/// Rows of a part, sorted: two key columns.
type Rows = Vec<(u8, u8)>;

/// A table of parts with granules of so many rows.
fn layout(parts: &[(u8, Rows)], granule: usize, skips: bool) -> (Layout, Vec<(u8, Rows)>) {
    let mut parts: Vec<(u8, Rows)> = parts.to_vec();
    parts.sort_by_key(|part| part.0);
    for part in &mut parts {
        part.1.sort_unstable();
    }
    let mut marks: Vec<(u8, u8, u32, u32, u32)> = Vec::new();
    for (at, (_, rows)) in parts.iter().enumerate() {
        // A server that leaves the second column out of memory shows zeros.
        let known = |row: (u8, u8)| if skips && at % 2 == 0 { (row.0, 0) } else { row };
        for (number, rows) in rows.chunks(granule).enumerate() {
            let key = known(rows[0]);
            marks.push((key.0, key.1, at as u32, number as u32, rows.len() as u32));
        }
        let last = known(*rows.last().expect("a row"));
        marks.push((last.0, last.1, at as u32, u32::MAX, 0));
    }
    marks.sort_unstable();
    let raw: Vec<RawMark> = marks
        .iter()
        .map(|(first, second, part, _, rows)| {
            let mut prefixes = [0; KEY_COLUMNS_MAX];
            prefixes[0] = u32::from(*first);
            prefixes[1] = u32::from(*first) << 8 | u32::from(*second);
            let set = u8::from(*first != 0) | u8::from(*second != 0) << 1;
            RawMark { part: *part, rows: *rows, bytes: 0, set, fit: 3, prefixes }
        })
        .collect();
    let listed = parts.iter().enumerate().map(|(at, (partition, rows))| Part {
        name: format!("part{at}"),
        partition: format!("p{partition}"),
        rows: rows.len() as u64,
        // Ten bytes a row.
        bytes: rows.len() as u64 * 10,
        has_deletes: false,
    });
    let layout = Layout::new(listed.collect(), &raw, 2, false).expect("marks of these parts");
    (layout, parts)
}

/// The key before which a border is: its first columns.
fn bound(border: Border, parts: &[(u8, Rows)], granule: usize, skips: bool) -> (u8, Option<u8>) {
    let Border::Key { part, mark, columns } = border else { panic!("a key") };
    let rows = &parts[part as usize].1;
    let row = rows.chunks(granule).nth(mark as usize).map_or(rows[rows.len() - 1], |rows| rows[0]);
    let second = if skips && part % 2 == 0 { 0 } else { row.1 };
    (row.0, (columns > 1).then_some(second))
}

fn is_before(row: (u8, u8), bound: (u8, Option<u8>)) -> bool {
    row.0 < bound.0 || (row.0 == bound.0 && bound.1.is_some_and(|second| row.1 < second))
}

fn parts() -> impl Strategy<Value = Vec<(u8, Rows)>> {
    let row = prop_oneof![
        (0..4_u8, 0..4_u8).boxed(),
        (0..40_u8, 0..40_u8).boxed(),
        (Just(7_u8), 0..200_u8).boxed()
    ];
    prop::collection::vec((0..3_u8, prop::collection::vec(row, 1..200)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_row_is_in_one_chunk_and_none_is_larger_than_promised(
        parts in parts(),
        granule in 1..20_usize,
        budget in 10..5_000_u64,
        lines_max in 1..4_usize,
        skips: bool,
    ) {
        let (layout, parts) = layout(&parts, granule, skips);
        let lines: Vec<Line> =
            (0..layout.groups.len()).map(|group| Line::by_key(&layout, group, layout.columns)).collect();
        let limits = Limits { bytes: budget, groups: lines_max };
        let filled = fill(&lines, limits);
        let mut total = 0;
        for chunk in &filled.chunks {
            prop_assert!(chunk.stretches.len() <= lines_max);
            let (mut rows, mut least, mut most) = (0, 0, 0);
            for stretch in &chunk.stretches {
                let group = &layout.groups[stretch.line];
                let from = stretch.border_from(&lines).map(|b| bound(b, &parts, granule, skips));
                let to = stretch.border_to(&lines).map(|b| bound(b, &parts, granule, skips));
                let inside = |row: &&(u8, u8)| {
                    from.is_none_or(|from| !is_before(**row, from)) && to.is_none_or(|to| is_before(**row, to))
                };
                let own = parts.iter().enumerate().filter(|(at, _)| {
                    group.partitions.contains(&layout.parts[*at].partition)
                });
                rows += own.map(|(_, part)| part.1.iter().filter(inside).count() as u64).sum::<u64>();
                let bounds = lines[stretch.line].rows(stretch.from, stretch.to);
                (least, most) = (least + bounds.0, most + bounds.1);
            }
            prop_assert!(rows > 0, "an empty chunk");
            prop_assert!((least..=most).contains(&rows), "{rows} of {least}..{most}");
            if filled.promise == Promise::Sure && !chunk.is_over {
                prop_assert!(rows * 10 <= budget, "{} bytes of {budget}", rows * 10);
            }
            total += rows;
        }
        let all: usize = parts.iter().map(|part| part.1.len()).sum();
        prop_assert_eq!(total, all as u64);
    }

    #[test]
    fn rows_of_a_snapshot_are_cut_exactly(
        parts in parts(),
        granule in 1..20_usize,
        budget in 200..5_000_u64,
    ) {
        let (layout, parts) = layout(&parts, granule, false);
        let lines: Vec<Line> =
            (0..layout.groups.len()).flat_map(|group| Line::by_rows(&layout, group)).collect();
        let limits = Limits { bytes: budget, groups: 3 };
        let filled = fill(&lines, limits);
        let mut total = 0;
        for chunk in &filled.chunks {
            prop_assert!(!chunk.is_over);
            let rows = |stretch: &Stretch| lines[stretch.line].rows(stretch.from, stretch.to);
            let bounds: Vec<(u64, u64)> = chunk.stretches.iter().map(rows).collect();
            prop_assert!(bounds.iter().all(|(least, most)| least == most));
            let rows: u64 = bounds.iter().map(|(least, _)| least).sum();
            prop_assert!(rows > 0 && rows * 10 <= budget);
            total += rows;
        }
        let all: usize = parts.iter().map(|part| part.1.len()).sum();
        prop_assert_eq!(total, all as u64);
        // A chunk leaves less than a granule free, or too little for another partition's beginning.
        if granule as u64 * 10 * 20 <= budget {
            let most = (all as u64 * 10 * 100).div_ceil(budget * 85);
            prop_assert!(filled.chunks.len() as u64 <= most, "{} of {most}", filled.chunks.len());
        }
    }
}

#[test]
fn marks_of_other_parts_are_noticed() {
    let part =
        Part { name: "p".into(), partition: "all".into(), rows: 5, bytes: 50, has_deletes: false };
    let mark =
        RawMark { part: 0, rows: 4, bytes: 0, set: 1, fit: 1, prefixes: [0; KEY_COLUMNS_MAX] };
    assert!(Layout::new(vec![part.clone()], &[mark], 1, false).is_none());
    let whole = RawMark { rows: 5, ..mark };
    assert!(Layout::new(vec![part], &[whole], 1, false).is_some());
}
