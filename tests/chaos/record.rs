//! What happened: one line of JSON for each fault, and the sums for the report.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use crate::ends::End;
use crate::kind::Kind;

/// Sums of a whole campaign.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sums {
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Commands of people by kind, and by how they ended.
    pub(crate) commands: BTreeMap<&'static str, [u64; End::COUNT]>,
    /// Jobs that the closing audit did not let pass.
    pub(crate) refused: Vec<String>,
    /// Faults within two seconds of another one of the same lane.
    pub(crate) doubles: u64,
    /// Faults of the schedule that could not happen, as the server was down already.
    pub(crate) skipped: u64,
    pub(crate) jobs: u64,
    /// Jobs that were loaded once more into tables that somebody had emptied.
    pub(crate) again: u64,
    pub(crate) tasks: u64,
    pub(crate) rows: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) quarantined: Vec<String>,
    /// Tasks given up: their rows are in no target, and the job says so.
    pub(crate) given_up: Vec<String>,
    /// Jobs that were paused by a fault, and went on when they were submitted again.
    pub(crate) paused: Vec<String>,
    pub(crate) findings: Vec<String>,
    /// From a death to the next claim of its task, in ms; with no fault of a server in between.
    pub(crate) reclaims: Vec<u64>,
    /// The same with faults of servers in between.
    pub(crate) reclaims_disturbed: Vec<u64>,
    /// From the end of a server's fault to the next change of a task, in ms.
    pub(crate) heals: BTreeMap<&'static str, Vec<u64>>,
}

/// The log of a campaign, shared by its lanes.
pub(crate) struct Record {
    pub(crate) seed: u64,
    begun: Instant,
    log: Mutex<File>,
    sums: Mutex<Sums>,
    last: Mutex<BTreeMap<u64, Instant>>,
}

impl Record {
    /// A log in a new file.
    pub(crate) fn new(seed: u64, file: &Path) -> std::io::Result<Self> {
        Ok(Self {
            seed,
            begun: Instant::now(),
            log: Mutex::new(File::create(file)?),
            sums: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Notes a fault that happened.
    pub(crate) fn fault(&self, lane: u64, job: u64, kind: Kind, actor: &str, point: &str) {
        self.line(&json!({
            "ms": u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "lane": lane, "job": job, "actor": actor, "fault": kind.name(), "point": point,
            "seed": self.seed,
        }));
        let now = Instant::now();
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(lane, now);
        self.add(|sums| {
            *sums.faults.entry(kind.name()).or_default() += 1;
            sums.doubles += u64::from(before.is_some_and(|at| (now - at).as_secs() < 2));
        });
    }

    /// Notes anything else.
    pub(crate) fn note(&self, lane: u64, job: u64, what: &str, words: &str) {
        self.line(&json!({
            "ms": u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "lane": lane, "job": job, "note": what, "words": words,
        }));
    }

    fn line(&self, line: &serde_json::Value) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk shows in the checks; the campaign itself goes on.
        let _ = writeln!(log, "{line}");
    }

    /// Changes the sums.
    pub(crate) fn add<T>(&self, change: impl FnOnce(&mut Sums) -> T) -> T {
        change(&mut self.sums.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sums so far.
    pub(crate) fn sums(&self) -> Sums {
        self.add(|sums| sums.clone())
    }
}
