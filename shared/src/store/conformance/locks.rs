//! Locks of tables: made once, changed by one of many, and never by who read an older one.

use std::sync::Arc;

use super::races::{WRITERS, at_once};
use crate::store::{LockStore, Swap, TaskStore};
use crate::task::{JobId, Lock, TableName};

/// A table that no other part of the suite knows.
fn table() -> TableName {
    let name = format!("it's \\ `{}`", uuid::Uuid::new_v4());
    TableName { database: "d.b".into(), table: name }
}

fn job_id() -> JobId {
    JobId::from_digest(uuid::Uuid::new_v4().as_bytes())
}

pub(super) async fn a_lock_is_made_once_and_swapped(store: &impl LockStore) {
    let table = table();
    assert_eq!(store.lock_of(&table).await.expect("read"), None, "a table nobody loads");
    let first = Lock::of(table.clone(), vec![job_id()]);
    let lost = store.swap_lock(&first, &Lock::of(table.clone(), vec![job_id()])).await;
    assert_eq!(lost.expect("swap"), Swap::Lost(None), "a swap never makes a row");

    assert_eq!(store.create_lock(&first).await.expect("create"), first);
    let second = Lock::of(table.clone(), vec![job_id()]);
    assert_eq!(store.create_lock(&second).await.expect("create"), first, "the first row stays");

    let both = Lock::of(table.clone(), vec![first.jobs[0].clone(), job_id()]);
    assert_eq!(store.swap_lock(&first, &both).await.expect("swap"), Swap::Won);
    assert_eq!(store.swap_lock(&first, &both).await.expect("again"), Swap::Won, "its own write");
    let late = store.swap_lock(&first, &second).await.expect("swap");
    assert_eq!(late, Swap::Lost(Some(both.clone())), "a lock that was read before loses");

    let nobody = Lock::of(table.clone(), Vec::new());
    assert_eq!(store.swap_lock(&both, &nobody).await.expect("swap"), Swap::Won);
    assert_eq!(store.lock_of(&table).await.expect("read"), Some(nobody.clone()));
    let listed = store.locks().await.expect("list");
    assert_eq!(listed.iter().filter(|lock| lock.table == table).collect::<Vec<_>>(), [&nobody]);
}

pub(super) async fn one_of_many_takes_a_lock<S: TaskStore + LockStore>(store: &Arc<S>) {
    let table = table();
    let mut was = store.create_lock(&Lock::of(table.clone(), Vec::new())).await.expect("create");
    for _ in 0..4 {
        let outcomes = at_once(store, |store, _| {
            let (was, next) = (was.clone(), Lock::of(table.clone(), vec![job_id()]));
            async move { (store.swap_lock(&was, &next).await.expect("swap"), next) }
        })
        .await;
        let won: Vec<&Lock> = outcomes
            .iter()
            .filter(|(outcome, _)| *outcome == Swap::Won)
            .map(|(_, next)| next)
            .collect();
        assert_eq!(won.len(), 1, "of {WRITERS} exactly one takes the lock");
        let found = store.lock_of(&table).await.expect("read").expect("the lock is there");
        assert_eq!(&found, won[0], "and it is the one in force");
        was = found;
    }
}

pub(super) async fn a_dry_run_is_remembered(store: &impl LockStore) {
    let (job, other) = (job_id(), job_id());
    assert!(!store.had_dry_run(&job).await.expect("read"));
    store.mark_dry_run(&job).await.expect("mark");
    store.mark_dry_run(&job).await.expect("marking again is harmless");
    assert!(store.had_dry_run(&job).await.expect("read"));
    assert!(!store.had_dry_run(&other).await.expect("read"), "of that job only");
}
