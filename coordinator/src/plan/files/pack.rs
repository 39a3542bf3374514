//! Packs files into chunks by a byte budget. Pure: the same input gives the same chunks.

use longshore_shared::store::TASK_BYTES_MAX;
use longshore_shared::task::{Chunk, SourceFile};
use rand::{RngExt, SeedableRng};

/// Kept free in a task row for what is not the chunk (owner, error, manifest of one attempt).
const ROW_BYTES_RESERVED: usize = 16 * 1024;
/// A chunk is filled to a random share of the budget from here to 1, so that workers that began
/// together do not all publish at the same moment (the reference design's reason).
pub(crate) const FILL_MIN: f64 = 0.8;

/// Bounds of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackLimits {
    /// Bytes; a larger single file is a chunk of its own.
    pub(crate) bytes_max: u64,
    pub(crate) files_max: usize,
    /// All chunks have the whole budget, instead of a share that varies.
    pub(crate) is_even: bool,
}

/// Chunks of a small plan, so that as many workers have something to load at once.
const EVEN_CHUNKS: u64 = 4;
/// Below this a chunk costs more than it brings.
const EVEN_BYTES_MIN: u64 = 32 << 20;

/// The budget that cuts few bytes into `EVEN_CHUNKS` chunks of about the same size for each server: a
/// power of two of them, so that two workers end together. None for many bytes or files, whose chunks are
/// as large as the limits allow, and for so few bytes that they are one chunk. It depends on the files alone: the same files give the same plan,
/// whatever server runs it.
pub(crate) fn even_budget(files: &[SourceFile], limits: PackLimits, servers: usize) -> Option<u64> {
    let total: u64 = files.iter().map(|file| file.size).sum();
    let most = EVEN_CHUNKS.saturating_mul(servers as u64);
    if total.div_ceil(most) > limits.bytes_max {
        return None;
    }
    let wanted = (total / EVEN_BYTES_MIN).min(most);
    if wanted < 2 {
        return None;
    }
    let chunks = if wanted == most { most } else { 1 << wanted.ilog2() };
    let count = |budget: u64| {
        let (mut chunks, mut bytes, mut in_chunk) = (0_u64, 0_u64, 0_usize);
        for file in files {
            let is_full = bytes + file.size > budget || in_chunk >= limits.files_max;
            if chunks == 0 || is_full {
                (chunks, bytes, in_chunk) = (chunks + 1, 0, 0);
            }
            (bytes, in_chunk) = (bytes + file.size, in_chunk + 1);
        }
        chunks
    };
    // So many files are cut by their number.
    if count(total) > chunks {
        return None;
    }
    // The smallest budget that needs no more chunks: below that size, one more is needed.
    let (mut low, mut high) = (total.div_ceil(chunks), total);
    while low < high {
        let middle = low.midpoint(high);
        if count(middle) <= chunks { high = middle } else { low = middle + 1 }
    }
    Some(high.max(1))
}

