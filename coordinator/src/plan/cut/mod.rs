//! Cuts a table into slices by its partitions and primary index, without reading its rows.
//!
//! The index gives the key of the first row of every granule. A chunk is a range of keys, or several
//! whole partitions; on a snapshot, whose parts do not change, it can be ranges of rows.

#![allow(
    clippy::cast_possible_truncation,
    reason = "parts and marks of a table are counted in 32 bits, columns of a key in 8"
)]

mod error;
mod fill;
mod key;
mod layout;
mod line;
mod read;
mod sizes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use longshore_shared::clickhouse::Server;
use longshore_shared::task::{KeyColumn, PartRange, Piece, RowBounds, Slice, TableName};
use sha2::{Digest, Sha256};

#[allow(unused_imports, reason = "the tests of the cut alone need less")]
pub(crate) use error::CutError;
use fill::{Chunk, Limits, Promise, Stretch, fill, mean_fill};
use layout::{KEY_COLUMNS_MAX, Layout, Part};
use line::{Border, Line};
use read::Index;
#[allow(unused_imports, reason = "the tests of the cut alone need less")]
pub(crate) use read::{Blocks, ListedPart, Unit, parts as list_parts};

/// How often the parts may change under the reader's eyes before it gives up.
const READS_MAX: usize = 20;
/// On a snapshot rows are cut where keys leave chunks emptier than this.
const FILL_WANTED: f64 = 0.9;

#[derive(Debug, Clone)]
pub(crate) struct CutOptions {
    /// Most bytes of a chunk.
    pub(crate) budget_bytes: u64,
    /// What they are.
    pub(crate) unit: Unit,
    /// Most partitions of a chunk.
    pub(crate) partitions_max: usize,
    /// The table is a snapshot: its parts stay, so that chunks can be ranges of their rows.
    pub(crate) has_snapshot: bool,
    /// Only so many leading key columns may be bounds, so that rows that are equal in them stay
    /// together; partitions are no borders then, and rows are not cut.
    pub(crate) align: Option<usize>,
    /// When aligned, partitions are borders all the same: rows that must stay together share one.
    pub(crate) partitions_apart: bool,
    /// Only these `_partition_id`s.
    pub(crate) partitions: Option<Vec<String>>,
}

impl CutOptions {
    fn is_across_partitions(&self) -> bool {
        self.align.is_some() && !self.partitions_apart
    }
}

/// A table in slices.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    /// What their bounds are made from.
    pub(crate) key: Vec<KeyColumn>,
    /// Every row of the table is in exactly one of them.
    pub(crate) slices: Vec<Slice>,
    /// All rows; none when a lightweight DELETE hides some.
    pub(crate) rows: Option<u64>,
    /// Bytes of all parts, in the unit of the budget.
    pub(crate) bytes: u64,
    /// Identity of the state of the table.
    pub(crate) digest: String,
    /// How many slices may be over the budget, because no key splits them.
    pub(crate) over_budget: usize,
    /// Row ranges of a snapshot would keep every slice within the budget.
    pub(crate) needs_snapshot: bool,
    /// No slice has more bytes than the budget, by the sizes of granules as the index tells them.
    pub(crate) is_bounded: bool,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Cuts the table.
pub(crate) async fn cut(
    server: &Server,
    table: &TableName,
    options: &CutOptions,
) -> Result<Cut, CutError> {
    let facts = read::facts(server, table).await?;
    if !facts.engine.ends_with("MergeTree") {
        return Err(CutError::Engine { table: table.clone(), engine: facts.engine });
    }
    let index = read::index(server, table, &facts).await?;
    for _ in 0..READS_MAX {
        if let Some(cut) = try_cut(server, table, &index, options).await? {
            return Ok(cut);
        }
    }
    Err(CutError::Restless(table.clone()))
}

