//! What a run of kills met, printed as one line of JSON however the run ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::place::Found;

/// Counts of one run.
pub(crate) struct Tally {
    what: &'static str,
    seed: u64,
    began: Instant,
    /// Kills of any kind.
    pub(crate) kills: usize,
    /// Kills that found a task in publishing.
    pub(crate) inside: usize,
    /// Those by what they left.
    kinds: BTreeMap<&'static str, usize>,
    /// Staged partitions by where their parts were.
    partitions: BTreeMap<&'static str, usize>,
    /// Jobs that were loaded to their end and compared.
    pub(crate) jobs: usize,
    /// Tasks that ended done.
    pub(crate) tasks: usize,
    /// Tasks that ended in quarantine.
    pub(crate) quarantined: usize,
    /// Tasks that were loaded again after their manifest was written.
    pub(crate) reloaded: usize,
    /// From the server's return to the next change, by who went on.
    pub(crate) recoveries: BTreeMap<&'static str, Vec<Duration>>,
}

impl Tally {
    pub(crate) fn new(what: &'static str, seed: u64) -> Self {
        println!("{what}: FAULT_SEED={seed}");
        Self {
            what,
            seed,
            began: Instant::now(),
            kills: 0,
            inside: 0,
            kinds: BTreeMap::new(),
            partitions: BTreeMap::new(),
            jobs: 0,
            tasks: 0,
            quarantined: 0,
            reloaded: 0,
            recoveries: BTreeMap::new(),
        }
    }

    /// Counts a kill by the partitions that it left; none when no task was in publishing.
    pub(crate) fn add(&mut self, found: Option<&[Found]>) -> &'static str {
        self.kills += 1;
        let Some(found) = found else {
            return "before the manifest";
        };
        self.inside += 1;
        for partition in found {
            *self.partitions.entry(partition.as_str()).or_default() += 1;
        }
        let kind = if found.iter().any(|partition| partition.is_both()) {
            "both"
        } else if found.iter().all(|partition| *partition == Found::Target) {
            "target"
        } else if found.iter().all(|partition| *partition == Found::Source) {
            "source"
        } else {
            "between"
        };
        *self.kinds.entry(kind).or_default() += 1;
        kind
    }

    /// Everything as one line.
    pub(crate) fn line(&self) -> serde_json::Value {
        let recoveries: BTreeMap<_, _> =
            self.recoveries.iter().map(|(who, times)| (who, spread(times))).collect();
        serde_json::json!({
            "what": self.what,
            "seed": self.seed,
            "wall_secs": self.began.elapsed().as_secs(),
            "kills": self.kills,
            "kills_inside_publishing": self.inside,
            "kills_by_state_after_restart": self.kinds,
            "partitions_by_state_after_restart": self.partitions,
            "jobs": self.jobs,
            "tasks_done": self.tasks,
            "tasks_quarantined": self.quarantined,
            "tasks_reloaded_after_manifest": self.reloaded,
            "recovery": recoveries,
        })
    }

    /// Kills that left parts in both tables.
    pub(crate) fn both(&self) -> usize {
        self.kinds.get("both").copied().unwrap_or(0)
    }
}

/// Median, 99th percentile, maximum and number of durations, in milliseconds.
pub(crate) fn spread(durations: &[Duration]) -> serde_json::Value {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let at = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(place).map_or(0, Duration::as_millis)
    };
    serde_json::json!({ "count": sorted.len(), "p50_ms": at(50), "p99_ms": at(99), "max_ms": at(100) })
}

impl Drop for Tally {
    fn drop(&mut self) {
        println!("{}", self.line());
    }
}
