//! Compact records: JSON, deflated. File lists share long prefixes and shrink to a few bytes a file.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// An unpacked record may not be larger: a damaged row must not fill the memory.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Packs a record.
///
/// # Panics
/// Never for the record types of this crate: they have no map keys that are not text.
pub fn pack<T: Serialize>(record: &T) -> Vec<u8> {
    let text = serde_json::to_vec(record).expect("records are plain JSON");
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(text.len() / 4), Compression::best());
    encoder.write_all(&text).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Unpacks a record.
///
/// # Errors
/// [`StoreError::Record`] when the bytes are damaged or of another shape.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let mut text = Vec::new();
    DeflateDecoder::new(bytes)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| StoreError::Record(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| StoreError::Record(error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::task::{Chunk, SourceFile};

    fn listing(files: usize) -> Chunk {
        let files = (0..files)
            .map(|n| SourceFile {
                path: format!("bucket/exports/2024/06/30/events-{n:06}.parquet"),
                size: 100_000_000 + (n as u64 * 7_919) % 1_000_000,
                etag: format!(
                    "{:032x}",
                    (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
                ),
            })
            .collect();
        Chunk::of_files(files)
    }

    #[test]
    fn a_chunk_survives_packing() {
        let chunk = listing(100);
        assert_eq!(Chunk::decode(&chunk.encode()).unwrap(), chunk);
    }

    #[test]
    fn a_million_files_fit_into_the_keeper_budget() {
        // DESIGN §11: at most 50 MB for a million planned files; 16 bytes of that are the etag.
        let chunk = listing(1_000);
        let bytes_per_file = chunk.encode().len() as f64 / 1_000.0;
        assert!(bytes_per_file < 40.0, "{bytes_per_file} bytes a file");
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let mut bytes = listing(10).encode();
        bytes.truncate(bytes.len() / 2);
        assert!(Chunk::decode(&bytes).is_err());
        assert!(Chunk::decode(b"").is_err());
    }
}
