//! One writer: what is written is read back, and a write that expects something else changes nothing.

use uuid::Uuid;

use super::samples::{
    advance, after, fetch, job, owner, stored_tasks, task, task_id, without_time,
};
use crate::store::{REQUEST_ROWS_MAX, Swap, TaskStore};
use crate::task::{
    Cursor, Epoch, Job, JobState, Line, Manifest, Part, StagedTable, Stamp, StateName, Tally, Task,
    TaskEvent, TaskId,
};

pub(super) async fn jobs_are_made_once_and_swapped(store: &impl TaskStore) {
    let first = job(3);
    assert_eq!(store.job(&first.id).await.expect("read"), None, "a job that was never made");
    assert_eq!(store.create_job(&first).await.expect("create"), first);
    let second = Job { stamp: Stamp::fresh(), reason: "other".into(), ..first.clone() };
    assert_eq!(store.create_job(&second).await.expect("create"), first, "the first row stays");
    let listed = store.jobs().await.expect("list");
    assert_eq!(listed.iter().filter(|job| job.id == first.id).count(), 1);

    let running = next_job(&first, JobState::Running, "");
    assert_eq!(store.swap_job(&first, &running).await.expect("swap"), Swap::Won);
    let found = store.job(&first.id).await.expect("read").expect("the job is there");
    assert_eq!(
        (found.state, found.epoch, &found.stamp),
        (JobState::Running, Epoch(1), &running.stamp)
    );
    assert_eq!(found.spec, first.spec, "a swap leaves the plan alone");

    let late = next_job(&first, JobState::Cancelled, "late");
    let Swap::Lost(Some(in_force)) = store.swap_job(&first, &late).await.expect("swap") else {
        panic!("a swap from a state that is over must lose");
    };
    assert_eq!(in_force.stamp, running.stamp, "the loser is shown what is in force");

    let paused = next_job(&found, JobState::Paused, "disk\tfull: it's \\ `x`\n\u{fc}");
    assert_eq!(store.swap_job(&found, &paused).await.expect("swap"), Swap::Won);
    let found = store.job(&first.id).await.expect("read").expect("the job is there");
    assert_eq!((found.state, &found.reason), (JobState::Paused, &paused.reason));

    let mut rebound = next_job(&found, JobState::Running, "");
    rebound.spec.environment = "it's \\ another".into();
    assert_eq!(store.swap_job(&found, &rebound).await.expect("swap"), Swap::Won);
    let found = store.job(&first.id).await.expect("read").expect("the job is there");
    assert_eq!(found.spec, rebound.spec, "a plan that was bound again");

    let nobody = job(1);
    let lost = store.swap_job(&nobody, &next_job(&nobody, JobState::Running, "")).await;
    assert_eq!(lost.expect("swap"), Swap::Lost(None), "a job that was never made");
}

fn next_job(was: &Job, state: JobState, reason: &str) -> Job {
    Job { state, reason: reason.into(), ..was.changed() }
}

pub(super) async fn tasks_are_made_once(store: &impl TaskStore) {
    let (job, first) = stored_tasks(store, 10).await;
    let moved = advance(store, &first[7], &TaskEvent::Claimed { by: owner("a") }).await;
    let again: Vec<Task> = (5..15).map(|ordinal| task(&job, ordinal)).collect();
    store.create_tasks(&again).await.expect("some are there already");
    assert_eq!(without_time(&fetch(store, &first[6].id).await), first[6], "the first row stays");
    assert_eq!(fetch(store, &first[7].id).await, moved, "a claim is not undone");
    assert_eq!(without_time(&fetch(store, &again[9].id).await), again[9], "the missing are made");
    store.create_tasks(&again).await.expect("all are there already");
    store.create_tasks(&[]).await.expect("no tasks at all");
    assert_eq!(store.task(&task_id(&job, 15)).await.expect("read"), None);
}

