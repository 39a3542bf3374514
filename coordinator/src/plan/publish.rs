//! Writes a plan: the tasks in bounded batches, the cursor, and last the one row that makes it a plan.

use std::collections::HashSet;

use longshore_shared::faults;
use longshore_shared::store::{REQUEST_ROWS_MAX, SEGMENT_TASKS, TaskStore};
use longshore_shared::task::{
    Chunk, Cursor, Epoch, Job, JobId, JobSpec, JobState, Made, Progress, PublishMode, Stamp, Task,
    TaskId,
};
use sha2::{Digest, Sha256};

use super::shadow::{self, Marks};
use crate::exit::{Error, Kind, Report};
use crate::session::Session;

/// Tasks handed to the store at a time; it cuts them into requests by bytes.
const TASKS_AT_ONCE: usize = 5_000;

/// Identity of a plan: what it loads, from where, into what, in which environment.
pub(crate) fn identity(spec: &JobSpec, chunks: &[Chunk], again: &str) -> JobId {
    let mut hash = Sha256::new();
    let mut spec = spec.clone();
    spec.made = Made::default();
    // An exchange gives the target another UUID, and is the same plan before and after.
    if spec.publish.mode == PublishMode::Exchange {
        spec.graph.tables.iter_mut().for_each(|table| table.uuid.clear());
    }
    // One server is known by the UUIDs of its tables; its address may be spelled in many ways.
    if spec.is_sharded() {
        spec.servers.iter_mut().for_each(|server| server.url.clear());
    } else {
        spec.servers.clear();
    }
    hash.update(serde_json::to_vec(&spec).expect("a spec is plain JSON"));
    hash.update(again.as_bytes());
    for chunk in chunks {
        hash.update([0]);
        match chunk {
            Chunk::Files { files } => {
                for file in files {
                    hash.update(format!("{}\0{}\0{}\n", file.path, file.size, file.etag));
                }
            }
            Chunk::Slice(slice) => {
                hash.update(serde_json::to_vec(slice).expect("a slice is plain JSON"));
            }
            // It follows from the spec.
            Chunk::Publish { .. } => {}
        }
    }
    JobId::from_digest(&hash.finalize())
}

/// Writes the plan of these chunks under its identity, unless it is there.
pub(crate) async fn publish(
    session: &Session,
    spec: JobSpec,
    chunks: &[Chunk],
    marks: Marks,
) -> Result<(Job, bool), Error> {
    let id = identity(&spec, chunks, &spec.made.again);
    publish_as(session, id, spec, chunks, marks).await
}

/// An exchange of the same tables may have been planned on another server of this environment.
fn refuse_other_server(job: &Job, spec: &JobSpec) -> Result<(), Error> {
    match (job.spec.servers.as_slice(), spec.servers.as_slice()) {
        ([there], [here]) if there.uuid != here.uuid && !spec.graph.is_replicated() => {
            let message = format!(
                "plan {} was made on another server of this environment: {}",
                job.id, there.url
            );
            let help = "give --again TEXT for a plan of this server";
            Err(Report::new(Kind::Usage, message).help(help).into())
        }
        _ => Ok(()),
    }
}

/// The tasks of these chunks as they are planned.
fn tasks(id: &JobId, spec: &JobSpec, chunks: &[Chunk]) -> Vec<Task> {
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

/// Writes rows of a paused job that somebody deleted. A task that was published before has receipts,
/// so no worker loads it again.
async fn write_missing(store: &impl TaskStore, id: &JobId, tasks: &[Task]) -> Result<(), Error> {
    let mut written = 0;
    for page in tasks.chunks(REQUEST_ROWS_MAX) {
        let ids: Vec<TaskId> = page.iter().map(|task| task.id.clone()).collect();
        let there: HashSet<TaskId> =
            store.briefs(&ids).await?.into_iter().map(|brief| brief.id).collect();
        let missing: Vec<Task> =
            page.iter().filter(|task| !there.contains(&task.id)).cloned().collect();
        written += missing.len();
        store.create_tasks(&missing).await?;
    }
    if store.cursor(id).await?.is_none() {
        store.create_cursor(&Cursor::new(id.clone())).await?;
        written += 1;
    }
    if written > 0 {
        tracing::warn!("{written} rows of job {id} were missing and are written again");
    }
    Ok(())
}

/// Writes the plan unless it is there. A crash before the last row leaves nothing that can be
/// claimed, and planning again goes on where it stopped.
pub(crate) async fn publish_as(
    session: &Session,
    id: JobId,
    mut spec: JobSpec,
    chunks: &[Chunk],
    marks: Marks,
) -> Result<(Job, bool), Error> {
    let store = &session.store;
    let tasks = tasks(&id, &spec, chunks);
    if let Some(job) = store.job(&id).await? {
        refuse_other_server(&job, &spec)?;
        if job.state == JobState::Paused {
            write_missing(store, &id, &tasks).await?;
        }
        return Ok((job, false));
    }
    shadow::make(&session.server, &id, &mut spec, marks).await?;
    faults::pass(faults::PLAN_BEFORE).await?;
    for page in tasks.chunks(faults::batch(TASKS_AT_ONCE)) {
        store.create_tasks(page).await?;
        faults::pass(faults::PLAN_BATCH).await?;
    }
    faults::pass(faults::PLAN_TASKS).await?;
    store.create_cursor(&Cursor::new(id.clone())).await?;
    faults::pass(faults::PLAN_CURSOR).await?;
    let copies = spec.copies() as u64;
    let job = Job {
        id,
        state: JobState::Planned,
        epoch: Epoch(0),
        stamp: Stamp::fresh(),
        spec,
        tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        segment_tasks: SEGMENT_TASKS,
        files: chunks.iter().map(|chunk| chunk.files().len() as u64).sum::<u64>() / copies,
        bytes: chunks.iter().map(Chunk::bytes).sum::<u64>() / copies,
        reason: String::new(),
        created_ms: longshore_shared::ledger::now_ms(),
        submitted_ms: 0,
        ended_ms: 0,
    };
    let stamp = job.stamp.clone();
    let job = store.create_job(&job).await?;
    faults::pass(faults::PLAN_AFTER).await?;
    let created = job.stamp == stamp;
    Ok((job, created))
}
