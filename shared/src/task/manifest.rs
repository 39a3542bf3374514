//! The manifest: what a task will move, written before the first move.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Handover, Receipt, TableName};

/// A staged part. `uuid` is its exact identity (the staging tables set `assign_part_uuids`), the
/// hash a second witness; both survive the move and stay on inactive parts (ENGINE L).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Identity of the part.
    pub uuid: Uuid,
    /// `hash_of_all_files`, 32 hex digits.
    pub hash: String,
    /// Rows in it.
    pub rows: u64,
}

/// One line: a partition of a staging table and the parts in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Line {
    /// `partition_id` as in `system.parts`.
    pub partition: String,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Line {
    /// Rows of all parts.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// A staging table, its target, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StagedTable {
    /// Name of the staging table without the prefix of its epoch: a take-over renames it.
    pub suffix: String,
    /// UUID of the staging table: the same table under any name.
    pub uuid: Uuid,
    /// Where it goes.
    pub target: TableName,
    /// UUID of the target when the task was loaded: a target that was dropped and made again is another.
    pub target_uuid: Uuid,
    /// Its partitions; empty when nothing was staged for this target.
    pub lines: Vec<Line>,
}

impl StagedTable {
    /// Rows of all lines.
    pub fn rows(&self) -> u64 {
        self.lines.iter().map(Line::rows).sum()
    }

    /// What a proof of it says; the rest is that of `base`.
    pub fn receipt(&self, base: &Receipt) -> Receipt {
        Receipt {
            target: self.target.to_string(),
            rows_staged: self.rows(),
            partitions: self.lines.iter().map(|line| line.partition.clone()).collect(),
            part_uuids: self.parts().map(|part| part.uuid).collect(),
            part_hashes: self.parts().map(|part| part.hash.clone()).collect(),
            part_names: vec![String::new(); self.parts().count()],
            part_rows: self.parts().map(|part| part.rows).collect(),
            ..base.clone()
        }
    }

    /// All parts of all lines.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.lines.iter().flat_map(|line| &line.parts)
    }
}

/// What one task moves: one entry a staged table, the base table first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Manifest {
    /// Server time when it was taken, in milliseconds since 1970: no move of it is older.
    pub taken_ms: i64,
    /// Rows that the load wrote into the base table.
    pub rows: u64,
    /// Rows that the load read from the source.
    pub rows_read: u64,
    /// The staged tables.
    pub tables: Vec<StagedTable>,
    /// Shadows that take the place of their targets: of the last task of a job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handovers: Vec<Handover>,
    /// It was in quarantine: nothing but the identities of all its parts proves it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// It names only what could still be found: it can never be proved, a person decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl Manifest {
    /// One that moves nothing.
    pub fn empty() -> Self {
        Self {
            taken_ms: 0,
            rows: 0,
            rows_read: 0,
            tables: Vec::new(),
            handovers: Vec::new(),
            doubted: false,
            partial: false,
        }
    }

    /// The identities of all its parts.
    pub fn part_uuids(&self) -> Vec<Uuid> {
        self.tables.iter().flat_map(StagedTable::parts).map(|part| part.uuid).collect()
    }

    /// Number of moves.
    pub fn lines(&self) -> usize {
        self.tables.iter().map(|table| table.lines.len()).sum()
    }
}
