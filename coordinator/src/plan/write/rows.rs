//! Writes a plan: a row that says so, the tasks in bounded batches, the cursor; then the tasks are
//! read back, and only when they are exactly those of the plan does the row make it one.
//!
//! The identity of a plan does not hold its borders: the same table may be cut elsewhere after a
//! merge, or by another version. So whoever writes looks at what another planner left, or writes at
//! the same time, and no plan is ever a mixture ([decision 27](../../../../docs/decisions/0027-a-plan-is-read-back.md)).

use std::collections::HashMap;
use std::time::Duration;

use longshore_shared::faults;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{
    KeeperMapStore, SEGMENT_TASKS, Swap, TaskStore, chunk_digest, plan_digest,
};
use longshore_shared::task::{
    Chunk, Cursor, Epoch, FORMAT_AUDITED, Job, JobEvent, JobId, JobSpec, JobState, PlanOptions,
    PublishMode, Source, Stamp, Task, TaskId,
};
use sha2::{Digest, Sha256};

use super::missing;
use super::task_rows::tasks;
use crate::plan::target::shadow::{self, Marks};
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Tasks handed to the store at a time; it cuts them into requests by bytes.
const TASKS_AT_ONCE: usize = 5_000;
/// Rounds of writing and reading back: another planner can get between as long as it lives.
const ROUNDS_MAX: usize = 10;
/// How long another planner of the same plan is waited for.
const OTHER_MAX: Duration = Duration::from_secs(60);
const OTHER_PAUSE: Duration = Duration::from_millis(200);