/// Cuts the files, in their order, into chunks within the limits. `seed` makes the sizes vary the
/// same way every time.
pub(crate) fn pack(files: &[SourceFile], limits: PackLimits, seed: u64) -> Vec<Chunk> {
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    let mut chunks = Vec::new();
    let mut open: Vec<SourceFile> = Vec::new();
    let (mut open_bytes, mut budget) = (0, vary(&mut random, limits));
    for file in files {
        let full = open_bytes + file.size > budget.0 || open.len() >= budget.1;
        if full && !open.is_empty() {
            close(&mut chunks, std::mem::take(&mut open));
            (open_bytes, budget) = (0, vary(&mut random, limits));
        }
        open_bytes += file.size;
        open.push(file.clone());
    }
    if !open.is_empty() {
        close(&mut chunks, open);
    }
    chunks
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn vary(random: &mut rand::rngs::SmallRng, limits: PackLimits) -> (u64, usize) {
    let share = if limits.is_even { 1.0 } else { random.random_range(FILL_MIN..=1.0) };
    let bytes = (limits.bytes_max as f64 * share) as u64;
    let files = (limits.files_max as f64 * share).ceil() as usize;
    (bytes.max(1), files.max(1))
}

/// A chunk whose list of files would not fit into a task row is halved.
fn close(chunks: &mut Vec<Chunk>, files: Vec<SourceFile>) {
    let chunk = Chunk::of_files(files);
    if chunk.files().len() == 1 || chunk.encode().len() <= TASK_BYTES_MAX - ROW_BYTES_RESERVED {
        chunks.push(chunk);
        return;
    }
    let Chunk::Files { files: mut head } = chunk else { return };
    let tail = head.split_off(head.len() / 2);
    close(chunks, head);
    close(chunks, tail);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(sizes: &[u64]) -> Vec<SourceFile> {
        let file = |(n, size): (usize, &u64)| {
            let path = format!("bucket/prefix/file-{n:08}.parquet");
            SourceFile::listed(path, *size, format!("{n:032x}"))
        };
        sizes.iter().enumerate().map(file).collect()
    }

    proptest! {
        #[test]
        fn every_file_is_in_one_chunk_and_no_chunk_is_over_budget(
            sizes in proptest::collection::vec(0u64..5_000, 0..300),
            bytes_max in 1u64..20_000,
            files_max in 1usize..50,
            seed: u64,
        ) {
            let files = files(&sizes);
            let limits = PackLimits { bytes_max, files_max, is_even: false };
            let chunks = pack(&files, limits, seed);
            let packed: Vec<SourceFile> = chunks.iter().flat_map(|c| c.files().to_vec()).collect();
            prop_assert_eq!(packed, files.clone());
            for chunk in &chunks {
                prop_assert!(!chunk.files().is_empty());
                prop_assert!(chunk.files().len() <= files_max);
                prop_assert!(chunk.bytes() <= bytes_max || chunk.files().len() == 1);
            }
            prop_assert_eq!(&chunks, &pack(&files, limits, seed));
        }

        #[test]
        fn few_bytes_are_cut_evenly(
            sizes in proptest::collection::vec(1u64..(64 << 20), 1..200),
            servers in 1usize..4,
        ) {
            let files = files(&sizes);
            let limits = PackLimits { bytes_max: 1 << 30, files_max: 1_000, is_even: true };
            let total: u64 = sizes.iter().sum();
            let most = EVEN_CHUNKS * servers as u64;
            let Some(budget) = even_budget(&files, limits, servers) else {
                let is_small = total < 2 * EVEN_BYTES_MIN;
                prop_assert!(total.div_ceil(most) > 1 << 30 || is_small);
                return Ok(());
            };
            let chunks = pack(&files, PackLimits { bytes_max: budget, ..limits }, 1);
            prop_assert!(chunks.len() as u64 <= most);
            let largest = sizes.iter().max().copied().unwrap_or_default();
            // No chunk is larger than an even share and the file that goes over it.
            prop_assert!(budget <= total.div_ceil(2) + largest);
        }
    }

    #[test]
    fn equal_files_make_equal_chunks() {
        let chunks = |count: usize, size: u64| {
            let files = files(&vec![size; count]);
            let limits = PackLimits { bytes_max: 1 << 30, files_max: 1_000, is_even: true };
            let bytes_max = even_budget(&files, limits, 1)?;
            let chunks = pack(&files, PackLimits { bytes_max, ..limits }, 1);
            Some(chunks.iter().map(|chunk| chunk.files().len()).collect::<Vec<_>>())
        };
        assert_eq!(chunks(40, 4 << 20), Some(vec![10; 4]));
        assert_eq!(chunks(40, 18 << 20), Some(vec![10; 4]));
        assert_eq!(chunks(24, 4 << 20), Some(vec![12; 2]));
        assert_eq!(chunks(10, 1 << 20), None, "one chunk");
        assert_eq!(chunks(2, 100 << 20), Some(vec![1; 2]));
        assert_eq!(chunks(5_000, 1 << 20), None, "5 GiB have chunks of a gibibyte");
        assert_eq!(chunks(4_100, 32 << 10), None, "no four chunks of 1,000 files hold them");
    }

    #[test]
    fn a_list_that_does_not_fit_into_a_task_row_is_halved() {
        // Names without a pattern hardly compress.
        let mut random = rand::rngs::SmallRng::seed_from_u64(1);
        let files: Vec<SourceFile> = (0..2_000)
            .map(|_| {
                let mut word = || format!("{:032x}", random.random::<u128>());
                SourceFile::listed(format!("b/{}{}", word(), word()), 1, word())
            })
            .collect();
        let chunks =
            pack(&files, PackLimits { bytes_max: u64::MAX, files_max: 10_000, is_even: false }, 1);
        assert!(chunks.len() > 1);
        assert!(chunks.iter().all(|c| c.encode().len() <= TASK_BYTES_MAX - ROW_BYTES_RESERVED));
    }
}