pub(super) async fn briefs_come_by_key(store: &impl TaskStore) {
    // More than one request of the store may hold.
    let count = u32::try_from(REQUEST_ROWS_MAX + 30).expect("a small number");
    let (job, tasks) = stored_tasks(store, count).await;
    let other = stored_tasks(store, 1).await.1.remove(0);
    let ids: Vec<TaskId> = tasks.iter().rev().map(|task| task.id.clone()).collect();
    let briefs = store.briefs(&ids).await.expect("briefs");
    let ordinals: Vec<u32> = briefs.iter().map(|brief| brief.id.ordinal).collect();
    assert_eq!(ordinals, (0..count).collect::<Vec<_>>(), "all of them, in order of key");
    assert!(briefs.iter().all(|brief| brief.state == StateName::Pending && brief.due));
    assert!(briefs.iter().all(|brief| (brief.files, brief.bytes) == (1, 10)));

    let some = [task_id(&job, count + 5), task_id(&job, 3), other.id.clone(), task_id(&job, 1)];
    let mut found: Vec<TaskId> =
        store.briefs(&some).await.expect("briefs").into_iter().map(|brief| brief.id).collect();
    let mut expected = vec![task_id(&job, 1), task_id(&job, 3), other.id];
    expected.sort();
    assert!(found.is_sorted(), "in order of key");
    found.sort();
    assert_eq!(found, expected, "missing ids are left out");
    assert_eq!(store.briefs(&[]).await.expect("briefs"), Vec::new());
}

pub(super) async fn every_state_is_read_back_as_it_was_written(store: &impl TaskStore) {
    let (_, tasks) = stored_tasks(store, 4).await;
    let error = "Code: 33. it's `odd` \\ \t\n\r\u{0} {x:String} ? \u{1f6a2}".to_owned();
    let claim = TaskEvent::Claimed { by: owner("host-1.\u{e4}") };
    for (task, lines) in tasks.iter().zip([0, 1, 300, 2]) {
        let claimed = advance(store, task, &claim).await;
        let epoch = claimed.progress.epoch;
        let retried = TaskEvent::Retried { epoch, delay_ms: 0, error: error.clone() };
        let pending = advance(store, &claimed, &retried).await;
        let claimed = advance(store, &pending, &claim).await;
        let epoch = claimed.progress.epoch;
        if task.id.ordinal == 3 {
            let failed = TaskEvent::GaveUp { epoch, error: error.clone() };
            advance(store, &claimed, &failed).await;
            continue;
        }
        let loaded = TaskEvent::Loaded { epoch, manifest: manifest(lines) };
        let publishing = advance(store, &claimed, &loaded).await;
        let end = match task.id.ordinal {
            0 => TaskEvent::Published { epoch, rows: u64::MAX / 2 },
            _ => TaskEvent::Unprovable { epoch, evidence: error.clone() },
        };
        advance(store, &publishing, &end).await;
    }
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
    let briefs = store.briefs(&ids).await.expect("briefs");
    let states: Vec<StateName> = briefs.iter().map(|brief| brief.state).collect();
    use StateName::{Done, Failed, Quarantined};
    assert_eq!(states, [Done, Quarantined, Quarantined, Failed]);
    assert_eq!((briefs[0].rows, briefs[0].epoch, briefs[0].attempts), (u64::MAX / 2, 2, 2));
    assert_eq!((briefs[3].rows, &briefs[3].error), (0, &error));
}

pub(super) async fn a_note_changes_no_state_and_goes_with_the_next_change(store: &impl TaskStore) {
    let (_, tasks) = stored_tasks(store, 1).await;
    let error = async || {
        let briefs = store.briefs(std::slice::from_ref(&tasks[0].id)).await.expect("briefs");
        briefs.into_iter().next().expect("it is there").error
    };
    store.tell(&tasks[0], "nobody acts on it").await.expect("tell");
    assert_eq!(error().await, "", "a task that nobody acts on is not hindered");
    let claim = TaskEvent::Claimed { by: owner("host-1") };
    let claimed = advance(store, &tasks[0], &claim).await;
    let epoch = claimed.progress.epoch;
    let loaded = TaskEvent::Loaded { epoch, manifest: manifest(1) };
    let publishing = advance(store, &claimed, &loaded).await;
    let before = fetch(store, &publishing.id).await;
    store.tell(&publishing, "it's `full` \n\u{1f6a2}").await.expect("tell");
    assert_eq!(error().await, "it's `full` \n\u{1f6a2}");
    assert_eq!(fetch(store, &publishing.id).await, before, "nothing else has changed");
    store.tell(&claimed, "of the past").await.expect("tell");
    assert_eq!(error().await, "it's `full` \n\u{1f6a2}", "what is over tells nothing");
    let done = advance(store, &publishing, &TaskEvent::Published { epoch, rows: 7 }).await;
    assert_eq!(error().await, "");
    store.tell(&done, "late").await.expect("tell");
    assert_eq!(error().await, "");
}

