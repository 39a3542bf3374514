//! The heartbeat: one for the whole worker. It renews the lease, and sees which workers have lapsed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_shared::store::TaskStore;
use longshore_shared::task::WorkerId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::board::Board;
use crate::worker::Worker;

/// Rows of workers that lapsed longer ago are removed by whoever sees them.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// Renews the lease until it is lost or the worker ends.
pub(crate) async fn keep(worker: Arc<Worker>, board: Arc<Mutex<Board>>) {
    let lease = &worker.lease;
    let interval = lease.ttl() / 3;
    let mut lapsed = HashSet::new();
    loop {
        // First the own clock: a process that slept past its time must not renew a lease that
        // somebody may have acted on already.
        if lease.check().is_err() {
            return;
        }
        let asked = Instant::now();
        // A heartbeat that hangs must not keep the next one from being sent.
        let beat = worker.store.beat(&worker.id, worker.drain.is_cancelled());
        match tokio::time::timeout(interval, beat).await {
            Ok(Ok(true)) => {
                lease.renewed(asked);
                worker.governor.beat(asked.elapsed());
            }
            Ok(Ok(false)) => {
                tracing::warn!(worker = %worker.id, "the lease has lapsed by the server's clock");
                lease.lose();
            }
            Ok(Err(error)) => {
                lease.shaken();
                tracing::warn!(%error, "heartbeat failed");
            }
            Err(_) => {
                lease.shaken();
                tracing::warn!("heartbeat had no answer in time");
            }
        }
        if lease.check().is_err() {
            return;
        }
        look_for_lapsed(&worker, &board, interval, &mut lapsed).await;
        let next = asked + interval;
        let until = lease.trusted_until().map_or(next, |until| until.min(next));
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = lease.lost() => return,
        }
    }
}

/// Tells the board when a worker has lapsed, so that its tasks are looked for at the next claim. Its row stays for
/// an hour: `known` are those that were told of.
async fn look_for_lapsed(
    worker: &Worker,
    board: &Mutex<Board>,
    deadline: Duration,
    known: &mut HashSet<WorkerId>,
) {
    let Ok(Ok(workers)) = tokio::time::timeout(deadline, worker.store.workers()).await else {
        return;
    };
    let mut found = HashSet::new();
    for other in workers.iter().filter(|other| other.id != worker.id && other.has_lapsed()) {
        if u128::try_from(other.age_ms).unwrap_or(0) > FORGET_AFTER.as_millis() {
            let _ = worker.store.remove_worker(&other.id).await;
        }
        found.insert(other.id.clone());
    }
    if found.is_subset(known) {
        *known = found;
    } else if let Ok(mut board) = board.try_lock() {
        board.forget_pages();
        *known = found;
    }
}
