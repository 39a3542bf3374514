//! How large each granule is, where rows differ in size.
//!
//! Marks tell where a granule begins: the place of a compressed block in its file, and the place in
//! that block after decompression. Within a block sizes are exact; across blocks they are shared out
//! by compressed size. What has rows of one size needs no marks.

use super::layout::{Part, RawMark};

/// Streams whose marks are read: those with most bytes.
pub(crate) const STREAMS_MAX: usize = 3;
/// A stream with less than this share of the table is taken for even.
const STREAM_SHARE: f64 = 0.05;

/// A file of a column whose rows differ in size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    /// Its column in the index with marks.
    pub(crate) mark: String,
    /// Its uncompressed bytes, a part.
    pub(crate) bytes: Vec<StreamBytes>,
}

/// Bytes of a stream in a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StreamBytes {
    /// Those that its marks measure.
    pub(crate) own: u64,
    /// Those of streams without marks that grow with it.
    pub(crate) more: u64,
}

impl StreamBytes {
    fn sum(self) -> u64 {
        self.own + self.more
    }
}

/// Where a granule begins in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Of its compressed block in the file.
    pub(crate) compressed: u64,
    /// In the block.
    pub(crate) inside: u64,
}

/// Those that matter, largest first.
pub(crate) fn choose(mut streams: Vec<Stream>, table_bytes: u64) -> Vec<Stream> {
    let sum = |stream: &Stream| stream.bytes.iter().map(|bytes| bytes.sum()).sum::<u64>();
    streams.retain(|stream| sum(stream) as f64 >= table_bytes as f64 * STREAM_SHARE);
    streams.sort_by(|a, b| sum(b).cmp(&sum(a)).then_with(|| a.mark.cmp(&b.mark)));
    streams.truncate(STREAMS_MAX);
    streams
}

/// What the marks measure of a part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Uncompressed bytes of all columns.
    pub(crate) bytes: u64,
    /// Each stream is a file of its own; else all of them are one.
    pub(crate) is_wide: bool,
}

/// Sets the size of every granule. `offsets` has one for each stream of each mark.
pub(crate) fn measure(
    parts: &[Part],
    extents: &[Extent],
    streams: &[Stream],
    raw: &mut [RawMark],
    offsets: &[Offset],
) {
    let mut marks: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    for (at, mark) in raw.iter().enumerate() {
        marks[mark.part as usize].push(at);
    }
    for (at, marks) in marks.iter().enumerate() {
        let rows: Vec<u32> = marks.iter().map(|mark| raw[*mark].rows).collect();
        let of_stream = |stream: usize| -> Vec<Offset> {
            marks.iter().map(|mark| offsets[mark * streams.len() + stream]).collect()
        };
        let own: Vec<StreamBytes> = streams.iter().map(|stream| stream.bytes[at]).collect();
        let Some(sizes) = part_sizes(&rows, extents[at], &own, of_stream) else { continue };
        let scale = parts[at].bytes as f64 / sizes.iter().sum::<f64>().max(1.0);
        let row = parts[at].bytes as f64 / parts[at].rows.max(1) as f64;
        for (mark, size) in marks.iter().zip(sizes) {
            let by_rows = f64::from(raw[*mark].rows) * row;
            // One file hides which columns compress well, so its granules are as large as either says.
            let least = if extents[at].is_wide { 0.0 } else { by_rows };
            raw[*mark].bytes = whole((size * scale).max(least));
        }
    }
}

#[allow(clippy::cast_sign_loss)]
fn whole(bytes: f64) -> u64 {
    bytes.ceil() as u64
}

/// Sizes of a part's granules; none when its marks do not tell.
fn part_sizes(
    rows: &[u32],
    extent: Extent,
    streams: &[StreamBytes],
    offsets: impl Fn(usize) -> Vec<Offset>,
) -> Option<Vec<f64>> {
    let (last, granules) = rows.split_last()?;
    if *last > 0 || granules.is_empty() {
        return None;
    }
    let all: f64 = granules.iter().map(|rows| f64::from(*rows)).sum();
    let known: Vec<(usize, StreamBytes)> = if extent.is_wide {
        streams.iter().copied().enumerate().collect()
    } else {
        // Any column's marks tell the sizes of whole granules.
        vec![(0, StreamBytes { own: extent.bytes, more: 0 })]
    };
    let uneven: u64 = known.iter().map(|(_, bytes)| bytes.sum()).sum();
    let even = extent.bytes.saturating_sub(uneven) as f64;
    let mut sizes: Vec<f64> = granules.iter().map(|rows| even * f64::from(*rows) / all).collect();
    for (stream, bytes) in known {
        let scale = bytes.sum() as f64 / bytes.own.max(1) as f64;
        for (size, own) in sizes.iter_mut().zip(stream_sizes(&offsets(stream), bytes.own)?) {
            *size += own * scale;
        }
    }
    Some(sizes)
}

/// Bytes of each granule in a stream of so many.
fn stream_sizes(offsets: &[Offset], bytes: u64) -> Option<Vec<f64>> {
    let mut sizes = Vec::with_capacity(offsets.len());
    let mut extents = Vec::with_capacity(offsets.len());
    // Exact sizes in the current block: how many, and their sum.
    let mut block = (0, 0.0);
    for pair in offsets.windows(2) {
        let extent = pair[1].compressed.checked_sub(pair[0].compressed)?;
        if extent == 0 {
            let size = pair[1].inside.checked_sub(pair[0].inside)? as f64;
            block = (block.0 + 1, block.1 + size);
            sizes.push(size);
        } else {
            // The last granule of a block is like the others in it, and what is left is shared out.
            sizes.push(if block.0 > 0 { block.1 / f64::from(block.0) } else { 0.0 });
            block = (0, 0.0);
        }
        extents.push(extent as f64);
    }
    let left = bytes as f64 - sizes.iter().sum::<f64>();
    let extent: f64 = extents.iter().sum();
    if left > 0.0 && extent > 0.0 {
        for (size, own) in sizes.iter_mut().zip(extents) {
            *size += left * own / extent;
        }
    }
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(compressed: u64, inside: u64) -> Offset {
        Offset { compressed, inside }
    }

    #[test]
    fn sizes_in_a_block_are_exact_and_the_rest_is_shared_out() {
        // Two granules in a block, the second of them large; then one block each.
        let offsets = [at(0, 0), at(0, 100), at(900, 0), at(1000, 0), at(1100, 0)];
        let sizes = stream_sizes(&offsets, 1300).expect("sizes");
        assert_eq!(sizes, [100.0, 1000.0, 100.0, 100.0]);
    }

    #[test]
    fn marks_that_go_back_tell_nothing() {
        assert_eq!(stream_sizes(&[at(10, 0), at(5, 0)], 100), None);
        assert_eq!(stream_sizes(&[at(0, 9), at(0, 5)], 100), None);
    }

    #[test]
    fn rows_of_one_size_share_what_no_stream_has() {
        let offsets = |_| vec![at(0, 0), at(10, 0), at(40, 0)];
        let bytes = StreamBytes { own: 40, more: 40 };
        let sizes = |rows: &[u32], is_wide| {
            part_sizes(rows, Extent { bytes: 480, is_wide }, &[bytes], offsets)
        };
        assert_eq!(sizes(&[1, 3, 0], true), Some(vec![100.0 + 20.0, 300.0 + 60.0]));
        assert_eq!(sizes(&[1, 3, 0], false), Some(vec![120.0, 360.0]));
        assert_eq!(sizes(&[1, 3], true), None, "no mark behind the last row");
    }
}
