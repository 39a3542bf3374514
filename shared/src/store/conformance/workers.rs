//! Leases: a heartbeat keeps a registered worker alive, and nothing brings a removed one back.

use crate::store::{TaskStore, WorkerRecord};
use crate::task::WorkerId;

pub(super) async fn a_worker_lives_until_it_is_removed(store: &impl TaskStore) {
    let record = WorkerRecord {
        id: WorkerId::fresh("it's \u{e4}"),
        lease_ms: 60_000,
        slots: 3,
        version: "1.2.3".into(),
        host: "host \\ `x`".into(),
        pid: 42,
        draining: false,
        age_ms: 0,
    };
    assert_eq!(store.worker(&record.id).await.expect("read"), None);
    assert!(!store.beat(&record.id, false).await.expect("beat"), "a worker that never registered");
    assert_eq!(store.worker(&record.id).await.expect("read"), None, "a beat never makes a row");

    store.register(&record).await.expect("register");
    assert_eq!(fetch(store, &record.id).await, record);
    store.register(&record).await.expect("registering again after an error is harmless");
    assert!(store.beat(&record.id, true).await.expect("beat"));
    let found = fetch(store, &record.id).await;
    assert!(found.draining && !found.has_lapsed());
    let listed = store.workers().await.expect("list");
    assert_eq!(listed.iter().filter(|worker| worker.id == record.id).count(), 1);

    store.remove_worker(&record.id).await.expect("remove");
    assert_eq!(store.worker(&record.id).await.expect("read"), None);
    assert!(!store.beat(&record.id, false).await.expect("beat"), "a lease that is over stays over");
    assert_eq!(store.worker(&record.id).await.expect("read"), None);
    store.remove_worker(&record.id).await.expect("removing again is harmless");
}

/// The record without its age, which moves by itself.
async fn fetch(store: &impl TaskStore, id: &WorkerId) -> WorkerRecord {
    let found = store.worker(id).await.expect("read").expect("the worker is there");
    WorkerRecord { age_ms: 0, ..found }
}
