//! A group as a line with places where it may be cut, and what lies between two of them.
//!
//! A granule is known by the key of its first row and that of the mark behind it; the keys of its
//! other rows are between those two. So a cut by key goes through the granules that span it, and
//! their rows are counted on both sides of it: what is said here about bytes is never too little.

use std::collections::BTreeMap;

use super::layout::{Layout, Mark};

/// Where a cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    /// Before a key: that of a mark, its first columns.
    Key {
        /// Position of the part.
        part: u32,
        /// Number of the mark in it.
        mark: u32,
        /// Leading key columns that make the bound.
        columns: u8,
    },
    /// Before a row of the line's part.
    Row {
        /// `_part_offset`.
        offset: u64,
    },
}

/// Prefix sums between the places of a line. Place 0 is its beginning, the last its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    /// Position of its group.
    pub(crate) group: usize,
    /// It is one part of the group; else all of them.
    pub(crate) part: Option<u32>,
    /// The places between beginning and end: `borders[n]` is place n + 1.
    pub(crate) borders: Vec<Border>,
    /// Bytes of the granules that begin before a place.
    begun: Vec<u64>,
    /// Bytes of the granules that are surely over before a place.
    ended: Vec<u64>,
    rows_begun: Vec<u64>,
    rows_ended: Vec<u64>,
    /// Bytes that are probably before a place.
    likely: Vec<f64>,
    /// The largest granule.
    granule: u64,
    has_deletes: bool,
}

/// A granule by the places around it.
struct Granule {
    /// It begins after this place and before the next.
    first: usize,
    /// Its last row is before the place after this one.
    last: usize,
    rows: u64,
    bytes: u64,
}

impl Line {
    /// The places of a group's keys. `columns`: how many of them may be bounds.
    pub(crate) fn by_key(layout: &Layout, group: usize, columns: u8) -> Self {
        let marks = &layout.groups[group].marks;
        let (ranks, borders) = ranks(layout, marks, columns);
        let spans = Spans::new(layout, marks, &ranks, columns);
        let places = borders.len() + 1;
        let mut granules = Vec::with_capacity(marks.len());
        let mut open: Vec<Option<usize>> = vec![None; layout.parts.len()];
        let mut close = |at: Option<usize>, last: usize, from: usize| {
            let Some(at) = at else { return };
            let mark = &marks[at];
            let rows = u64::from(mark.rows);
            granules.push(Granule { first: from, last, rows, bytes: layout.bytes(mark) });
        };
        for (at, mark) in marks.iter().enumerate() {
            let before = open[mark.part as usize].take();
            close(before, spans.last(at), before.map_or(0, |before| spans.first(before)));
            if mark.rows > 0 {
                open[mark.part as usize] = Some(at);
            }
        }
        // A part without a mark behind its last row: that row may be anywhere after.
        for before in open.into_iter().flatten() {
            close(Some(before), places - 1, spans.first(before));
        }
        let line = Self::new(borders, &granules, has_deletes(layout, marks));
        Self { group, ..line }
    }

    /// The places between all granules of a group, a line for each part. Exact, and only for a
    /// snapshot: another table's parts do not stay.
    pub(crate) fn by_rows(layout: &Layout, group: usize) -> Vec<Self> {
        let mut parts: BTreeMap<u32, Vec<&Mark>> = BTreeMap::new();
        for mark in layout.groups[group].marks.iter().filter(|mark| mark.rows > 0) {
            parts.entry(mark.part).or_default().push(mark);
        }
        let line = |(part, marks): (u32, Vec<&Mark>)| {
            let (mut granules, mut borders) = (Vec::with_capacity(marks.len()), Vec::new());
            let mut offset = 0;
            for (at, mark) in marks.into_iter().enumerate() {
                if at > 0 {
                    borders.push(Border::Row { offset });
                }
                let rows = u64::from(mark.rows);
                offset += rows;
                granules.push(Granule { first: at, last: at, rows, bytes: layout.bytes(mark) });
            }
            let has_deletes = layout.parts[part as usize].has_deletes;
            Self { group, part: Some(part), ..Self::new(borders, &granules, has_deletes) }
        };
        parts.into_iter().map(line).collect()
    }

    fn new(borders: Vec<Border>, granules: &[Granule], has_deletes: bool) -> Self {
        let places = borders.len() + 2;
        let zeros = || vec![0_u64; places];
        let (mut begun, mut ended) = (zeros(), zeros());
        let (mut rows_begun, mut rows_ended) = (zeros(), zeros());
        // What is added from a place on, and what each step from there on adds.
        let (mut jump, mut slope) = (vec![0.0_f64; places], vec![0.0_f64; places]);
        for granule in granules {
            begun[granule.first + 1] += granule.bytes;
            rows_begun[granule.first + 1] += granule.rows;
            ended[granule.last + 1] += granule.bytes;
            rows_ended[granule.last + 1] += granule.rows;
            let steps = granule.last - granule.first;
            if steps == 0 {
                jump[granule.first + 1] += granule.bytes as f64;
            } else {
                // Its rows are evenly spread over the places that it spans.
                let step = granule.bytes as f64 / steps as f64;
                slope[granule.first + 1] += step;
                if granule.last + 1 < places {
                    slope[granule.last + 1] -= step;
                }
            }
        }
        let mut likely = vec![0.0_f64; places];
        let mut steps = 0.0;
        for place in 1..places {
            for sums in [&mut begun, &mut ended, &mut rows_begun, &mut rows_ended] {
                sums[place] += sums[place - 1];
            }
            steps += slope[place];
            likely[place] = likely[place - 1] + jump[place] + steps;
        }
        let granule = granules.iter().map(|granule| granule.bytes).max().unwrap_or(0);
        let (group, part) = (0, None);
        Self {
            group,
            part,
            borders,
            begun,
            ended,
            rows_begun,
            rows_ended,
            likely,
            granule,
            has_deletes,
        }
    }

