//! What a task and its manifest mean together: the version of its record, and receipts that a person vouches for.

use super::{FORMAT_FIRST, FORMAT_OPERATED, FORMAT_RECORDED, Manifest, Receipt, Task, TaskState};

impl Manifest {
    /// The receipts of a task for which a person vouches: all of this is in its targets.
    pub fn vouched(&self, task: &Task) -> Vec<Receipt> {
        let base = Receipt {
            epoch: task.progress.epoch.0,
            worker: "operator".to_owned(),
            query_id: task.id.query(task.progress.epoch, "accepted").to_string(),
            files: task.files,
            bytes: task.bytes,
            rows_read: self.rows_read,
            taken_at: self.taken_ms,
            ..Receipt::of(&task.id)
        };
        let tables = self.tables.iter().map(|table| table.receipt(&base));
        tables.chain(self.handovers.iter().map(|handover| handover.receipt(&base))).collect()
    }
}

impl Task {
    /// Lowest version of the records that understands this one.
    pub fn format(&self) -> u8 {
        match &self.progress.state {
            TaskState::Publishing { manifest, .. } | TaskState::Quarantined { manifest, .. }
                if manifest.partial =>
            {
                FORMAT_RECORDED
            }
            TaskState::Publishing { manifest, .. } | TaskState::Quarantined { manifest, .. }
                if manifest.doubted =>
            {
                FORMAT_OPERATED
            }
            _ => FORMAT_FIRST,
        }
    }
}
