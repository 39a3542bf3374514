//! Lets ended tasks be done again: marks the job, changes the tasks, and counts its segments anew.
//!
//! What is to become of which tasks is written into the row of the job first, together with the state
//! *reopening*, in which nobody claims its tasks. A crash leaves both there, and whoever goes on
//! carries out exactly that: tasks that were changed are left alone, and the cursor is made anew
//! from all tasks in any case.

use std::collections::HashMap;

use longshore_shared::clickhouse::retry_idempotent;
use longshore_shared::faults;
use longshore_shared::ledger::{self, Void};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{
    KeeperMapStore, REQUEST_ROWS_MAX, Swap, TaskBrief, TaskStore, segment_tasks,
};
use longshore_shared::task::{
    Cursor, Job, Reopening, Segment, Stamp, StateName, TableName, Tally, Task, TaskEvent, TaskId,
    TaskState,
};

use uuid::Uuid;

use super::choice::{Choice, Chosen};
use super::replayable;
use crate::grants::durable::check_durable;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// A worker that looked before the job was marked can change the cursor once.
const TRIES_MAX: usize = 10;

/// How many tasks were opened again, by what they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Failed before.
    pub(crate) failed: u64,
    /// Quarantined before.
    pub(crate) quarantined: u64,
    /// Done before.
    pub(crate) done: u64,
}

impl Counts {
    fn of(&mut self, was: StateName) -> &mut u64 {
        match was {
            StateName::Failed => &mut self.failed,
            StateName::Quarantined => &mut self.quarantined,
            _ => &mut self.done,
        }
    }
}

/// Every task that a worker may have touched, page by page. Those beyond the frontier are pending.
pub(crate) async fn touched(store: &KeeperMapStore, job: &Job) -> Result<Vec<TaskBrief>, Error> {
    let Some(cursor) = store.cursor(&job.id).await? else { return Err(missing("its cursor")) };
    let end = cursor.frontier.min(job.segments());
    let ids: Vec<TaskId> = (0..end).flat_map(|segment| segment_tasks(job, segment)).collect();
    let mut found = Vec::with_capacity(ids.len());
    for page in ids.chunks(REQUEST_ROWS_MAX) {
        found.extend(store.briefs(page).await?);
    }
    if found.len() < ids.len() {
        let there: std::collections::HashSet<_> = found.iter().map(|brief| &brief.id).collect();
        let gone = ids.iter().find(|id| !there.contains(id));
        let words = gone.map_or_else(|| "a task".to_owned(), |id| format!("task {id}"));
        return Err(missing(&words));
    }
    Ok(found)
}

fn missing(what: &str) -> Error {
    let message = format!("{what} is missing in the control tables: somebody deleted it");
    Report::new(Kind::Conflict, message)
        .help(
            "the same `longshore plan` again writes the rows that are missing, or `longshore plan import FILE` \
             of an exported plan; then this command again",
        )
        .into()
}

/// Carries out what the row of the job says is to become of its tasks, and counts its segments anew.
///
/// Nothing here depends on what was done before: tasks that were changed already are left alone. Two
/// commands may carry out the same; the one that lags must not change tasks that were done again since.
/// So the row of the job is read once more after the tasks: while it is the same, nobody has claimed
/// one. What follows names the epoch in which each task was seen. Nothing when the row is another.
pub(crate) async fn carry_out(
    session: &Session,
    job: &Job,
    wish: &Reopening,
) -> Result<Option<Counts>, Error> {
    let store = &session.store;
    faults::pass(faults::REOPEN_BEGUN).await?;
    let tasks = touched(store, job).await?;
    let now = store.job(&job.id).await?;
    if now.is_none_or(|now| now.stamp != job.stamp) && !planted(Bug::LagBlindly) {
        return Ok(None);
    }
    let choose = |task: &TaskBrief| Some(Choice::of(task, wish.of(task.id.ordinal, task.state)?));
    let chosen: Chosen = tasks.iter().filter_map(choose).collect();
    check_again(session, job, wish, &tasks, &chosen).await?;
    let forgotten = forgotten(session, job, wish, &tasks).await?;
    if !settle(session, job, &chosen, &forgotten).await? {
        return Ok(None);
    }
    let mut counts = Counts::default();
    for was in [StateName::Failed, StateName::Done] {
        let of = chosen.iter().filter(|choice| choice.was == was);
        let tasks: Vec<(TaskId, u64)> = of.map(|one| (one.id.clone(), one.epoch)).collect();
        let each = async || Ok::<_, Error>(faults::pass(faults::REOPEN_TASK).await?);
        *counts.of(was) += store.reset_tasks(&tasks, was, each).await?;
    }
    for choice in chosen.iter().filter(|choice| choice.was == StateName::Quarantined) {
        counts.quarantined += u64::from(change(store, choice).await?);
    }
    recount(store, job).await?;
    faults::pass(faults::REOPEN_DONE).await?;
    Ok(Some(counts))
}

