//! A job of a lane: its tables and its plan, its faults and its end in peace; and, for some, the same once
//! more into tables that somebody has emptied.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{Peer, Replica, Scene, within};

use super::Lane;
use crate::deeds::Deeds;
use crate::kind::Kind;
use crate::people::People;
use crate::schedule::{Fault, Schedule, Shape};
use crate::supervisor::{Supervisor, WorkerOptions};
use crate::tables;
use crate::verdict::{self, Damage};
use crate::watch::Watch;

/// Faults of one job at most; then it may end in peace.
const FAULTS_MAX: u32 = 80;
/// Faults at most while it is loaded again.
const FAULTS_AGAIN_MAX: u32 = 40;
/// Decisions of people about tasks that ended badly.
const DECISIONS_MAX: u32 = 6;
/// After a decision: the watch has seen by then what became of the job.
const DECISION_PAUSE: Duration = Duration::from_millis(600);
/// A job without further faults is over after this, or hangs.
const PEACE_MAX: Duration = Duration::from_secs(180);
/// A command ends within this, or is killed.
const COMMAND_MAX: Duration = Duration::from_secs(70);
/// Commands to load a job again that may be cut.
const REPLAYS_MAX: u32 = 3;
/// What has become of a job is seen within this.
const SEEN_WITHIN: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(10);

/// A job while it is loaded.
struct Turn<'t, 'a> {
    deeds: &'t Deeds<'a>,
    replica: Option<&'t Arc<Replica>>,
    watch: Watch,
    workers: Supervisor<'a>,
    people: People<'a>,
}

