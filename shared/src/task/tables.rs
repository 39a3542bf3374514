//! Tables as the source of a job: what is read, and what its chunks are cut by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TableName;
use super::slice::KeyColumn;

/// The unit of a chunk's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetUnit {
    /// Bytes of the columns in memory: what a load has to hold, whatever the codec.
    #[default]
    Uncompressed,
    /// Bytes on the source's disk.
    Compressed,
}

impl BudgetUnit {
    /// Its name in flags and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Compressed => "compressed",
        }
    }
}

/// The table function that reads a table of another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteFunction {
    /// In plain.
    #[serde(rename = "remote")]
    Remote,
    /// Encrypted.
    #[serde(rename = "remoteSecure")]
    RemoteSecure,
}

impl RemoteFunction {
    /// Its name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::RemoteSecure => "remoteSecure",
        }
    }
}

/// Another server. Address and credentials live in a named collection of the server that loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The table function.
    pub function: RemoteFunction,
    /// The named collection.
    pub collection: String,
}

/// The SELECT of a materialized view, for a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedView {
    /// The view.
    pub name: TableName,
    /// Its SELECT as the server had it when the plan was made: another one is another plan.
    pub defined: String,
    /// What is run: the part of it that fires, reading [`Feed::table`] where the view reads its source.
    pub select: String,
    /// Names of its columns, which are those of the INSERT.
    pub columns: Vec<String>,
    /// The table it writes to, one of the graph.
    pub target: TableName,
    /// How often it reads its source, when it reads nothing else: that bounds what a load reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes: Option<u64>,
}

/// A time window of the source, half open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The column.
    pub column: String,
    /// First moment, a literal of the column's type; none when open.
    pub from: Option<String>,
    /// First moment after it, a literal of the column's type; none when open.
    pub to: Option<String>,
}

/// Blocks of a partition that follow each other without a gap, and the rows they held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Lowest block number.
    #[serde(rename = "a")]
    pub first: i64,
    /// Highest block number.
    #[serde(rename = "z")]
    pub last: i64,
    /// Rows in all of them.
    #[serde(rename = "r")]
    pub rows: u64,
}

/// What a table consisted of when a snapshot was made: everything else arrived later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The table.
    pub uuid: Uuid,
    /// By partition, in order of their blocks.
    pub partitions: BTreeMap<String, Vec<Span>>,
}

/// One table that is read, cut into slices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The table as statements read it: the snapshot, when there is one.
    pub table: TableName,
    /// Its UUID, when it is on the server that loads: a table that was made again is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// The table as the user named it.
    pub origin: TableName,
    /// [`Feed::table`] is a clone that nobody writes to: counts must be exact.
    #[serde(default)]
    pub is_snapshot: bool,
    /// Where the table is, when not on the server that loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// The leading columns of the sorting key that bounds of slices stand for.
    pub key: Vec<KeyColumn>,
    /// For a replay: what is read instead of the table's own rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<FeedView>,
    /// What the table consisted of at the moment of the snapshot, for a later `--delta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Only this time window of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// Tables as the source of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablesSource {
    /// What is read; a slice names its feed by position.
    pub feeds: Vec<Feed>,
    /// Unit of the chunks' bytes.
    pub budget: BudgetUnit,
    /// Bytes that a chunk should not exceed.
    pub chunk_bytes: u64,
    /// Rows of all chunks together, when the plan knows them exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Digest of the parts that were planned: another state of the tables is another plan.
    pub digest: String,
}