/// What was true when the command was given may not be any more: it was cut, and days have passed.
async fn check_again(
    session: &Session,
    job: &Job,
    wish: &Reopening,
    tasks: &[TaskBrief],
    chosen: &Chosen,
) -> Result<(), Error> {
    // Those that were reset before the command was cut as well: their receipts are void, and tell where they were.
    let is_replayed = |task: &&TaskBrief| {
        wish.of(task.id.ordinal, StateName::Done).is_some()
            && matches!(task.state, StateName::Done | StateName::Pending)
    };
    let replayed: Vec<&TaskBrief> = tasks.iter().filter(is_replayed).collect();
    if !replayed.is_empty() {
        replayable::check_empty(session, job, &replayed).await?;
    }
    for choice in chosen.iter().filter(|choice| choice.was == StateName::Quarantined) {
        let Some(task) = session.store.task(&choice.id).await? else { continue };
        let server = session.reach(job, &choice.id).await?;
        match choice.event {
            TaskEvent::Reset => replayable::check_absent(&server, &task).await?,
            TaskEvent::Accepted => replayable::check_accepted(&server, &task).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Tasks of a replay that was cut, whose rows somebody deleted before they were reset, and which the same plan has
/// written again since: pending, with receipts in force. No worker would load them, and `restore` would count them as
/// done although a person has taken their rows out.
async fn forgotten(
    session: &Session,
    job: &Job,
    wish: &Reopening,
    tasks: &[TaskBrief],
) -> Result<Chosen, Error> {
    let is_one = |task: &&TaskBrief| {
        task.state == StateName::Pending && wish.of(task.id.ordinal, StateName::Done).is_some()
    };
    let pending: Vec<&TaskBrief> = tasks.iter().filter(is_one).collect();
    let mut found = Chosen::new();
    for page in pending.chunks(REQUEST_ROWS_MAX) {
        for (server, page) in session.by_server(job, page.to_vec(), |task| &task.id).await? {
            let ids: Vec<String> = page.iter().map(|task| task.id.to_string()).collect();
            for entry in ledger::list(&server, &job.id, &ids).await? {
                let (id, was) = (entry.task_id.parse()?, StateName::Pending);
                found.push(Choice { id, was, epoch: entry.epoch, event: TaskEvent::Reset });
            }
        }
    }
    Ok(found)
}

/// What the ledger says of these tasks is made right before their rows change: receipts of tasks that
/// are loaded once more are void, those of tasks that a person vouches for are written.
///
/// False when the row of the job has changed: somebody has decided otherwise, or it was carried out.
async fn settle(
    session: &Session,
    job: &Job,
    chosen: &Chosen,
    forgotten: &Chosen,
) -> Result<bool, Error> {
    let replayed = chosen.iter().filter(|choice| choice.was == StateName::Done);
    let replayed: Vec<&Choice> = replayed.chain(forgotten).collect();
    let reloaded: Vec<&Choice> = chosen
        .iter()
        .filter(|choice| choice.was == StateName::Quarantined && choice.event == TaskEvent::Reset)
        .collect();
    if !is_same(session, job).await? {
        return Ok(false);
    }
    void_manifests(session, job, &reloaded, Void::NeverMoved).await?;
    void_manifests(session, job, &replayed, Void::TakenOut).await?;
    replayable::void(session, job, &replayed).await?;
    // An earlier command may have vouched for them and was cut: no worker loads a task that has a receipt.
    replayable::void(session, job, &reloaded).await?;
    for choice in chosen.iter().filter(|choice| choice.event == TaskEvent::Accepted) {
        let Some(task) = session.store.task(&choice.id).await? else { continue };
        let TaskState::Quarantined { manifest, .. } = &task.progress.state else { continue };
        // It was quarantined anew since it was chosen: that is for a person to look at once more.
        if task.progress.epoch.0 != choice.epoch {
            continue;
        }
        let server = session.reach(job, &choice.id).await?;
        check_durable(&server, job.spec.durable).await?;
        let asked: Vec<(&TableName, Vec<Uuid>)> = manifest
            .tables
            .iter()
            .map(|table| (&table.target, table.parts().map(|part| part.uuid).collect()))
            .collect();
        let found = ledger::find_parts(&server, &asked).await?;
        let name = |uuid: &Uuid| found.iter().find_map(|seen| seen.published.get(uuid).cloned());
        let receipts = manifest.vouched(&task, name);
        // The last moment: a receipt of a task that somebody lets be loaded meanwhile would keep it from it.
        if !is_same(session, job).await? {
            return Ok(false);
        }
        retry_idempotent(|| ledger::append(&server, &receipts)).await?;
        check_durable(&server, job.spec.durable).await?;
    }
    is_same(session, job).await
}

/// Does the row of the job say what it said? Then nobody has decided otherwise, and nothing is claimed.
async fn is_same(session: &Session, job: &Job) -> Result<bool, Error> {
    let now = session.store.job(&job.id).await?;
    Ok(now.is_some_and(|now| now.stamp == job.stamp) || planted(Bug::LagBlindly))
}

async fn void_manifests(
    session: &Session,
    job: &Job,
    chosen: &[&Choice],
    void: Void,
) -> Result<(), Error> {
    for (server, chosen) in session.by_server(job, chosen.to_vec(), |choice| &choice.id).await? {
        let tasks: Vec<(TaskId, u64)> =
            chosen.iter().map(|choice| (choice.id.clone(), choice.epoch)).collect();
        ledger::void_manifests(&server, &job.id, &tasks, void).await?;
    }
    Ok(())
}

/// Changes one task, if it still is what it was.
async fn change(store: &KeeperMapStore, choice: &Choice) -> Result<bool, Error> {
    let Some(task) = store.task(&choice.id).await? else { return Ok(false) };
    let now = (task.progress.state.name(), task.progress.epoch.0);
    if now != (choice.was, choice.epoch) {
        return Ok(false);
    }
    let Ok(progress) = task.progress.next(&choice.event) else { return Ok(false) };
    let next = Task { progress, stamp: Stamp::fresh(), ..task.clone() };
    let swapped = store.swap_task(&task, &next).await?;
    faults::pass(faults::REOPEN_TASK).await?;
    Ok(swapped == Swap::Won)
}

/// Makes the cursor anew from all tasks: which segments have ended, and what they brought.
async fn recount(store: &KeeperMapStore, job: &Job) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        let Some(cursor) = store.cursor(&job.id).await? else {
            return Err(missing("its cursor"));
        };
        let next = counted(&cursor, job, &touched(store, job).await?);
        faults::pass(faults::REOPEN_SEGMENT).await?;
        // A worker that had looked before may have finished a segment: then all is read again.
        if matches!(store.swap_cursor(&cursor, &next).await?, Swap::Won) {
            return Ok(());
        }
    }
    let message = format!("the cursor of job {} keeps changing", job.id);
    Err(Report::new(Kind::Conflict, message).help("try again").into())
}

fn counted(cursor: &Cursor, job: &Job, tasks: &[TaskBrief]) -> Cursor {
    let mut segments: HashMap<Segment, (Tally, bool)> = HashMap::new();
    for task in tasks {
        let of = task.id.ordinal / job.segment_tasks.max(1);
        let (tally, has_ended) = segments.entry(of).or_insert((Tally::default(), true));
        *has_ended &= tally.add(task.state, task.rows, task.bytes);
    }
    let mut finished = Vec::new();
    let mut sum = Tally::default();
    for (segment, (tally, has_ended)) in segments {
        if has_ended {
            finished.push(segment);
            sum = sum.plus(tally);
        }
    }
    cursor.rebuilt(&finished, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use longshore_shared::task::JobState;

    #[test]
    fn the_cursor_counts_the_segments_whose_tasks_have_all_ended() {
        let job = Job { tasks: 5, segment_tasks: 2, ..fixture::job(JobState::Reopening) };
        let states = [
            StateName::Done,
            StateName::Failed,
            StateName::Pending,
            StateName::Done,
            StateName::Done,
        ];
        let tasks: Vec<TaskBrief> = states
            .iter()
            .zip(0..)
            .map(|(state, ordinal)| TaskBrief {
                id: TaskId { job: job.id.clone(), ordinal },
                state: *state,
                rows: 10,
                ..fixture::brief()
            })
            .collect();
        let mut cursor = Cursor::new(job.id.clone());
        for _ in 0..3 {
            cursor = cursor.opened();
        }
        let next =
            counted(&cursor.finishing(1, Tally { done: 2, ..Tally::default() }), &job, &tasks);
        assert_eq!(next.open_segments(), [1]);
        assert_eq!((next.tally.done, next.tally.failed, next.tally.rows), (2, 1, 20));
    }
}
