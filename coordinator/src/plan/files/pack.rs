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
    /// Files.
    pub(crate) files_max: usize,
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
    let share = random.random_range(FILL_MIN..=1.0);
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
        let file = |(n, size): (usize, &u64)| SourceFile {
            path: format!("bucket/prefix/file-{n:08}.parquet"),
            size: *size,
            etag: format!("{n:032x}"),
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
            let chunks = pack(&files, PackLimits { bytes_max, files_max }, seed);
            let packed: Vec<SourceFile> = chunks.iter().flat_map(|c| c.files().to_vec()).collect();
            prop_assert_eq!(packed, files.clone());
            for chunk in &chunks {
                prop_assert!(!chunk.files().is_empty());
                prop_assert!(chunk.files().len() <= files_max);
                prop_assert!(chunk.bytes() <= bytes_max || chunk.files().len() == 1);
            }
            prop_assert_eq!(&chunks, &pack(&files, PackLimits { bytes_max, files_max }, seed));
        }
    }

    #[test]
    fn a_list_that_does_not_fit_into_a_task_row_is_halved() {
        // Names without a pattern hardly compress.
        let mut random = rand::rngs::SmallRng::seed_from_u64(1);
        let files: Vec<SourceFile> = (0..2_000)
            .map(|_| SourceFile {
                path: format!("b/{:032x}{:032x}", random.random::<u128>(), random.random::<u128>()),
                size: 1,
                etag: format!("{:032x}", random.random::<u128>()),
            })
            .collect();
        let chunks = pack(&files, PackLimits { bytes_max: u64::MAX, files_max: 10_000 }, 1);
        assert!(chunks.len() > 1);
        assert!(chunks.iter().all(|c| c.encode().len() <= TASK_BYTES_MAX - ROW_BYTES_RESERVED));
    }
}
