//! A look at the open segments of a job: what can be taken there, and what others hold.

use std::collections::HashSet;

use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Swap, TaskBrief, TaskStore, segment_tasks};
use longshore_shared::task::{Cursor, Job, StateName, TaskId, WorkerId};
use rand::seq::SliceRandom;

use crate::attempt::fence::is_suspect;
use crate::error::AttemptError;
use crate::worker::Worker;

/// What the open segments hold.
pub(super) struct Looked {
    /// To be taken now, the next one last.
    pub(super) candidates: Vec<TaskId>,
    /// Tasks that are not over, and are no suspects that wait.
    pub(super) others: usize,
    /// Tasks that other workers hold.
    pub(super) elsewhere: u64,
    /// Tasks that may be what kills workers or the server: the last to be taken, and alone.
    pub(super) suspects: Vec<TaskId>,
    pub(super) cursor: Cursor,
    /// A segment was finished by this very look.
    pub(super) has_won: bool,
}

/// Reads the open segments until one has something to take; marks those that have ended.
///
/// Where nothing more may be loaded for now, only what dead workers were publishing is to be taken.
pub(super) async fn scan_open_segments(
    worker: &Worker,
    job: &Job,
    mut cursor: Cursor,
    may_load: bool,
) -> Result<Looked, AttemptError> {
    let mut open = cursor.open_segments();
    // Every worker begins elsewhere, so that they do not all want the same task.
    open.shuffle(&mut rand::rng());
    let (mut others, mut elsewhere, mut suspects, mut has_won) = (0, 0, Vec::new(), false);
    for segment in open {
        let ids = segment_tasks(job, segment);
        let page = worker.store.briefs(&ids).await?;
        if let Some(missing) = ids.iter().find(|id| !page.iter().any(|brief| brief.id == **id)) {
            return Err(AttemptError::TaskMissing(missing.clone()));
        }
        let mut tally = longshore_shared::task::Tally::default();
        let ended = page.iter().filter(|b| tally.add(b.state, b.rows, b.bytes)).count();
        if ended == page.len() {
            // The cursor was read before the page: a task reopened in between changes the cursor.
            let next = cursor.finishing(segment, tally);
            match worker.store.swap_cursor(&cursor, &next).await? {
                Swap::Won => (cursor, has_won) = (next, true),
                Swap::Lost(Some(now)) => cursor = now,
                Swap::Lost(None) => {}
            }
            continue;
        }
        let is_held = |brief: &&TaskBrief| brief.state.is_owned() && brief.worker != worker.id;
        elsewhere += u64::try_from(page.iter().filter(is_held).count()).unwrap_or(u64::MAX);
        let mut candidates = orphans(worker, &page).await?;
        let is_loaded = |id: &TaskId| {
            page.iter().any(|brief| brief.id == *id && brief.state == StateName::Publishing)
        };
        candidates.retain(|id| worker.reaches(job, id) && (may_load || is_loaded(id)));
        // What publishes the others' work waits until all of them have ended.
        let is_last_left =
            ended + 1 == page.len() && cursor.finished_segments() + 1 == job.segments();
        let last = job.last_task();
        let waits = last.as_ref().filter(|_| !is_last_left);
        let is_pending = |brief: &&TaskBrief| brief.state == StateName::Pending;
        let waiting = page.iter().filter(is_pending).filter(|brief| Some(&brief.id) != waits);
        let (suspected, free): (Vec<&TaskBrief>, Vec<&TaskBrief>) =
            waiting.partition(|brief| is_suspect(brief.deaths));
        let mut pending: Vec<TaskId> = free
            .iter()
            .filter(|brief| may_load && brief.due && worker.reaches(job, &brief.id))
            .map(|brief| brief.id.clone())
            .collect();
        pending.shuffle(&mut rand::rng());
        // Orphans go first: they stand last in the list.
        pending.append(&mut candidates);
        if !pending.is_empty() {
            return Ok(Looked {
                candidates: pending,
                others,
                elsewhere,
                suspects,
                cursor,
                has_won,
            });
        }
        others += free.len() + page.iter().filter(|brief| brief.state.is_owned()).count();
        let due = suspected.iter().filter(|brief| brief.due && worker.reaches(job, &brief.id));
        suspects.extend(due.map(|brief| brief.id.clone()));
    }
    Ok(Looked { candidates: Vec::new(), others, elsewhere, suspects, cursor, has_won })
}

/// Tasks whose owner has lapsed or left, or which we own without knowing it.
pub(super) async fn orphans(
    worker: &Worker,
    page: &[TaskBrief],
) -> Result<Vec<TaskId>, AttemptError> {
    let owned = || page.iter().filter(|brief| brief.state.is_owned());
    let others: HashSet<&WorkerId> =
        owned().map(|brief| &brief.worker).filter(|id| **id != worker.id).collect();
    // One statement for all of them. Whoever is not registered any more has left.
    let records = if others.is_empty() { Vec::new() } else { worker.store.workers().await? };
    let live = records.iter().filter(|record| !record.has_lapsed()).map(|record| &record.id);
    let live: HashSet<&WorkerId> = live.collect();
    let is_gone = |other: &WorkerId| !live.contains(other) || planted(Bug::IgnoreLease);
    let gone: HashSet<&WorkerId> = others.into_iter().filter(|other| is_gone(other)).collect();
    let orphan = |brief: &&TaskBrief| {
        gone.contains(&brief.worker) || (brief.worker == worker.id && !worker.acts_on(&brief.id))
    };
    Ok(owned().filter(orphan).map(|brief| brief.id.clone()).collect())
}
