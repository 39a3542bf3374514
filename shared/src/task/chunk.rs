//! A chunk: what one task loads.

use serde::{Deserialize, Serialize};

use super::publish::PublishMode;
use super::slice::Slice;

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
        crate::store::pack(self)
    }

    /// From a task row.
    ///
    /// # Errors
    /// When the bytes are no chunk.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::store::StoreError> {
        crate::store::unpack(bytes)
    }
}
