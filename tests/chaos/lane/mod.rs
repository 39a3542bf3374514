//! A lane: a bed of its own, and job after job on it.

mod strike;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{CLICKHOUSE, OwnBed, Peer, Replica, SECOND, Scene, Wire, within};

use crate::deeds::Deeds;
use crate::people::{End, People};
use crate::record::Record;
use crate::request_faults::RequestFaults;
use crate::schedule::{Kind, Schedule};
use crate::servers::Servers;
use crate::supervisor::{Supervisor, WorkerOptions};
use crate::tables;
use crate::verdict::{self, Damage};
use crate::watch::Watch;

/// Faults of one job at most; then it may end in peace.
const FAULTS_MAX: u32 = 80;
/// A job without further faults is over after this, or hangs.
const PEACE_MAX: Duration = Duration::from_secs(180);
const TICK: Duration = Duration::from_millis(10);

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

    fn load(&self, scene: &Scene) -> Vec<String> {
        let campaign = self.campaign;
        let mut schedule = Schedule::of(
            campaign.record.seed,
            self.number,
            self.job,
            &campaign.only,
            campaign.replicas,
        );
        let shape = schedule.shape();
        let replica = campaign.replicas.then(|| Arc::new(Replica::of(scene)));
        tables::prepare(scene, &shape);
        let peer = (!campaign.replicas).then(|| Peer::of(scene));
        let mut people = People::new(scene);
        let files_max = shape.files_a_task.to_string();
        let more = ["--chunk-files-max", &files_max, "--attempts-max", "100"];
        let dies = schedule.plan_dies().map(Duration::from_millis);
        if !shape.copies && dies.is_some_and(|after| people.plan_dies(&more, after)) {
            campaign.record.fault(self.number, self.job, Kind::PlanKill, "longshore plan", "");
        }
        let job = if shape.copies {
            let job =
                scene.submit_copy(&["--snapshot", "--chunk-bytes", "60K", "--attempts-max", "100"]);
            scene.put_into("source", "later.parquet", 100);
            job
        } else {
            scene.submit(&more)
        };
        let deeds = Deeds {
            scene,
            job: &job,
            shape: &shape,
            more: &more,
            detour: self.request_faults.url(),
            other_version: campaign.other_version.as_deref(),
        };
        let watch =
            Watch::start(&scene.bed.clickhouse_url, &scene.control, campaign.record.clone(), {
                let servers = self.servers.clone();
                move || servers.is_any_hurt()
            });
        let direct = scene.bed.clickhouse_url.clone();
        let mut workers = Supervisor::start(
            scene,
            WorkerOptions {
                // One is at home on the other replica.
                urls: [
                    direct.clone(),
                    replica.as_ref().map_or(direct, |replica| replica.url.clone()),
                    self.request_faults.url(),
                    self.wire.url(),
                ],
                lease: campaign.lease.clone(),
                stretch: shape.stretch.clone(),
                env: campaign.worker_env.clone(),
                other_version: campaign.other_version.clone(),
            },
        );
        let mut next = schedule.next();
        let mut due = Instant::now() + Duration::from_millis(next.delay_ms);
        let (mut faults, mut damage) = (0, Damage::default());
        while !self.is_over(&watch) && faults < FAULTS_MAX && !campaign.is_over() {
            thread::sleep(TICK);
            workers.poll();
            people.poll();
            self.count(&mut people);
            self.resume(&deeds, &watch);
            if Instant::now() < due {
                continue;
            }
            faults += 1;
            let happened = match &replica {
                Some(replica) if next.kind.is_of_replicas() => {
                    self.strike_replicas(&next, &deeds, replica, &watch)
                }
                _ => self.strike(&next, &deeds, &mut workers, &mut people, &watch),
            };
            damage.note(next.kind, happened);
            next = schedule.next();
            due = Instant::now() + Duration::from_millis(next.delay_ms);
        }
        self.request_faults.clear();
        let mut findings: Vec<String> = self.servers.heal().err().into_iter().collect();
        if let Some(replica) = &replica {
            findings.extend(replica.mend(scene).err());
        }
        workers.calm();
        let mut was_retried = false;
        let ended = within(PEACE_MAX, || {
            workers.poll();
            people.poll();
            self.count(&mut people);
            self.resume(&deeds, &watch);
            // What people destroyed is looked at once more; what then stays so is the end.
            if watch.job().0 == "failed" && !was_retried {
                was_retried = true;
                scene.longshore(["retry", &job, "--quarantined"]).run();
                scene.longshore(["retry", &job, "--failed"]).run();
                thread::sleep(Duration::from_secs(1));
                return None;
            }
            let is_over = self.is_over(&watch);
            (is_over || campaign.is_interrupted()).then_some(is_over)
        });
        if ended == Some(false) {
            return Vec::new();
        }
        if ended.is_none() {
            let states = format!("{:?}", scene.tasks().0);
            findings
                .push(format!("the job is not over {PEACE_MAX:?} after the last fault: {states}"));
        }
        // What was held comes when all is over.
        self.request_faults.release();
        findings.extend(workers.leave());
        self.count(&mut people);
        findings.extend(people.leave());
        drop(watch);
        // The command may have ended when nobody looked any more.
        let row = format!("SELECT count() FROM {}.jobs WHERE job_id = '{job}'", scene.control);
        if self.is_deleted.get() || (self.was_to_be_deleted.get() && scene.admin.number(&row) == 0)
        {
            findings.extend(verdict::of_deleted(scene));
        } else {
            findings.extend(verdict::of(scene, &job, &shape, &campaign.record, &damage));
        }
        let count = format!("SELECT count() FROM {}.events", scene.db);
        let astray = peer.map_or(0, |peer| peer.admin.number(&count));
        findings.extend((astray > 0).then(|| format!("{astray} rows on a server of no plan")));
        if let Some(replica) = replica {
            findings.extend(replica.differences(scene));
            findings.extend(replica.left_in_keeper(scene));
        }
        verdict::count_points(scene, |point| {
            campaign.record.fault(self.number, self.job, Kind::WorkerPoint, "worker", point);
        });
        findings
    }

    /// A job that was stopped goes on, and is counted.
    fn resume(&self, deeds: &Deeds, watch: &Watch) {
        let (state, reason) = watch.job();
        // A deletion that was cut can only be given again.
        if state == "deleting" {
            let again = deeds.scene.longshore(["plan", "delete", deeds.job, "--yes"]).run();
            self.is_deleted.set(again.code() == Some(0) || self.is_deleted.get());
            return;
        }
        if matches!(state.as_str(), "running" | "completed" | "failed" | "cancelling" | "") {
            return;
        }
        // People think for a moment.
        thread::sleep(Duration::from_millis(200));
        if let Some(words) = deeds.resume_job(&state, &reason) {
            let is_of_people = reason.contains("operator") || state != "paused";
            if !is_of_people {
                self.found(&format!("the job was paused: {reason}"));
            }
            let place = format!("lane {} job {}: {words}", self.number, self.job);
            self.campaign.record.add(|sums| sums.paused.push(place));
        }
    }

    fn is_over(&self, watch: &Watch) -> bool {
        self.is_deleted.get() || matches!(watch.job().0.as_str(), "completed" | "failed")
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
