//! The bounds of the model, and its small numbers as the project's own types.

use std::sync::Arc;

use longshore_shared::task::{
    Epoch, Line, Manifest, Owner, Part, Progress, StagedTable, TableName, TaskEvent, WorkerId,
};
use uuid::Uuid;

use crate::state::{Budget, Mark, PARTITIONS, Row};

/// A planted bug: each must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A take-over acts at once.
    SkipFence,
    /// The fence of a publishing task only waits; the tables keep their names.
    NoRename,
    /// What is staged is moved again, without a look at the target.
    BlindMove,
    /// OK to a claim is taken for a claim.
    TrustOk,
    /// No answer to the manifest write is taken for a write that was not applied.
    TrustError,
    /// After a MOVE without a trace the next one is sent in the same epoch.
    KeepMoving,
    /// The job is paused without a look at the lease.
    PauseUnchecked,
    /// A table that another take-over has just renamed is taken for one that is gone.
    RenameOnce,
}

/// The protocol within bounds.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    pub(crate) tasks: usize,
    pub(crate) workers: usize,
    pub(crate) attempts_max: u32,
    pub(crate) budget: Budget,
    pub(crate) bug: Option<Bug>,
    /// Are there enough faults that everything must be reached?
    pub(crate) reaches: bool,
}

/// A task as the planner writes it.
pub(crate) fn planned() -> Row {
    let stamp = Mark { worker: 0, life: 0, from_epoch: 0, event: 0, nonce: 0 };
    Row { progress: Arc::new(Progress::planned()), stamp }
}

/// A life of a worker as the owner of a task.
pub(crate) fn owner(worker: u8, life: u8) -> Owner {
    Owner { worker: WorkerId(format!("{worker}.{life}")), endpoint: String::new() }
}

/// The worker and life that own the task.
pub(crate) fn owner_of(progress: &Progress) -> Option<(u8, u8)> {
    let name = &progress.state.owner()?.worker.0;
    let (worker, life) = name.split_once('.')?;
    Some((worker.parse().ok()?, life.parse().ok()?))
}

/// The epoch as a small number.
pub(crate) fn epoch_of(progress: &Progress) -> u8 {
    u8::try_from(progress.epoch.0).expect("few epochs")
}

/// The row after an event, by the real transition function: `Claim::advance`, `take_marked`.
pub(crate) fn after(row: &Row, event: &TaskEvent, worker: u8, life: u8, nonce: u8) -> Option<Row> {
    let progress = row.progress.next(event).ok()?;
    let kind = match event {
        TaskEvent::Claimed { .. } => 1,
        TaskEvent::TakenOver { .. } => 2,
        TaskEvent::Loaded { .. } => 3,
        TaskEvent::Published { .. } => 4,
        TaskEvent::Retried { .. } => 5,
        TaskEvent::HandedBack { .. } => 6,
        TaskEvent::GaveUp { .. } => 7,
        TaskEvent::Unprovable { .. } => 8,
        TaskEvent::Interrupted { .. } => 9,
        TaskEvent::Recalled { .. } => 10,
        // Events of a person: the model has none.
        TaskEvent::Reopened | TaskEvent::Reset | TaskEvent::Accepted | TaskEvent::Restored(_) => {
            return None;
        }
    };
    let stamp = Mark { worker, life, from_epoch: epoch_of(&row.progress), event: kind, nonce };
    Some(Row { progress: Arc::new(progress), stamp })
}

/// The epoch a worker acts in.
pub(crate) fn acting(row: &Row) -> Epoch {
    row.progress.epoch
}

/// What `verify::make_manifest` writes down of a table made in this epoch with these parts.
pub(crate) fn manifest(task: u8, made: u8, parts: u8) -> Manifest {
    let id = |partition: u8| {
        Uuid::from_bytes([task, made, partition, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    let line = |partition: u8| Line {
        partition: partition.to_string(),
        parts: vec![Part { uuid: id(partition), hash: String::new(), rows: 1 }],
    };
    let lines: Vec<Line> = (0..PARTITIONS).filter(|p| parts & (1 << p) != 0).map(line).collect();
    let rows = u64::try_from(lines.len()).unwrap_or_default();
    let target = TableName { database: String::new(), table: "t".into() };
    let table = StagedTable {
        suffix: String::new(),
        uuid: id(u8::MAX),
        target,
        target_uuid: Uuid::nil(),
        lines,
    };
    Manifest {
        taken_ms: 0,
        rows,
        rows_read: rows,
        tables: vec![table],
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    }
}

/// The epoch that made the table of a manifest.
pub(crate) fn manifest_table(manifest: &Manifest) -> u8 {
    manifest.tables[0].uuid.as_bytes()[1]
}

/// The partitions of a manifest.
pub(crate) fn manifest_parts(manifest: &Manifest) -> u8 {
    manifest.tables[0].parts().fold(0, |mask, part| mask | 1 << part.uuid.as_bytes()[2])
}