impl Lane<'_> {
    /// A job from its tables to the checker's findings.
    pub(super) fn load(&self, scene: &Scene) -> Vec<String> {
        let campaign = self.campaign;
        let (seed, has_replicas) = (campaign.record.seed, campaign.replicas);
        let mut schedule = Schedule::of(seed, self.number, self.job, &campaign.only, has_replicas);
        let shape = schedule.shape();
        let replica = has_replicas.then(|| Arc::new(Replica::of(scene)));
        tables::prepare(scene, &shape);
        let peer = (!has_replicas).then(|| Peer::of(scene));
        let [files_max, attempts_max] =
            [shape.files_a_task.to_string(), shape.attempts_max.to_string()];
        let more: &[&str] = if shape.copies {
            &["--snapshot", "--chunk-bytes", "60K", "--attempts-max", &attempts_max]
        } else {
            &["--chunk-files-max", &files_max, "--attempts-max", &attempts_max]
        };
        let job = self.submit(scene, &shape, more, schedule.plan_dies().map(Duration::from_millis));
        // A careful person keeps the plan in a file.
        let plan_file = scene.folder().join("plan.json").to_string_lossy().into_owned();
        scene.longshore(["plan", "export", &job, &plan_file]).run().ok();
        let deeds = Deeds {
            scene,
            job: &job,
            shape: &shape,
            more,
            plan_file: &plan_file,
            detour: self.request_faults.url(),
            other_version: campaign.other_version.as_deref(),
        };
        let Some(mut findings) = self.load_once(&mut schedule, &deeds, replica.as_ref(), false)
        else {
            return Vec::new();
        };
        if findings.is_empty() && self.may_load_again(&deeds) {
            self.was_to_be_deleted.set(false);
            self.damage.set(Damage::default());
            if let Err(words) = tables::empty(scene, &shape) {
                findings.push(format!("the tables cannot be emptied: {words}"));
            } else {
                let again = self.load_once(&mut schedule, &deeds, replica.as_ref(), true);
                let Some(again) = again else { return Vec::new() };
                findings.extend(again);
            }
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

    /// Plans and submits the job, maybe after a planner that died; its id.
    fn submit(
        &self,
        scene: &Scene,
        shape: &Shape,
        more: &[&str],
        dies: Option<Duration>,
    ) -> String {
        let has_died = dies.is_some_and(|after| {
            // A snapshot that another planner names and links at the same time is one more thing to go wrong.
            if shape.copies {
                People::twin_dies(|| scene.copy_program("source", "events", more), after)
            } else {
                People::plan_dies(scene.plan_program("events", "*", more), after)
            }
        });
        if has_died {
            let record = &self.campaign.record;
            record.fault(self.number, self.job, Kind::PlanKill, "longshore plan", "");
        }
        if !shape.copies {
            return scene.submit(more);
        }
        let job = scene.submit_copy(more);
        scene.put_into("source", "later.parquet", 100);
        job
    }

    /// May its rows be taken out and loaded once more? Of a copy the snapshot is gone, and on replicas it
    /// is not tried.
    fn may_load_again(&self, deeds: &Deeds) -> bool {
        let only = &self.campaign.only;
        deeds.shape.turns > 1
            && !deeds.shape.copies
            && !self.campaign.replicas
            && !self.campaign.is_over()
            && (only.is_empty() || only.contains(&Kind::ReplayDone))
            && !self.is_deleted.get()
            && deeds.state_now().as_deref() == Some("completed")
            && !deeds.scene.is_a_row_missing(deeds.job)
    }

    /// The job is loaded, with faults first and then in peace; what is wrong then. Nothing when somebody
    /// has interrupted the campaign.
    fn load_once(
        &self,
        schedule: &mut Schedule,
        deeds: &Deeds,
        replica: Option<&Arc<Replica>>,
        is_again: bool,
    ) -> Option<Vec<String>> {
        let (campaign, scene) = (self.campaign, deeds.scene);
        let url = &scene.bed.clickhouse_url;
        let servers = self.servers.clone();
        let watch = Watch::start(url, &scene.control, campaign.record.clone(), move || {
            servers.is_any_hurt()
        });
        let workers = Supervisor::start(scene, self.worker_options(deeds, replica));
        let mut turn = Turn { deeds, replica, watch, workers, people: People::new(scene) };
        let mut findings = Vec::new();
        if is_again {
            findings.extend(self.open_again(schedule, &mut turn).err());
        }
        let most = if is_again { FAULTS_AGAIN_MAX } else { FAULTS_MAX };
        self.hurt(schedule, &mut turn, most);
        self.request_faults.clear();
        findings.extend(self.servers.heal().err());
        if let Some(replica) = replica {
            findings.extend(replica.mend(scene).err());
        }
        turn.workers.calm();
        let ended = self.wait_for_end(&mut turn);
        if ended == Some(false) {
            return None;
        }
        if ended.is_none() {
            let states = format!("{:?}", scene.tasks().0);
            findings
                .push(format!("the job is not over {PEACE_MAX:?} after the last fault: {states}"));
        }
        // What was held comes when all is over.
        self.request_faults.release();
        let Turn { watch, workers, mut people, .. } = turn;
        findings.extend(workers.leave());
        self.count(&mut people);
        findings.extend(people.leave());
        drop(watch);
        self.finish_deletion(deeds);
        // The command may have ended when nobody looked any more.
        let row =
            format!("SELECT count() FROM {}.jobs WHERE job_id = '{}'", scene.control, deeds.job);
        if self.is_deleted.get() || (self.was_to_be_deleted.get() && scene.admin.number(&row) == 0)
        {
            self.is_deleted.set(true);
            campaign.record.add(|sums| sums.given_up.extend(self.doomed.take()));
            findings.extend(verdict::of_deleted(scene));
        } else {
            let (record, damage) = (&campaign.record, self.damage.get());
            findings.extend(verdict::of(scene, deeds.job, deeds.shape, record, damage, is_again));
        }
        Some(findings)
    }

    fn worker_options(&self, deeds: &Deeds, replica: Option<&Arc<Replica>>) -> WorkerOptions {
        let campaign = self.campaign;
        let direct = deeds.scene.bed.clickhouse_url.clone();
        WorkerOptions {
            // One is at home on the other replica.
            urls: [
                direct.clone(),
                replica.map_or(direct, |replica| replica.url.clone()),
                self.request_faults.url(),
                self.wire.url(),
            ],
            lease: campaign.lease.clone(),
            stretch: deeds.shape.stretch.clone(),
            env: campaign.worker_env.clone(),
            other_version: campaign.other_version.clone(),
        }
    }

    /// The tables of a completed job were emptied: somebody lets it be loaded again. The command may be
    /// cut, and is given until it was not in vain.
    fn open_again(&self, schedule: &mut Schedule, turn: &mut Turn) -> Result<(), String> {
        let is_opened = |turn: &Turn| {
            turn.deeds.state_now().is_some_and(|state| state != "completed")
                // Else it would be taken for over.
                && within(SEEN_WITHIN, || (turn.watch.job().0 != "completed").then_some(())).is_some()
        };
        for _ in 0..REPLAYS_MAX {
            let Some(fault) = schedule.decide(&[Kind::ReplayDone]) else { break };
            self.strike_one(&fault, turn);
            within(COMMAND_MAX, || {
                self.look_after(turn);
                (!turn.people.is_busy()).then_some(())
            });
            if is_opened(turn) {
                return Ok(());
            }
        }
        let said = turn.deeds.give(&["resume", turn.deeds.job, "--replay-done"]);
        if is_opened(turn) {
            return Ok(());
        }
        Err(format!("a job whose tables were emptied is not loaded again: {said}"))
    }

    /// Faults, one after the other, until the job is over or there were enough of them. When it has failed
    /// people decide what becomes of its tasks.
    fn hurt(&self, schedule: &mut Schedule, turn: &mut Turn, most: u32) {
        let mut next = schedule.next();
        let mut due = Instant::now() + Duration::from_millis(next.delay_ms);
        let (mut faults, mut decisions) = (0, 0);
        while faults < most && !self.campaign.is_over() {
            let has_failed = turn.watch.job().0 == "failed" && decisions < DECISIONS_MAX;
            if self.is_deleted.get() || (self.is_over(&turn.watch) && !has_failed) {
                break;
            }
            thread::sleep(TICK);
            self.look_after(turn);
            if Instant::now() < due {
                continue;
            }
            let is_at_rest = self.is_over(&turn.watch) && !self.is_deleted.get();
            if is_at_rest && !self.is_quiet(turn) {
                continue;
            }
            faults += 1;
            if is_at_rest {
                decisions += 1;
                let Some(fault) = self.decide(schedule, turn.deeds) else { break };
                self.strike_one(&fault, turn);
                due = Instant::now() + DECISION_PAUSE;
            } else {
                self.strike_one(&next, turn);
                next = schedule.next();
                due = Instant::now() + Duration::from_millis(next.delay_ms);
            }
        }
    }

    /// Has the job failed, as its row says now, and does nothing go on that could change what is seen of it?
    fn is_quiet(&self, turn: &Turn) -> bool {
        !turn.people.is_busy()
            && !self.servers.is_any_hurt()
            && turn.deeds.state_now().as_deref() == Some("failed")
    }

    fn strike_one(&self, fault: &Fault, turn: &mut Turn) {
        let Turn { deeds, replica, watch, workers, people } = turn;
        let happened = match replica {
            Some(replica) if fault.kind.is_of_replicas() => {
                self.strike_replicas(fault, deeds, replica, watch)
            }
            _ => self.strike(fault, deeds, workers, people, watch),
        };
        if happened {
            self.damage.set(self.damage.get().after(fault.kind));
        }
    }

    fn look_after(&self, turn: &mut Turn) {
        turn.workers.poll();
        turn.people.poll();
        self.count(&mut turn.people);
        self.resume(turn.deeds, &turn.watch);
    }

    /// Waits for the end of a job that nobody hurts any more. False when somebody has interrupted that,
    /// nothing when it does not come.
    fn wait_for_end(&self, turn: &mut Turn) -> Option<bool> {
        let mut was_retried = false;
        within(PEACE_MAX, || {
            self.look_after(turn);
            // What people destroyed is looked at once more; what then stays so is the end.
            if turn.watch.job().0 == "failed" && !was_retried {
                was_retried = true;
                turn.deeds.give(&["retry", turn.deeds.job, "--quarantined"]);
                turn.deeds.give(&["retry", turn.deeds.job, "--failed"]);
                thread::sleep(Duration::from_secs(1));
                return None;
            }
            let is_over = self.is_over(&turn.watch);
            (is_over || self.campaign.is_interrupted()).then_some(is_over)
        })
    }
}