    /// The place at the end.
    pub(crate) fn end(&self) -> usize {
        self.borders.len() + 1
    }

    /// Bytes between two places, at most.
    pub(crate) fn bytes_most(&self, from: usize, to: usize) -> u64 {
        self.begun[to] - self.ended[from]
    }

    /// Bytes between two places, probably.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn bytes_likely(&self, from: usize, to: usize) -> u64 {
        (self.likely[to] - self.likely[from]).max(0.0) as u64
    }

    /// Bytes between two places, very probably not more: each granule that spans an end has a share
    /// of its rows on this side, and the shares vary independently.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn bytes_careful(&self, from: usize, to: usize) -> u64 {
        let spanning = |place: usize| (self.begun[place] - self.ended[place]) as f64;
        let variance = (spanning(from) + spanning(to)) * self.granule as f64 / 12.0;
        let careful = self.bytes_likely(from, to) as f64 + DEVIATIONS * variance.sqrt();
        (careful as u64).min(self.bytes_most(from, to))
    }

    /// Rows between two places: at least and at most.
    pub(crate) fn rows(&self, from: usize, to: usize) -> (u64, u64) {
        let most = self.rows_begun[to] - self.rows_ended[from];
        let inside = self.rows_ended[to].saturating_sub(self.rows_begun[from]);
        let least = if self.has_deletes { 0 } else { inside.max(u64::from(from < to)) };
        (least, most)
    }

    /// Rows of the whole line.
    pub(crate) fn rows_whole(&self) -> (u64, u64) {
        let rows = self.rows_begun.last().copied().unwrap_or(0);
        (if self.has_deletes { 0 } else { rows }, rows)
    }
}

/// How many standard deviations of what spans its ends a chunk by likely size keeps free.
const DEVIATIONS: f64 = 4.0;

fn has_deletes(layout: &Layout, marks: &[Mark]) -> bool {
    marks.iter().any(|mark| layout.parts[mark.part as usize].has_deletes)
}

/// The rank of each mark, and the border before each rank but the first. Marks have one rank when
/// no cut is made between them.
fn ranks(layout: &Layout, marks: &[Mark], columns: u8) -> (Vec<u32>, Vec<Border>) {
    let (mut ranks, mut borders) = (Vec::with_capacity(marks.len()), Vec::new());
    // A rank holds a row for sure, so that no chunk is empty: the first row of a granule whose key
    // is known, or known well enough to be before the next border.
    let (mut is_held, mut first_known, mut lowest) = (false, 0, columns);
    for (at, mark) in marks.iter().enumerate() {
        let known = layout.known[mark.part as usize].min(columns);
        lowest = lowest.min(mark.shared);
        let is_full = is_held || lowest < first_known;
        let is_border = at > 0 && is_full && mark.shared < columns && mark.fit > mark.shared;
        if is_border {
            let columns = mark.shared + 1;
            borders.push(Border::Key { part: mark.part, mark: mark.number, columns });
        }
        if is_border || at == 0 {
            (is_held, first_known, lowest) = (false, known, columns);
        }
        is_held |= known == columns;
        ranks.push(borders.len() as u32);
    }
    (ranks, borders)
}

/// The first and last rank that a mark's true key can have.
struct Spans<'a> {
    ranks: &'a [u32],
    known: Vec<u8>,
    /// For each number of known columns below all: first and last rank of the marks that share them.
    shared: Vec<Option<Vec<(u32, u32)>>>,
}

impl<'a> Spans<'a> {
    fn new(layout: &Layout, marks: &[Mark], ranks: &'a [u32], columns: u8) -> Self {
        let known: Vec<u8> =
            marks.iter().map(|mark| layout.known[mark.part as usize].min(columns)).collect();
        let shared = (0..columns).map(|count| {
            known.contains(&count).then(|| {
                let mut spans = vec![(0, 0); marks.len()];
                let mut start = 0;
                for at in 1..=marks.len() {
                    if at == marks.len() || marks[at].shared < count {
                        spans[start..at].fill((ranks[start], ranks[at - 1]));
                        start = at;
                    }
                }
                spans
            })
        });
        let shared = shared.collect();
        Self { ranks, known, shared }
    }

    fn of(&self, at: usize) -> (usize, usize) {
        let spans = self.shared.get(usize::from(self.known[at])).and_then(Option::as_ref);
        let (first, last) = spans.map_or((self.ranks[at], self.ranks[at]), |spans| spans[at]);
        (first as usize, last as usize)
    }

    fn first(&self, at: usize) -> usize {
        self.of(at).0
    }

    fn last(&self, at: usize) -> usize {
        self.of(at).1
    }
}
