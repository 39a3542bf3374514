//! Fills chunks up to a budget, along the lines of a table. Pure: the same lines give the same chunks.

use super::line::{Border, Line};

/// How full a plan must be on average before a rougher way of cutting is tried.
const FILL_WANTED: f64 = 0.9;
/// What a way that promises less must win.
const FILL_GAIN: f64 = 0.05;
/// Room below this share of the budget is not worth the beginning of another partition.
const ROOM_MIN: f64 = 0.05;
/// Stretches of a chunk: its record must stay small.
const STRETCHES_MAX: usize = 400;
/// Halvings of the search for the smallest budget that needs as many chunks.
const EVEN_STEPS: u32 = 12;

/// How the bytes of a chunk are counted against the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// All granules that may have a row in it: never more.
    Sure,
    /// What is in it very probably.
    Careful,
}

/// Which lines may share a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Whole ones.
    Whole,
    /// Also the end of one and the beginning of the next. A server that reads two ranges of rows
    /// with one condition reads both in both parts, so this costs some reading.
    Any,
}

/// Limits of a chunk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    /// Groups of marks, each a partition.
    pub(crate) groups: usize,
}

/// A stretch of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Position of the line.
    pub(crate) line: usize,
    /// Its first place.
    pub(crate) from: usize,
    /// The place behind its last.
    pub(crate) to: usize,
}

impl Stretch {
    /// The border at its beginning.
    pub(crate) fn border_from(&self, lines: &[Line]) -> Option<Border> {
        self.from.checked_sub(1).map(|at| lines[self.line].borders[at])
    }

    /// The border at its end.
    pub(crate) fn border_to(&self, lines: &[Line]) -> Option<Border> {
        lines[self.line].borders.get(self.to - 1).copied()
    }
}

/// Stretches that are loaded together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// In the order of the lines.
    pub(crate) stretches: Vec<Stretch>,
    /// Nothing smaller could be cut, and it may be over the budget.
    pub(crate) is_over: bool,
}

/// Chunks and what is promised of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filled {
    /// In the order of the lines.
    pub(crate) chunks: Vec<Chunk>,
    /// About their bytes.
    pub(crate) promise: Promise,
}

/// Cuts the lines into as few chunks as the limits allow, all of about the same size. A way of
/// cutting that promises less is taken only where the better ones leave chunks half empty, or cannot
/// keep what they promise.
pub(crate) fn fill(lines: &[Line], limits: Limits) -> Filled {
    let ways = [
        (Promise::Sure, Sharing::Whole),
        (Promise::Sure, Sharing::Any),
        (Promise::Careful, Sharing::Any),
    ];
    let mut chosen = ways[0];
    let mut best = None;
    for way in ways {
        let chunks = greedy(lines, limits, way);
        let (over, fill) = (count_over(&chunks), mean_fill(lines, limits, chunks.len()));
        let is_better = best.is_none_or(|(best_over, best_fill)| {
            over < best_over || (over == best_over && fill > best_fill + FILL_GAIN)
        });
        if is_better {
            (best, chosen) = (Some((over, fill)), way);
        }
        if best.is_some_and(|(over, fill)| over == 0 && fill >= FILL_WANTED) {
            break;
        }
    }
    Filled { chunks: even(lines, limits, chosen), promise: chosen.0 }
}

fn count_over(chunks: &[Chunk]) -> usize {
    chunks.iter().filter(|chunk| chunk.is_over).count()
}

/// How full so many chunks are; 1 when there could not be fewer.
pub(crate) fn mean_fill(lines: &[Line], limits: Limits, chunks: usize) -> f64 {
    let total: u64 = lines.iter().map(|line| line.bytes_most(0, line.end())).sum();
    let fewest = total.div_ceil(limits.bytes.max(1)) as usize;
    if chunks <= fewest {
        return 1.0;
    }
    total as f64 / limits.bytes as f64 / chunks as f64
}

