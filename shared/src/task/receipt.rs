//! The receipt: proof of what one task put into one table.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Row)]
pub struct Receipt {
    /// The job.
    pub job_id: String,
    /// The task.
    pub task_id: String,
    /// The table that the rows are in.
    pub target: String,
    /// Epoch that proved it.
    pub epoch: u64,
    /// Worker that proved it.
    pub worker: String,
    /// Query id of the load.
    pub query_id: String,
    /// Files of the chunk.
    pub files: u32,
    /// Bytes of those files.
    pub bytes: u64,
    /// Rows that the load read from the source.
    pub rows_read: u64,
    /// Rows staged for this table, all of them moved.
    pub rows_staged: u64,
    /// Partitions moved.
    pub partitions: Vec<String>,
    /// Identities of the parts moved.
    #[serde(with = "uuid_list")]
    pub part_uuids: Vec<uuid::Uuid>,
    /// Their hashes, in the same order.
    pub part_hashes: Vec<String>,
    /// Server time of the proof, in milliseconds since 1970.
    pub published_at: i64,
    /// Names of the parts in the target, in the same order; empty texts for those that are not known.
    pub part_names: Vec<String>,
    /// Server time when the manifest was taken, in milliseconds since 1970: no part is older in the target.
    pub taken_at: i64,
    /// Rows of the parts when they were moved, in the same order.
    pub part_rows: Vec<u64>,
}

impl Receipt {
    /// An empty receipt of a task, with the time of now.
    pub fn of(task: &super::TaskId) -> Self {
        Self {
            job_id: task.job.to_string(),
            task_id: task.to_string(),
            target: String::new(),
            epoch: 0,
            worker: String::new(),
            query_id: String::new(),
            files: 0,
            bytes: 0,
            rows_read: 0,
            rows_staged: 0,
            partitions: Vec::new(),
            part_uuids: Vec::new(),
            part_hashes: Vec::new(),
            published_at: crate::clock::now_ms(),
            part_names: Vec::new(),
            part_rows: Vec::new(),
            taken_at: 0,
        }
    }
}

/// ClickHouse stores a UUID as two little-endian 64-bit halves.
pub(crate) mod uuid_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use uuid::Uuid;

    pub(crate) fn serialize<S: Serializer>(
        list: &[Uuid],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let halves: Vec<(u64, u64)> = list.iter().map(Uuid::as_u64_pair).collect();
        halves.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Uuid>, D::Error> {
        let halves = Vec::<(u64, u64)>::deserialize(deserializer)?;
        Ok(halves.into_iter().map(|(high, low)| Uuid::from_u64_pair(high, low)).collect())
    }
}
