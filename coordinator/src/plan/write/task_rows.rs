//! The rows of a plan's tasks.

use longshore_shared::task::{Chunk, JobId, JobSpec, Progress, Stamp, Task, TaskId};

/// The tasks of these chunks as they are planned.
pub(crate) fn tasks(id: &JobId, spec: &JobSpec, chunks: &[Chunk]) -> Vec<Task> {
    let mode = spec.publish.mode;
    // A chunk that every server reads its share of is there once for each.
    let copies = spec.copies() as u64;
    // The last task loads nothing: it publishes what the others have loaded.
    let last = mode.has_last_task().then_some(Chunk::Publish { publish: mode });
    chunks
        .iter()
        .chain(&last)
        .zip(0..)
        .map(|(chunk, ordinal)| Task {
            id: TaskId { job: id.clone(), ordinal },
            progress: Progress::planned(),
            stamp: Stamp::fresh(),
            chunk: chunk.encode(),
            files: u32::try_from(chunk.files().len()).unwrap_or(u32::MAX),
            bytes: chunk.bytes() / copies,
            changed_ms: 0,
        })
        .collect()
}
