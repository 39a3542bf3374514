//! What a task and its manifest mean together: the version of its record, and receipts that a person vouches for.

use uuid::Uuid;

use super::{FORMAT_FIRST, FORMAT_OPERATED, FORMAT_RECORDED, Manifest, Receipt, Task, TaskState};

impl Manifest {
    /// The receipts of a task for which a person vouches: all of this is in its targets. `name` gives the names
    /// of the parts that are listed there, so that the closing audit looks for them.
    pub fn vouched(&self, task: &Task, name: impl Fn(&Uuid) -> Option<String>) -> Vec<Receipt> {
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
        let tables = self.tables.iter().map(|table| {
            let receipt = table.receipt(&base);
            let part_names =
                receipt.part_uuids.iter().map(|uuid| name(uuid).unwrap_or_default()).collect();
            Receipt { part_names, ..receipt }
        });
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
