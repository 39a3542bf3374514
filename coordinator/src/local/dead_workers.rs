//! Workers of this machine that are gone: their tasks need not wait for the whole lease.

use longshore_shared::machine::{has_process, host_name};
use longshore_shared::store::{Stored, TaskStore, WorkerRecord};

/// Signs workers off whose process does not exist any more.
///
/// A machine of the same name elsewhere may have such a process: a worker is only taken for gone
/// when it has missed a heartbeat too. Should it live all the same, it is fenced like any other that
/// is late, and finds its tasks taken.
pub(crate) async fn sign_off(store: &impl TaskStore) -> Stored<Vec<WorkerRecord>> {
    let host = host_name();
    let mut gone = store.workers().await?;
    gone.retain(|worker| worker.host == host && is_silent(worker) && !has_process(worker.pid));
    for worker in &gone {
        store.remove_worker(&worker.id).await?;
    }
    Ok(gone)
}

/// A worker beats three times in a lease; half of one without a beat is one missed.
fn is_silent(worker: &WorkerRecord) -> bool {
    worker.age_ms > i64::try_from(worker.lease_ms / 2).unwrap_or(i64::MAX)
}