/// The chunks of the smallest budget that needs no more of them.
fn even(lines: &[Line], limits: Limits, way: (Promise, Sharing)) -> Vec<Chunk> {
    let mut chosen = greedy(lines, limits, way);
    let (count, over) = (chosen.len(), count_over(&chosen));
    let (mut low, mut high) = (limits.bytes / 2, limits.bytes);
    for _ in 0..EVEN_STEPS {
        let bytes = low + (high - low) / 2;
        let chunks = greedy(lines, Limits { bytes, ..limits }, way);
        if chunks.len() <= count && count_over(&chunks) <= over {
            (chosen, high) = (chunks, bytes);
        } else {
            low = bytes;
        }
    }
    chosen
}

fn greedy(lines: &[Line], limits: Limits, (promise, sharing): (Promise, Sharing)) -> Vec<Chunk> {
    let mut open = Open { limits, ..Open::default() };
    for (number, line) in lines.iter().enumerate() {
        let mut from = 0;
        while from < line.end() {
            let rest = cost(line, promise, from, line.end());
            let room = open.room(line.group);
            if rest <= room {
                open.add(line.group, Stretch { line: number, from, to: line.end() }, rest);
                break;
            }
            let may_share = sharing == Sharing::Any && open.is_roomy(room);
            if !open.chunk.stretches.is_empty() && !may_share {
                open.close();
                continue;
            }
            let to = reach(line, promise, from, room);
            if to > from {
                let bytes = cost(line, promise, from, to);
                open.add(line.group, Stretch { line: number, from, to }, bytes);
                from = to;
            } else if open.chunk.stretches.is_empty() {
                open.chunk.is_over = true;
                let stretch = Stretch { line: number, from, to: from + 1 };
                open.add(line.group, stretch, limits.bytes);
                from += 1;
            }
            open.close();
        }
        if from_was_cut(&open, number) && sharing == Sharing::Whole {
            open.close();
        }
    }
    open.close();
    open.chunks
}

/// The open chunk ends with a line of which others have the beginning.
fn from_was_cut(open: &Open, line: usize) -> bool {
    open.chunk.stretches.last().is_some_and(|last| last.line == line && last.from > 0)
}

/// The chunk that is being filled.
#[derive(Default)]
struct Open {
    limits: Limits,
    chunk: Chunk,
    groups: Vec<usize>,
    bytes: u64,
    chunks: Vec<Chunk>,
}

impl Open {
    /// Bytes that a line of this group may add.
    fn room(&self, group: usize) -> u64 {
        let is_new = self.groups.last() != Some(&group);
        if self.chunk.stretches.len() >= STRETCHES_MAX
            || (is_new && self.groups.len() >= self.limits.groups.max(1))
        {
            return 0;
        }
        self.limits.bytes.saturating_sub(self.bytes)
    }

    fn is_roomy(&self, room: u64) -> bool {
        room as f64 >= self.limits.bytes as f64 * ROOM_MIN
    }

    fn add(&mut self, group: usize, stretch: Stretch, bytes: u64) {
        self.chunk.stretches.push(stretch);
        self.bytes += bytes;
        if self.groups.last() != Some(&group) {
            self.groups.push(group);
        }
    }

    fn close(&mut self) {
        if !self.chunk.stretches.is_empty() {
            self.chunks.push(std::mem::take(&mut self.chunk));
        }
        self.bytes = 0;
        self.groups.clear();
    }
}

fn cost(line: &Line, promise: Promise, from: usize, to: usize) -> u64 {
    match promise {
        Promise::Sure => line.bytes_most(from, to),
        Promise::Careful => line.bytes_careful(from, to),
    }
}

/// The last place to which the line fits into the room; `from` when none does.
fn reach(line: &Line, promise: Promise, from: usize, room: u64) -> usize {
    let (mut low, mut high) = (from, line.end());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if cost(line, promise, from, middle) <= room {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
