//! Many writers at once: exactly one wins each change, and no winner's change is lost.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::samples::{
    advance, after, fetch, job, owner, stored_tasks, task, task_id, without_time,
};
use crate::store::{Swap, TaskStore};
use crate::task::{Cursor, Epoch, Job, Stamp, Tally, Task, TaskEvent, TaskId};

pub(super) const WRITERS: u32 = 16;

/// Runs one future a writer, all let go at the same moment.
pub(super) async fn at_once<S, T, F, R>(store: &Arc<S>, run: F) -> Vec<T>
where
    S: TaskStore,
    T: Send + 'static,
    F: Fn(Arc<S>, u32) -> R,
    R: Future<Output = T> + Send + 'static,
{
    let gate = Arc::new(Barrier::new(WRITERS as usize));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (gate, work) = (gate.clone(), run(store.clone(), writer));
        writers.spawn(async move {
            gate.wait().await;
            work.await
        });
    }
    writers.join_all().await
}

pub(super) async fn one_of_many_creators_wins<S: TaskStore>(store: &Arc<S>) {
    let plan = job(4);
    let stamps = at_once(store, |store, _| {
        let mine = Job { stamp: Stamp::fresh(), ..plan.clone() };
        async move { store.create_job(&mine).await.expect("create").stamp }
    })
    .await;
    let distinct: HashSet<Stamp> = stamps.into_iter().collect();
    assert_eq!(distinct.len(), 1, "every creator is shown the same job");

    let stamps = at_once(store, |store, _| {
        let mine = Cursor::new(plan.id.clone());
        async move { store.create_cursor(&mine).await.expect("create").stamp }
    })
    .await;
    let distinct: HashSet<Stamp> = stamps.into_iter().collect();
    assert_eq!(distinct.len(), 1, "every creator is shown the same cursor");

    // Overlapping batches: writer n makes the tasks n .. n + 10.
    at_once(store, |store, writer| {
        let mine: Vec<Task> = (writer..writer + 10).map(|ordinal| task(&plan, ordinal)).collect();
        async move { store.create_tasks(&mine).await.expect("create") }
    })
    .await;
    let ids: Vec<TaskId> = (0..WRITERS + 9).map(|ordinal| task_id(&plan, ordinal)).collect();
    assert_eq!(store.briefs(&ids).await.expect("briefs").len(), ids.len(), "none is missing");
}

pub(super) async fn one_of_many_claims_wins<S: TaskStore>(store: &Arc<S>) {
    let (_, tasks) = stored_tasks(&**store, 8).await;
    for planned in &tasks {
        let outcomes = at_once(store, |store, writer| {
            let was = planned.clone();
            let next = after(&was, &TaskEvent::Claimed { by: owner(&format!("w{writer}")) });
            async move { (store.swap_task(&was, &next).await.expect("swap"), next) }
        })
        .await;
        let winners: Vec<&Task> = outcomes
            .iter()
            .filter(|(outcome, _)| *outcome == Swap::Won)
            .map(|(_, next)| next)
            .collect();
        assert_eq!(winners.len(), 1, "exactly one claim wins");
        let in_force = fetch(&**store, &planned.id).await;
        assert_eq!(without_time(&in_force), without_time(winners[0]), "and it is the one in force");
        assert_eq!(in_force.progress.epoch, Epoch(1));
        for (outcome, _) in &outcomes {
            if let Swap::Lost(seen) = outcome {
                assert_eq!(seen.as_ref(), Some(&in_force), "a loser is shown the winner");
            }
        }
    }
}

/// The old owner writes its result while others take the task over: one of all these wins.
pub(super) async fn a_take_over_fences_the_old_owner<S: TaskStore>(store: &Arc<S>) {
    let (_, tasks) = stored_tasks(&**store, 8).await;
    for planned in &tasks {
        let claimed = advance(&**store, planned, &TaskEvent::Claimed { by: owner("old") }).await;
        let epoch = claimed.progress.epoch;
        let outcomes = at_once(store, |store, writer| {
            let event = match writer {
                0 => TaskEvent::HandedBack { epoch },
                _ => TaskEvent::TakenOver { by: owner(&format!("w{writer}")), died: true },
            };
            let (was, next) = (claimed.clone(), after(&claimed, &event));
            async move { store.swap_task(&was, &next).await.expect("swap") == Swap::Won }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|won| **won).count(), 1);
        // Whoever won: what the old owner still believes is over.
        let zombie = after(&claimed, &TaskEvent::GaveUp { epoch, error: "late".into() });
        let late = store.swap_task(&claimed, &zombie).await.expect("swap");
        assert!(matches!(late, Swap::Lost(Some(_))), "the old owner's write is refused");
    }
}

pub(super) async fn no_count_of_a_cursor_is_lost<S: TaskStore>(store: &Arc<S>) {
    let job = job(WRITERS * 4);
    let mut cursor = store.create_cursor(&Cursor::new(job.id.clone())).await.expect("create");
    for _ in 0..WRITERS {
        let next = cursor.opened();
        assert_eq!(store.swap_cursor(&cursor, &next).await.expect("swap"), Swap::Won);
        cursor = next;
    }
    at_once(store, |store, writer| {
        let id = job.id.clone();
        async move {
            let tally = Tally { done: 4, rows: u64::from(writer), ..Tally::default() };
            let mut seen = store.cursor(&id).await.expect("read").expect("the cursor is there");
            // A change can be applied and then covered by another's before it is read back: `Lost`
            // says what is in force, not that ours never was. The bit tells whether it was counted.
            while !seen.is_finished(writer) {
                match store.swap_cursor(&seen, &seen.finishing(writer, tally)).await.expect("swap")
                {
                    Swap::Won => return,
                    Swap::Lost(now) => seen = now.expect("the cursor is there"),
                }
            }
        }
    })
    .await;
    let found = store.cursor(&job.id).await.expect("read").expect("the cursor is there");
    assert_eq!(found.finished_segments(), WRITERS);
    assert_eq!(found.tally.done, u64::from(WRITERS) * 4);
    assert_eq!(found.tally.rows, u64::from((0..WRITERS).sum::<u32>()));
    assert_eq!(found.epoch, Epoch(u64::from(WRITERS) * 2), "every change is there once");
}