/// `None` when a merge or INSERT came between two statements.
async fn try_cut(
    server: &Server,
    table: &TableName,
    index: &Index,
    options: &CutOptions,
) -> Result<Option<Cut>, CutError> {
    let key = &index.key;
    let mut listed = read::parts(server, table).await?;
    let digest = digest(&listed);
    // A lightweight UPDATE or DELETE may wait in a part of its own.
    let is_patch = |part: &ListedPart| part.name.starts_with("patch-");
    let has_deletes = listed.iter().any(|part| is_patch(part) && part.has_lightweight_delete != 0);
    listed.retain(|part| !is_patch(part));
    if let Some(wanted) = &options.partitions {
        listed.retain(|part| wanted.contains(&part.partition_id));
    }
    let mut parts: Vec<Part> = listed.iter().map(|part| read::part(part, options.unit)).collect();
    for part in &mut parts {
        part.has_deletes |= has_deletes;
    }
    let mut raw = Vec::new();
    if !listed.is_empty() {
        let (streams, extents) = read::streams(server, table, index, &listed).await?;
        let offsets;
        (raw, offsets) = read::marks(server, table, key, &listed, &streams).await?;
        if !streams.is_empty() {
            sizes::measure(&parts, &extents, &streams, &mut raw, &offsets);
        }
    }
    let Some(layout) = Layout::new(parts, &raw, key.len(), options.is_across_partitions()) else {
        return Ok(None);
    };
    let planned = Planned::new(&layout, options);
    let marks: Vec<(u32, u32)> = planned.marks().into_iter().collect();
    let keys = read::keys(server, table, key, &listed, &marks).await?;
    if marks.iter().any(|mark| !keys.contains_key(mark)) {
        return Ok(None);
    }
    let slices = planned.slices(&layout, &keys);
    let has_deletes = layout.parts.iter().any(|part| part.has_deletes);
    let rows = layout.parts.iter().map(|part| part.rows).sum();
    let over_budget = planned.chunks.iter().filter(|chunk| chunk.is_over).count();
    Ok(Some(Cut {
        key: key.iter().map(|column| column.column.clone()).collect(),
        slices,
        rows: (!has_deletes).then_some(rows),
        bytes: layout.parts.iter().map(|part| part.bytes).sum(),
        digest,
        over_budget,
        needs_snapshot: over_budget > 0 && !options.has_snapshot && options.align.is_none(),
        is_bounded: over_budget == 0 && planned.promise == Promise::Sure,
        notes: Vec::new(),
    }))
}

/// Chunks on lines, before their bounds are known as literals.
struct Planned {
    lines: Vec<Line>,
    chunks: Vec<Chunk>,
    promise: Promise,
}

impl Planned {
    fn new(layout: &Layout, options: &CutOptions) -> Self {
        let limits = Limits { bytes: options.budget_bytes.max(1), groups: options.partitions_max };
        let columns = options
            .align
            .map_or(layout.columns, |align| layout.columns.min(align.min(KEY_COLUMNS_MAX) as u8));
        let groups = 0..layout.groups.len();
        let mut lines: Vec<Line> =
            groups.clone().map(|group| Line::by_key(layout, group, columns)).collect();
        let mut filled = fill(&lines, limits);
        if options.has_snapshot && options.align.is_none() {
            let over: BTreeSet<usize> = filled
                .chunks
                .iter()
                .filter(|chunk| chunk.is_over)
                .flat_map(|chunk| chunk.stretches.iter().map(|stretch| lines[stretch.line].group))
                .collect();
            let is_poor = filled.promise != Promise::Sure
                || mean_fill(&lines, limits, filled.chunks.len()) < FILL_WANTED;
            if is_poor || !over.is_empty() {
                let by_rows = |group| {
                    if is_poor || over.contains(&group) {
                        Line::by_rows(layout, group)
                    } else {
                        vec![lines[group].clone()]
                    }
                };
                lines = groups.flat_map(by_rows).collect();
                filled = fill(&lines, limits);
            }
        }
        Self { lines, chunks: filled.chunks, promise: filled.promise }
    }

    /// The marks whose keys are bounds.
    fn marks(&self) -> BTreeSet<(u32, u32)> {
        let stretches = self.chunks.iter().flat_map(|chunk| &chunk.stretches);
        let borders = stretches
            .flat_map(|stretch| [stretch.border_from(&self.lines), stretch.border_to(&self.lines)]);
        let mark = |border| match border {
            Border::Key { part, mark, .. } => Some((part, mark)),
            Border::Row { .. } => None,
        };
        borders.flatten().filter_map(mark).collect()
    }

    fn slices(&self, layout: &Layout, keys: &HashMap<(u32, u32), Vec<String>>) -> Vec<Slice> {
        self.chunks.iter().map(|chunk| self.slice(layout, keys, chunk)).collect()
    }

