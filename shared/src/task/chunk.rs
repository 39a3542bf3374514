//! A chunk: what one task loads.

use serde::{Deserialize, Serialize};

use super::publish::PublishMode;
use super::slice::Slice;
use crate::pack::{UnpackError, pack, unpack};

/// One file of the source as the server listed it at plan time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceFile {
    /// The server's `_path` (`bucket/key` for object stores).
    #[serde(rename = "p")]
    pub path: String,
    /// Bytes.
    #[serde(rename = "s")]
    pub size: u64,
    /// The store's etag; empty where the source has none.
    #[serde(rename = "e", default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Rows, where the footer said them at plan time and the etag pins it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl SourceFile {
    /// As it was listed; its rows are not known.
    pub fn listed(path: impl Into<String>, size: u64, etag: impl Into<String>) -> Self {
        Self { path: path.into(), size, etag: etag.into(), rows: None }
    }
}

/// What one task loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Chunk {
    /// Files, pinned by size and etag.
    Files {
        /// The files, in listing order.
        files: Vec<SourceFile>,
    },
    /// A piece of a table.
    Slice(Slice),
    /// Nothing: the last task publishes what the others have loaded.
    Publish {
        /// How.
        publish: PublishMode,
    },
}

impl Chunk {
    /// Files, in listing order.
    pub fn of_files(files: Vec<SourceFile>) -> Self {
        Self::Files { files }
    }

    /// Bytes of it, in the plan's unit.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Files { files } => files.iter().map(|file| file.size).sum(),
            Self::Slice(slice) => slice.bytes,
            Self::Publish { .. } => 0,
        }
    }

    /// Its files; none for a piece of a table.
    pub fn files(&self) -> &[SourceFile] {
        match self {
            Self::Files { files } => files,
            Self::Slice(_) | Self::Publish { .. } => &[],
        }
    }

    /// The piece of a table, if it is one.
    pub fn as_slice(&self) -> Option<&Slice> {
        match self {
            Self::Slice(slice) => Some(slice),
            Self::Files { .. } | Self::Publish { .. } => None,
        }
    }

    /// As stored in the task row. Paths share long prefixes and deflate to a few bytes each.
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    /// From a task row.
    ///
    /// # Errors
    /// When the bytes are no chunk.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnpackError> {
        unpack(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunk, SourceFile};

    fn listing(files: usize) -> Chunk {
        let files = (0..files)
            .map(|n| SourceFile {
                path: format!("bucket/exports/2024/06/30/events-{n:06}.parquet"),
                size: 100_000_000 + (n as u64 * 7_919) % 1_000_000,
                etag: format!(
                    "{:032x}",
                    (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
                ),
                rows: Some(1_000_000 + (n as u64 * 7_919) % 10_000),
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