fn manifest(lines: u32) -> Manifest {
    let part = || Part { uuid: Uuid::new_v4(), hash: "0f".repeat(16), rows: 7 };
    let lines = (0..lines)
        .map(|line| Line { partition: format!("2024-{line:03}"), parts: vec![part(), part()] })
        .collect();
    let target = "db.`o'dd`".parse().expect("a table name");
    let (uuid, target_uuid) = (Uuid::new_v4(), Uuid::new_v4());
    let table = StagedTable { suffix: "0_odd".into(), uuid, target, target_uuid, lines };
    Manifest {
        taken_ms: 0,
        rows: table.rows(),
        rows_read: table.rows(),
        tables: vec![table],
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    }
}

pub(super) async fn a_pause_delays_a_task(store: &impl TaskStore) {
    let (_, tasks) = stored_tasks(store, 2).await;
    for (task, delay_ms) in tasks.iter().zip([0, 3_600_000]) {
        let claimed = advance(store, task, &TaskEvent::Claimed { by: owner("a") }).await;
        let epoch = claimed.progress.epoch;
        let event = TaskEvent::Retried { epoch, delay_ms, error: "busy".into() };
        advance(store, &claimed, &event).await;
        let brief = store.briefs(std::slice::from_ref(&task.id)).await.expect("briefs").remove(0);
        assert_eq!(brief.due, delay_ms == 0, "after a pause of {delay_ms} ms");
        assert_eq!((brief.error.as_str(), brief.worker.0.as_str()), ("busy", ""));
    }
}

pub(super) async fn a_stale_swap_loses(store: &impl TaskStore) {
    let (job, tasks) = stored_tasks(store, 1).await;
    let planned = &tasks[0];
    let claimed = advance(store, planned, &TaskEvent::Claimed { by: owner("a") }).await;

    let late = after(planned, &TaskEvent::Claimed { by: owner("b") });
    let lost = store.swap_task(planned, &late).await.expect("swap");
    assert_eq!(lost, Swap::Lost(Some(claimed.clone())), "an old epoch loses and sees who won");

    let other_stamp = Task { stamp: Stamp::fresh(), ..claimed.clone() };
    let next = after(&other_stamp, &TaskEvent::HandedBack { epoch: claimed.progress.epoch });
    let lost = store.swap_task(&other_stamp, &next).await.expect("swap");
    assert_eq!(lost, Swap::Lost(Some(claimed.clone())), "the right epoch with another stamp loses");
    assert_eq!(fetch(store, &planned.id).await, claimed, "losing changes nothing");

    let missing = task(&job, 99);
    let next = after(&missing, &TaskEvent::Claimed { by: owner("a") });
    assert_eq!(store.swap_task(&missing, &next).await.expect("swap"), Swap::Lost(None));
    assert_eq!(store.task(&missing.id).await.expect("read"), None, "a swap never makes a row");
}

/// After an error a caller sends the same write again; it may have been applied the first time.
pub(super) async fn a_swap_recognises_its_own_write(store: &impl TaskStore) {
    let (job, tasks) = stored_tasks(store, 1).await;
    let next = after(&tasks[0], &TaskEvent::Claimed { by: owner("a") });
    assert_eq!(store.swap_task(&tasks[0], &next).await.expect("swap"), Swap::Won);
    assert_eq!(store.swap_task(&tasks[0], &next).await.expect("again"), Swap::Won, "tasks");
    assert_eq!(fetch(store, &next.id).await.progress.epoch, Epoch(1), "applied once");

    store.create_job(&job).await.expect("create");
    let running = next_job(&job, JobState::Running, "");
    assert_eq!(store.swap_job(&job, &running).await.expect("swap"), Swap::Won);
    assert_eq!(store.swap_job(&job, &running).await.expect("again"), Swap::Won, "jobs");

    let cursor = store.create_cursor(&Cursor::new(job.id.clone())).await.expect("create");
    let opened = cursor.opened();
    assert_eq!(store.swap_cursor(&cursor, &opened).await.expect("swap"), Swap::Won);
    assert_eq!(store.swap_cursor(&cursor, &opened).await.expect("again"), Swap::Won, "cursors");
}

