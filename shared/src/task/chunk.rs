//! A chunk: the files that one task loads, pinned by size and etag.

use serde::{Deserialize, Serialize};

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
pub struct Chunk {
    /// The files, in listing order.
    pub files: Vec<SourceFile>,
}

impl Chunk {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
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
