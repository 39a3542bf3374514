//! A lane: a bed of its own, and job after job on it.

mod decide;
mod load;
mod mend;
mod strike;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use longshore_tests::{CLICKHOUSE, OwnBed, SECOND, Scene, Wire};

use crate::ends::End;
use crate::kind::Kind;
use crate::people::People;
use crate::record::Record;
use crate::request_faults::RequestFaults;
use crate::servers::Servers;
use crate::verdict::{self, Damage};
use crate::watch::Watch;

/// What a campaign was asked for.
#[derive(Clone)]
pub(crate) struct Campaign {
    pub(crate) record: Arc<Record>,
    pub(crate) end: Instant,
    /// Set when every lane has to stop.
    pub(crate) stop: Arc<AtomicBool>,
    /// Set by a signal.
    pub(crate) interrupted: Arc<AtomicBool>,
    pub(crate) until_failure: bool,
    pub(crate) only: Vec<Kind>,
    pub(crate) lease: String,
    pub(crate) worker_env: Vec<(String, String)>,
    /// Where the programs of another version are.
    pub(crate) other_version: Option<PathBuf>,
    /// Replicated tables on two replicas, with three Keepers.
    pub(crate) replicas: bool,
}

impl Campaign {
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_interrupted() || Instant::now() >= self.end
    }

    /// Asked to end by a signal: jobs are left as they are, unchecked.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Runs jobs until the campaign is over.
pub(crate) fn run(campaign: &Campaign, lane: u64) {
    let mut job = 0;
    while !campaign.is_over() {
        let replicas = campaign.replicas;
        let bed = Arc::new(if replicas {
            let bed = OwnBed::of_replicas(&["--keepers", "3"]);
            bed.opens_tables_with_unknown_parts(&[CLICKHOUSE, SECOND]);
            bed
        } else {
            OwnBed::of_two()
        });
        let servers = Servers::of(&bed, replicas);
        let url = &bed.bed.clickhouse_url;
        let other = bed.bed.second_url.as_deref().expect("a bed of two");
        let request_faults = RequestFaults::start(url, other, lane, campaign.record.clone());
        let wire = Wire::start(url);
        println!("lane {lane}: bed {}", bed.folder().display());
        let mut is_well = true;
        while is_well && !campaign.is_over() {
            let this = Lane {
                campaign,
                number: lane,
                job,
                bed: &bed,
                servers: &servers,
                request_faults: &request_faults,
                wire: &wire,
                is_deleted: Cell::new(false),
                was_to_be_deleted: Cell::new(false),
                is_row_gone: Cell::new(false),
                doomed: RefCell::default(),
                damage: Cell::default(),
            };
            is_well = this.job();
            job += 1;
        }
        let healed = servers.heal();
        drop((servers, request_faults));
        if let (true, Ok(())) = (is_well, healed) {
            continue;
        }
        match Arc::try_unwrap(bed) {
            Ok(bed) => println!("lane {lane}: the bed is kept in {}", bed.keep().display()),
            Err(_) => eprintln!("lane {lane}: the bed is still in use and is wiped"),
        }
    }
}

struct Lane<'a> {
    campaign: &'a Campaign,
    number: u64,
    job: u64,
    bed: &'a Arc<OwnBed>,
    servers: &'a Servers,
    request_faults: &'a RequestFaults,
    wire: &'a Wire,
    /// Somebody cancelled the job and deleted its plan.
    is_deleted: Cell<bool>,
    /// Somebody gave the command to delete its plan.
    was_to_be_deleted: Cell<bool>,
    /// Somebody deleted the row of the job, and it is not seen to be there again.
    is_row_gone: Cell<bool>,
    /// Tasks in quarantine when the command to delete the plan was given last: their evidence goes with it.
    doomed: RefCell<Vec<String>>,
    damage: Cell<Damage>,
}

impl Lane<'_> {
    /// One job from its tables to the checker's verdict. False when the bed is to be kept.
    fn job(&self) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let scene = Scene::on(&self.bed.bed);
            let checked = catch_unwind(AssertUnwindSafe(|| self.load(&scene)));
            let findings = checked.unwrap_or_else(|words| vec![verdict::words_of(&*words)]);
            if findings.is_empty() {
                return findings;
            }
            let databases = format!("{} {} {}", scene.control, scene.staging, scene.db);
            let path = scene.keep();
            self.found(&format!("databases {databases}, programs' words in {}", path.display()));
            findings
        }));
        let findings = outcome.unwrap_or_else(|words| vec![verdict::words_of(&*words)]);
        for finding in &findings {
            self.found(finding);
        }
        if findings.is_empty() {
            return true;
        }
        let place = format!("lane {} job {}", self.number, self.job);
        let words = findings.iter().map(|finding| format!("{place}: {finding}"));
        self.campaign.record.add(|sums| sums.findings.extend(words));
        if self.campaign.until_failure {
            self.campaign.stop.store(true, Ordering::Relaxed);
        }
        false
    }

    fn found(&self, words: &str) {
        println!("lane {} job {}: {words}", self.number, self.job);
        self.campaign.record.note(self.number, self.job, "finding", words);
    }

    fn is_over(&self, watch: &Watch) -> bool {
        let has_ended = || matches!(watch.job().0.as_str(), "completed" | "failed");
        // What was seen last may be of a row that is gone.
        self.is_deleted.get() || (!self.is_row_gone.get() && has_ended())
    }

    /// Commands that have ended.
    fn count(&self, people: &mut People) {
        for (kind, end) in people.ended() {
            self.campaign.record.note(self.number, self.job, kind.name(), &format!("{end:?}"));
            if kind == Kind::PlanDelete && end == End::Done {
                self.is_deleted.set(true);
            }
            self.campaign.record.add(|sums| {
                let counts = sums.commands.entry(kind.name()).or_default();
                counts[end as usize] += 1;
            });
        }
    }
}