    fn slice(
        &self,
        layout: &Layout,
        keys: &HashMap<(u32, u32), Vec<String>>,
        chunk: &Chunk,
    ) -> Slice {
        let mut slice = Slice { feed: 0, pieces: Vec::new(), rows: RowBounds::default(), bytes: 0 };
        for stretch in &chunk.stretches {
            let line = &self.lines[stretch.line];
            let is_whole = stretch.from == 0 && stretch.to == line.end();
            let (min, max) =
                if is_whole { line.rows_whole() } else { line.rows(stretch.from, stretch.to) };
            slice.rows.min += min;
            slice.rows.max += max;
            slice.bytes += line.bytes_likely(stretch.from, stretch.to);
            let piece = self.piece(layout, keys, stretch);
            match slice.pieces.last_mut() {
                Some(last) if !last.parts.is_empty() && last.partitions == piece.partitions => {
                    last.parts.extend(piece.parts);
                }
                _ => slice.pieces.push(piece),
            }
        }
        slice.pieces.iter_mut().for_each(|piece| forget_whole_parts(layout, piece));
        slice.pieces.dedup_by(|next, piece| {
            // Whole partitions are one condition.
            let is_joined = is_unbounded(piece) && is_unbounded(next);
            if is_joined {
                piece.partitions.append(&mut next.partitions);
            }
            is_joined
        });
        slice
    }

    fn piece(
        &self,
        layout: &Layout,
        keys: &HashMap<(u32, u32), Vec<String>>,
        stretch: &Stretch,
    ) -> Piece {
        let line = &self.lines[stretch.line];
        let (from, to) = (stretch.border_from(&self.lines), stretch.border_to(&self.lines));
        let bound = |border: Option<Border>| match border {
            Some(Border::Key { part, mark, columns }) => {
                keys[&(part, mark)][..usize::from(columns)].to_vec()
            }
            _ => Vec::new(),
        };
        let row = |border: Option<Border>| match border {
            Some(Border::Row { offset }) => Some(offset),
            _ => None,
        };
        let range = line.part.map(|part| PartRange {
            part: layout.parts[part as usize].name.clone(),
            from: row(from).unwrap_or(0),
            to: row(to),
        });
        Piece {
            partitions: layout.groups[line.group].partitions.clone(),
            from: bound(from),
            to: bound(to),
            parts: range.into_iter().collect(),
        }
    }
}

/// All parts of a partition are the partition.
fn forget_whole_parts(layout: &Layout, piece: &mut Piece) {
    let is_whole = |range: &PartRange| range.from == 0 && range.to.is_none();
    let in_partition = |part: &&Part| piece.partitions.contains(&part.partition);
    if !piece.parts.is_empty()
        && piece.parts.iter().all(is_whole)
        && piece.parts.len() == layout.parts.iter().filter(in_partition).count()
    {
        piece.parts.clear();
    }
}

fn is_unbounded(piece: &Piece) -> bool {
    piece.from.is_empty() && piece.to.is_empty() && piece.parts.is_empty()
}

/// Identity of a state of a table. A merge changes nothing in it: it goes by the blocks and rows of
/// each partition, not by their parts. (An engine that folds rows in a merge gets another one.)
pub(crate) fn digest(parts: &[ListedPart]) -> String {
    let mut partitions: BTreeMap<&str, (u64, i64, i64, i64)> = BTreeMap::new();
    for part in parts {
        let blocks = Blocks::of(&part.name);
        let of = partitions.entry(&part.partition_id).or_insert((0, i64::MAX, i64::MIN, 0));
        of.0 += part.rows;
        of.1 = of.1.min(blocks.map_or(0, |blocks| blocks.first));
        of.2 = of.2.max(blocks.map_or(0, |blocks| blocks.last));
        of.3 = of.3.max(blocks.and_then(|blocks| blocks.mutation).unwrap_or(0));
    }
    let line = |(id, (rows, first, last, mutation)): (&str, (u64, i64, i64, i64))| {
        format!("{id} {rows} {first} {last} {mutation}\n")
    };
    hex(partitions.into_iter().map(line).collect::<String>().as_bytes())
}

/// Identity of what parts hold, whatever their names: a clone has the same as its source.
pub(crate) fn content(parts: &[ListedPart]) -> String {
    let mut lines: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {} {}\n", part.partition_id, part.hash, part.rows))
        .collect();
    lines.sort_unstable();
    hex(lines.concat().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
