//! Counts the tasks of a job without a scan, and finds those in given states by key.
//!
//! Finished segments are already added up in the cursor. What was opened and is not finished is
//! read by key; what lies beyond the frontier was never touched and is pending.

use std::collections::BTreeMap;

use longshore_shared::store::{REQUEST_ROWS_MAX, Stored, TaskBrief, TaskStore, segment_tasks};
use longshore_shared::task::{Cursor, Job, StateName, Tally, TaskId, WorkerId};
use serde::Serialize;

/// Tasks read at once, at least.
const PAGE_MIN: usize = 100;

/// Hindered tasks that are named: they mostly have one cause.
const HINDERED_MAX: usize = 5;

/// How many tasks of a job stand where, and what the done ones brought.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Census {
    /// All tasks of the job.
    pub(crate) total: u64,
    /// Tasks that nobody works on.
    pub(crate) pending: u64,
    /// Tasks being loaded.
    pub(crate) claimed: u64,
    /// Tasks being moved into the target.
    pub(crate) publishing: u64,
    /// Tasks that are done.
    pub(crate) done: u64,
    /// Tasks that failed.
    pub(crate) failed: u64,
    /// Tasks in quarantine.
    pub(crate) quarantined: u64,
    /// Rows of the done tasks.
    #[serde(skip)]
    pub(crate) rows: u64,
    /// Bytes of the done tasks' files.
    #[serde(skip)]
    pub(crate) bytes: u64,
    /// Who works on how many tasks.
    #[serde(skip)]
    pub(crate) owners: BTreeMap<WorkerId, u64>,
    /// Tasks that are loaded and cannot be published at the moment, and why; the first of them.
    #[serde(skip)]
    pub(crate) hindered: Vec<(TaskId, String)>,
}

impl Census {
    /// Tasks that ended without being done.
    pub(crate) fn unfinished(&self) -> u64 {
        self.failed + self.quarantined
    }

    /// Tasks of one state.
    pub(crate) fn of(&self, state: StateName) -> u64 {
        match state {
            StateName::Pending => self.pending,
            StateName::Claimed => self.claimed,
            StateName::Publishing => self.publishing,
            StateName::Done => self.done,
            StateName::Failed => self.failed,
            StateName::Quarantined => self.quarantined,
        }
    }

    fn start(total: u64, finished: Tally) -> Self {
        Self {
            total,
            done: finished.done,
            failed: finished.failed,
            quarantined: finished.quarantined,
            rows: finished.rows,
            bytes: finished.bytes,
            ..Self::default()
        }
    }

    fn add(&mut self, brief: &TaskBrief) {
        match brief.state {
            StateName::Pending => self.pending += 1,
            StateName::Claimed => self.claimed += 1,
            StateName::Publishing => self.publishing += 1,
            StateName::Done => {
                self.done += 1;
                self.rows += brief.rows;
                self.bytes += brief.bytes;
            }
            StateName::Failed => self.failed += 1,
            StateName::Quarantined => self.quarantined += 1,
        }
        let is_hindered = brief.state == StateName::Publishing && !brief.error.is_empty();
        if is_hindered && self.hindered.len() < HINDERED_MAX {
            self.hindered.push((brief.id.clone(), brief.error.clone()));
        }
        if brief.state.is_owned() {
            *self.owners.entry(brief.worker.clone()).or_default() += 1;
        }
    }
}

/// Counts the tasks of a job.
///
/// The cursor is read first: a segment that is finished meanwhile is still counted once, by its tasks.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn census<S: TaskStore>(store: &S, job: &Job) -> Stored<Census> {
    let cursor = store.cursor(&job.id).await?;
    let Some(cursor) = cursor else {
        let total = u64::from(job.tasks);
        return Ok(Census { total, pending: total, ..Census::default() });
    };
    let mut census = Census::start(u64::from(job.tasks), cursor.tally);
    let open: Vec<TaskId> = cursor
        .open_segments()
        .into_iter()
        .flat_map(|segment| segment_tasks(job, segment))
        .collect();
    for brief in store.briefs(&open).await? {
        census.add(&brief);
    }
    census.pending += u64::from(beyond(job, &cursor));
    Ok(census)
}

/// Tasks that no worker has looked at.
fn beyond(job: &Job, cursor: &Cursor) -> u32 {
    job.tasks.saturating_sub(cursor.frontier.saturating_mul(job.segment_tasks))
}

/// The first tasks, by number, that stand in one of the states; all states when none is given.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn find_tasks<S: TaskStore>(
    store: &S,
    job: &Job,
    states: &[StateName],
    limit: usize,
) -> Stored<Vec<TaskBrief>> {
    find_tasks_where(store, job, states, |_| true, limit).await
}

/// The first tasks, by number, that stand in one of the states and that the condition holds for.
///
/// Reads page after page by key and stops as soon as `limit` tasks are found, or all that the
/// census knows of in these states were seen.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn find_tasks_where<S: TaskStore>(
    store: &S,
    job: &Job,
    states: &[StateName],
    holds: impl Fn(&TaskBrief) -> bool,
    limit: usize,
) -> Stored<Vec<TaskBrief>> {
    let wanted = |state: StateName| states.is_empty() || states.contains(&state);
    let census = census(store, job).await?;
    let known: u64 = StateName::ALL.iter().filter(|s| wanted(**s)).map(|s| census.of(*s)).sum();
    let mut unseen = usize::try_from(known).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut first = 0;
    while found.len() < limit && unseen > 0 && first < job.tasks {
        let ids = page(job, first, limit - found.len(), states.is_empty());
        first = first.saturating_add(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        for brief in store.briefs(&ids).await? {
            if wanted(brief.state) {
                unseen = unseen.saturating_sub(1);
                found.extend(holds(&brief).then_some(brief));
            }
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The next tasks to read. When every task is wanted no more than are `missing`, though not so few
/// that a condition which seldom holds takes a request for each.
fn page(job: &Job, first: u32, missing: usize, all_states: bool) -> Vec<TaskId> {
    let most =
        if all_states { missing.clamp(PAGE_MIN, REQUEST_ROWS_MAX) } else { REQUEST_ROWS_MAX };
    let end = first.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)).min(job.tasks);
    (first..end).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect()
}

#[cfg(test)]
#[path = "census_tests.rs"]
mod tests;
