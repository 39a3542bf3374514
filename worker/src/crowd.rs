//! How many loads all workers run at the same time, as far as this one knows: the width of each load
//! follows from it.

use std::time::Duration;

use longshore_shared::clickhouse::{Server, ServerFacts};
use longshore_shared::store::{KeeperMapStore, TaskStore, WorkerRecord};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a look at the other workers is good. Those that a command starts together are all there
/// after the time that one of them takes to claim and stage its first task.
const LOOK_FRESH: Duration = Duration::from_secs(2);

/// Slots of a worker that nobody gave a number.
const SLOTS_MAX: u64 = 8;

/// One load for each core of the server that falls to this worker: `together` workers begin at the
/// same time, or as many are there already and this one.
pub(crate) async fn share_of_cores(
    server: &Server,
    facts: &ServerFacts,
    together: Option<u32>,
) -> u32 {
    let workers = if let Some(workers) = together {
        workers.into()
    } else {
        let there = KeeperMapStore::new(server.clone()).workers().await.unwrap_or_default();
        let live = there.iter().filter(|worker| !worker.has_lapsed() && !worker.draining);
        live.count() as u64 + 1
    };
    let slots = facts.threads.div_ceil(workers.max(1)).clamp(1, SLOTS_MAX);
    u32::try_from(slots).unwrap_or(1)
}

/// The loads that live workers run at the same time.
pub(crate) struct Crowd {
    /// Those of this worker.
    own: u64,
    seen: Mutex<Option<(Instant, u64)>>,
}

impl Crowd {
    pub(crate) fn new(own: u32) -> Self {
        Self { own: own.into(), seen: Mutex::default() }
    }

    /// Loads of all workers. Never fails: a wrong number costs time, not rows.
    pub(crate) async fn loads(&self, store: &KeeperMapStore) -> u64 {
        let mut seen = self.seen.lock().await;
        if let Some((at, loads)) = *seen
            && at.elapsed() < LOOK_FRESH
        {
            return loads;
        }
        let loads = match store.workers().await {
            Ok(workers) => loads_of(&workers).max(self.own),
            Err(_) => seen.map_or(self.own, |(_, loads)| loads),
        };
        *seen = Some((Instant::now(), loads));
        loads
    }

    /// The same as it was last seen; as many as can be before the first look.
    pub(crate) fn last_seen(&self) -> u64 {
        let seen = self.seen.try_lock().ok().and_then(|seen| *seen);
        seen.map_or(u64::MAX, |(_, loads)| loads)
    }
}

fn loads_of(workers: &[WorkerRecord]) -> u64 {
    let live = workers.iter().filter(|worker| !worker.has_lapsed() && !worker.draining);
    live.map(|worker| u64::from(worker.slots)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_shared::task::WorkerId;

    #[test]
    fn workers_that_are_gone_or_draining_load_nothing() {
        let worker = |slots, age_ms, draining| WorkerRecord {
            id: WorkerId::fresh("w"),
            lease_ms: 15_000,
            slots,
            version: String::new(),
            host: String::new(),
            pid: 1,
            draining,
            age_ms,
        };
        let workers = [
            worker(2, 100, false),
            worker(4, 0, false),
            worker(8, 15_001, false),
            worker(16, 0, true),
        ];
        assert_eq!(loads_of(&workers), 6);
    }
}
