//! Compact records: JSON, deflated. File lists share long prefixes and shrink to a few bytes a file.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An unpacked record may not be larger: a damaged row must not fill the memory.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes that are no packed record, or hold one of another shape.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// They are damaged.
    #[error(transparent)]
    Bytes(#[from] std::io::Error),
    /// What they hold has another shape.
    #[error(transparent)]
    Text(#[from] serde_json::Error),
}

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
/// When the bytes are damaged or of another shape.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnpackError> {
    let mut text = Vec::new();
    DeflateDecoder::new(bytes).take(UNPACKED_BYTES_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