pub(super) async fn cursors_count_finished_segments(store: &impl TaskStore) {
    let job = job(100);
    assert_eq!(store.cursor(&job.id).await.expect("read"), None);
    let first = Cursor::new(job.id.clone());
    assert_eq!(store.create_cursor(&first).await.expect("create"), first);
    let second = Cursor::new(job.id.clone());
    assert_eq!(store.create_cursor(&second).await.expect("create"), first, "the first row stays");

    let mut cursor = first.clone();
    let tally = Tally { done: 3, failed: 1, quarantined: 2, rows: u64::MAX / 4, bytes: 50 };
    for segment in 0..19 {
        let opened = cursor.opened();
        assert_eq!(store.swap_cursor(&cursor, &opened).await.expect("swap"), Swap::Won);
        cursor = opened;
        if segment % 9 == 0 {
            let finished = cursor.finishing(segment, tally);
            assert_eq!(store.swap_cursor(&cursor, &finished).await.expect("swap"), Swap::Won);
            cursor = finished;
        }
    }
    let found = store.cursor(&job.id).await.expect("read").expect("the cursor is there");
    assert_eq!(found, cursor);
    assert_eq!((found.frontier, found.finished_segments(), found.tally.done), (19, 3, 9));

    let lost = store.swap_cursor(&first, &first.opened()).await.expect("swap");
    assert_eq!(lost, Swap::Lost(Some(cursor)), "an old cursor loses");
    let lost = store.swap_cursor(&Cursor::new(super::job(1).id), &first.opened()).await;
    assert_eq!(lost.expect("swap"), Swap::Lost(None), "a cursor that was never made");
}

pub(super) async fn chunks_come_by_key(store: &impl TaskStore) {
    let (job, tasks) = stored_tasks(store, 450).await;
    let ids: Vec<TaskId> = tasks.iter().rev().map(|task| task.id.clone()).collect();
    let chunks = store.chunks(&ids).await.expect("chunks");
    let expected: Vec<_> = tasks.iter().map(|task| (task.id.clone(), task.chunk.clone())).collect();
    assert_eq!(chunks, expected, "all of them, in order of key");
    assert!(store.chunks(&[task_id(&job, 450)]).await.expect("chunks").is_empty());
}

pub(super) async fn a_job_is_removed_whole(store: &impl TaskStore) {
    let count = u32::try_from(REQUEST_ROWS_MAX + 30).expect("a small number");
    let (job, tasks) = stored_tasks(store, count).await;
    let (other, others) = stored_tasks(store, 2).await;
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
    store.create_job(&job).await.expect("create");
    store.create_job(&other).await.expect("create");
    store.create_cursor(&Cursor::new(job.id.clone())).await.expect("create");
    advance(store, &tasks[7], &TaskEvent::Claimed { by: owner("a") }).await;

    let over = next_job(&job, JobState::Cancelled, "over");
    assert_eq!(store.swap_job(&job, &over).await.expect("swap"), Swap::Won);
    assert!(!store.remove_tasks(&job, &ids).await.expect("a read"), "the row is another by now");
    assert!(!store.remove_job(&job).await.expect("a read"), "the row is another by now");
    assert_eq!(store.briefs(&ids).await.expect("briefs").len(), ids.len(), "nothing was removed");

    assert!(store.remove_tasks(&over, &ids[..20]).await.expect("removed"));
    assert_eq!(store.briefs(&ids).await.expect("briefs").len(), ids.len() - 20);
    assert!(store.remove_tasks(&over, &ids).await.expect("what is gone is no obstacle"));
    assert!(store.briefs(&ids).await.expect("briefs").is_empty());
    assert!(store.remove_job(&over).await.expect("removed"));
    assert_eq!(store.job(&job.id).await.expect("read"), None);
    assert_eq!(store.cursor(&job.id).await.expect("read"), None);
    assert!(store.remove_job(&over).await.expect("it is gone already"));

    let kept: Vec<TaskId> = others.iter().map(|task| task.id.clone()).collect();
    assert_eq!(store.briefs(&kept).await.expect("briefs").len(), 2, "those of others stay");
    assert!(store.job(&other.id).await.expect("read").is_some());
}