/// Identity of a plan: what it loads, from where, into what, in which environment.
pub(crate) fn identity(spec: &JobSpec, chunks: &[Chunk], again: &str) -> JobId {
    let mut hash = Sha256::new();
    let mut spec = spec.clone();
    spec.made = PlanOptions::default();
    // Which files could be looked at is luck, and changes nothing of what is loaded.
    if let Source::Files(source) = &mut spec.source {
        source.unseen = None;
    }
    // An exchange gives the target another UUID, and is the same plan before and after.
    if spec.publish.mode == PublishMode::Exchange {
        spec.graph.tables.iter_mut().for_each(|table| table.uuid = None);
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
pub(crate) async fn write_identified(
    session: &Session,
    spec: JobSpec,
    chunks: &[Chunk],
    marks: Marks,
) -> Result<(Job, bool), Error> {
    let id = identity(&spec, chunks, &spec.made.again);
    write_plan(session, id, spec, chunks, marks).await
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

/// The job of a plan that is whole, if there is one.
pub(crate) async fn whole(store: &KeeperMapStore, id: &JobId) -> Result<Option<Job>, Error> {
    Ok(store.job(id).await?.filter(|job| job.state != JobState::Planning))
}

/// Writes the plan unless it exists. If the planner stops before the end, no worker can claim a task,
/// and the same command continues.
pub(crate) async fn write_plan(
    session: &Session,
    id: JobId,
    mut spec: JobSpec,
    chunks: &[Chunk],
    marks: Marks,
) -> Result<(Job, bool), Error> {
    let store = &session.store;
    let tasks = tasks(&id, &spec, chunks);
    spec.made.format = FORMAT_AUDITED;
    spec.made.digest = plan_digest(tasks.iter().map(|task| chunk_digest(&task.chunk)));
    if let Some(job) = whole(store, &id).await? {
        return found(session, job, &spec, &tasks).await;
    }
    let copies = spec.copies() as u64;
    let planning = Job {
        id: id.clone(),
        state: JobState::Planning,
        epoch: Epoch(0),
        stamp: Stamp::fresh(),
        spec: spec.clone(),
        tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        segment_tasks: SEGMENT_TASKS,
        files: chunks.iter().map(|chunk| chunk.files().len() as u64).sum::<u64>() / copies,
        bytes: chunks.iter().map(Chunk::bytes).sum::<u64>() / copies,
        reason: String::new(),
        created_ms: longshore_shared::ledger::now_ms(),
        submitted_ms: 0,
        ended_ms: 0,
    };
    faults::pass(faults::PLAN_BEFORE).await?;
    let ours = match begin(store, planning).await? {
        Begun::Ours(job) => *job,
        Begun::Whole(job) => return found(session, *job, &spec, &tasks).await,
    };
    shadow::make(&session.server, &id, &mut spec, marks).await?;
    if !write(session, &ours, &tasks).await? {
        return other(session, &id, &spec, &tasks).await;
    }
    faults::pass(faults::PLAN_TASKS).await?;
    store.create_cursor(&Cursor::new(id.clone())).await?;
    faults::pass(faults::PLAN_CURSOR).await?;
    let job = Job { spec: spec.clone(), ..ours.after(JobEvent::Planned, "")? };
    // Whoever cuts the table elsewhere has put another stamp on the row before it touches a task.
    let swapped = store.swap_job(&ours, &job).await?;
    faults::pass(faults::PLAN_AFTER).await?;
    match swapped {
        Swap::Won => Ok((job, true)),
        Swap::Lost(_) => other(session, &id, &spec, &tasks).await,
    }
}

/// A plan that was there.
async fn found(
    session: &Session,
    job: Job,
    spec: &JobSpec,
    tasks: &[Task],
) -> Result<(Job, bool), Error> {
    refuse_other_server(&job, spec)?;
    if missing::rests(&job) {
        missing::write(session, &job, tasks).await?;
    }
    Ok((job, false))
}

enum Begun {
    /// The row says that these tasks are being written.
    Ours(Box<Job>),
    /// Somebody else has made the plan meanwhile.
    Whole(Box<Job>),
}

/// Says in the row of the job which tasks are being written. Another planner that writes the very
/// same ones works on the same row; one that writes others is shut out.
async fn begin(store: &KeeperMapStore, planning: Job) -> Result<Begun, Error> {
    let mut job = store.create_job(&planning).await?;
    for _ in 0..ROUNDS_MAX {
        if job.state != JobState::Planning {
            return Ok(Begun::Whole(Box::new(job)));
        }
        if job.spec.made.digest == planning.spec.made.digest {
            return Ok(Begun::Ours(Box::new(job)));
        }
        tracing::info!(job = %job.id, "an unfinished plan with other chunks is written anew");
        let Job { spec, tasks, segment_tasks, files, bytes, .. } = planning.clone();
        let next = job.after(JobEvent::Planning, "")?;
        let next = Job { spec, tasks, segment_tasks, files, bytes, ..next };
        match store.swap_job(&job, &next).await? {
            Swap::Won => {
                if !planted(Bug::MixCuts) {
                    remove_beyond(store, &next, job.tasks).await?;
                }
                return Ok(Begun::Ours(Box::new(next)));
            }
            Swap::Lost(Some(now)) => job = now,
            Swap::Lost(None) => break,
        }
    }
    Err(busy(&planning.id))
}

/// Removes tasks of the other cut that have no like in this one.
async fn remove_beyond(store: &KeeperMapStore, job: &Job, tasks: u32) -> Result<(), Error> {
    let beyond: Vec<TaskId> = (job.tasks..tasks.max(job.tasks))
        .map(|ordinal| TaskId { job: job.id.clone(), ordinal })
        .collect();
    store.remove_tasks(job, &beyond).await?;
    Ok(())
}

/// Writes the tasks until those that are read back are exactly they. False when the row of the job
/// is another by now.
async fn write(session: &Session, job: &Job, tasks: &[Task]) -> Result<bool, Error> {
    let store = &session.store;
    for _ in 0..ROUNDS_MAX {
        for page in tasks.chunks(faults::batch(TASKS_AT_ONCE)) {
            store.create_tasks(page).await?;
            faults::pass(faults::PLAN_BATCH).await?;
        }
        if planted(Bug::MixCuts) {
            return Ok(true);
        }
        let there: HashMap<TaskId, u64> = store
            .witnesses(job)
            .await?
            .into_iter()
            .map(|witness| (witness.id, witness.chunk_digest))
            .collect();
        let is_wrong = |task: &&Task| {
            there.get(&task.id).is_some_and(|digest| *digest != chunk_digest(&task.chunk))
        };
        let wrong: Vec<TaskId> =
            tasks.iter().filter(is_wrong).map(|task| task.id.clone()).collect();
        if wrong.is_empty() && there.len() == tasks.len() {
            return Ok(true);
        }
        if !store.remove_tasks(job, &wrong).await? {
            return Ok(false);
        }
    }
    Err(busy(&job.id))
}

/// Another planner has the row: its plan is the plan, as soon as it is whole.
async fn other(
    session: &Session,
    id: &JobId,
    spec: &JobSpec,
    tasks: &[Task],
) -> Result<(Job, bool), Error> {
    let end = tokio::time::Instant::now() + OTHER_MAX;
    while tokio::time::Instant::now() < end {
        match session.store.job(id).await? {
            Some(job) if job.state != JobState::Planning => {
                return found(session, job, spec, tasks).await;
            }
            Some(_) => tokio::time::sleep(OTHER_PAUSE).await,
            None => break,
        }
    }
    Err(busy(id))
}

fn busy(id: &JobId) -> Error {
    let message = format!("somebody else writes or deletes plan {id} at the same time");
    Report::new(Kind::Conflict, message).help("try again when that has ended").into()
}
