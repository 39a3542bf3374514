//! One fault of the schedule, as it happens.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use longshore_tests::{CLICKHOUSE, PartFolders, Replica, S3, SECOND};

use super::Lane;
use crate::deeds::Deeds;
use crate::kind::Kind;
use crate::people::People;
use crate::schedule::Fault;
use crate::supervisor::Supervisor;
use crate::watch::Watch;

impl Lane<'_> {
    /// Lets it happen. False when it does not fit, or a server is hurt already.
    pub(super) fn strike(
        &self,
        fault: &Fault,
        deeds: &Deeds,
        workers: &mut Supervisor,
        people: &mut People,
        watch: &Watch,
    ) -> bool {
        let told = watch.told();
        let (kind, job) = (fault.kind, deeds.job);
        let length = Duration::from_millis(fault.length_ms);
        let healed = {
            let told = told.clone();
            Box::new(move || told.healed(kind.name()))
        };
        let (happened, actor) = match kind {
            Kind::WorkerKill | Kind::WorkerPoint | Kind::PlanKill => {
                let name = workers.kill(fault.pick, &fault.point);
                told.died(name.clone());
                (true, name)
            }
            Kind::WorkerStop => (workers.stop(fault.pick, length), workers.name(fault.pick)),
            Kind::WorkerTerm => (workers.term(fault.pick), workers.name(fault.pick)),
            Kind::SubmitKill => (people.die(&["submit", job], length), "longshore submit".into()),
            Kind::StatusKill => (people.die(&["status", job], length), "longshore status".into()),
            Kind::RunKill => {
                let run = ["run", job, "--workers", "1"];
                (people.die(&run, length * 3), "longshore run".into())
            }
            Kind::Look => {
                let look = deeds.look(fault);
                let look: Vec<&str> = look.iter().map(String::as_str).collect();
                (people.die(&look, length), "longshore".into())
            }
            Kind::ClickHouseKill => {
                (self.servers.kill(CLICKHOUSE, length, healed), CLICKHOUSE.into())
            }
            Kind::KeeperKill => {
                let keeper = self.servers.keepers(fault.pick)[0];
                (self.servers.kill(keeper, length, healed), keeper.into())
            }
            Kind::PartCut => {
                let (folders, pick) = (PartFolders::of(deeds.scene), fault.pick);
                let (record, lane, job) = (self.campaign.record.clone(), self.number, self.job);
                // Counted when there was a part.
                let cut = move || {
                    if folders.cut_a_part(pick) {
                        record.fault(lane, job, kind, "disk", "");
                    }
                };
                let killed = self.servers.kill_and(CLICKHOUSE, length, cut, healed);
                told.disturbed();
                return killed;
            }
            Kind::Reroute => (self.request_faults.reroute(length), "proxy".into()),
            Kind::StoreKill => (self.servers.kill(S3, length, healed), S3.into()),
            Kind::ClickHouseStop => {
                (self.servers.stop(CLICKHOUSE, length, healed), CLICKHOUSE.into())
            }
            Kind::KeeperStop => {
                let keeper = self.servers.keepers(fault.pick)[0];
                (self.servers.stop(keeper, length, healed), keeper.into())
            }
            Kind::StoreStop => (self.servers.stop(S3, length, healed), S3.into()),
            kind if kind.is_of_people() => (self.act(fault, deeds, people), "operator".into()),
            Kind::Everything => {
                let happened = self.servers.kill_all(fault.pick, length, healed);
                if happened {
                    workers.kill_all();
                    people.kill();
                }
                (happened, "everything".into())
            }
            Kind::Cut => {
                self.wire.sever();
                (true, "wire".into())
            }
            Kind::LostRequest | Kind::LostAnswer | Kind::Delay | Kind::Held => {
                // Counted when a request comes by.
                self.request_faults.brew(fault, self.job);
                return true;
            }
            _ => (false, String::new()),
        };
        // The death is one fault; what the next life meets at its point is another, counted then.
        let counted = if kind == Kind::WorkerPoint { Kind::WorkerKill } else { kind };
        let point = format!("{} {} ms", fault.point, fault.length_ms);
        self.counted(happened, watch, counted, &actor, point.trim())
    }

    /// A person acts, where what comes of it can be told apart afterwards.
    fn act(&self, fault: &Fault, deeds: &Deeds, people: &mut People) -> bool {
        let is_reopening = || deeds.state_now().is_none_or(|state| state == "reopening");
        match fault.kind {
            // Was the row deleted by hand, or by the end of a deletion? The one is mended, the other is not.
            Kind::PlanDelete if self.is_row_gone.get() => return false,
            Kind::JobRowGone if self.is_row_gone.get() || people.gives(Kind::PlanDelete) => {
                return false;
            }
            // The receipts of what is to be loaded again are not void yet. A task whose row comes back would
            // count as done by them.
            Kind::TaskRowGone | Kind::ReceiptRowGone if is_reopening() => return false,
            Kind::PlanDelete => {
                self.was_to_be_deleted.set(true);
                self.note_doomed(deeds);
            }
            // Even where the answer is lost.
            Kind::JobRowGone => self.is_row_gone.set(true),
            _ => {}
        }
        deeds.does(fault, people, self.damage.get().rows)
    }

    /// Faults of the second replica, and of most Keepers at once.
    pub(super) fn strike_replicas(
        &self,
        fault: &Fault,
        deeds: &Deeds,
        replica: &Arc<Replica>,
        watch: &Watch,
    ) -> bool {
        let (kind, length) = (fault.kind, Duration::from_millis(fault.length_ms));
        let told = watch.told();
        let healed = move || told.healed(kind.name());
        let (happened, actor) = match kind {
            Kind::ReplicaKill => (self.servers.kill(SECOND, length, Box::new(healed)), SECOND),
            Kind::ReplicaStop => (self.servers.stop(SECOND, length, Box::new(healed)), SECOND),
            Kind::ReplicaEmptied => {
                let tables = replica.tables(deeds.scene).unwrap_or_default();
                let table = tables.get(fault.pick % tables.len().max(1));
                (table.is_some_and(|table| replica.empty(deeds.scene, table).is_ok()), SECOND)
            }
            Kind::FetchesStopped => {
                let happened = replica.admin.try_run("SYSTEM STOP FETCHES").is_ok();
                if happened {
                    let replica = replica.clone();
                    thread::spawn(move || {
                        thread::sleep(length);
                        replica.admin.try_run("SYSTEM START FETCHES").ok();
                    });
                }
                (happened, SECOND)
            }
            _ => {
                // Two of three: those that are left cannot decide anything.
                let keepers = self.servers.keepers(fault.pick);
                let first = self.servers.kill(keepers[0], length, Box::new(|| ()));
                (self.servers.kill(keepers[1], length, Box::new(healed)) && first, "two keepers")
            }
        };
        self.counted(happened, watch, kind, actor, &format!("{} ms", fault.length_ms))
    }

    /// Writes a fault down, or that it could not happen.
    fn counted(&self, happened: bool, watch: &Watch, kind: Kind, actor: &str, words: &str) -> bool {
        if self.servers.is_any_hurt() {
            watch.told().disturbed();
        }
        if !happened {
            self.campaign.record.add(|sums| sums.skipped += 1);
            return false;
        }
        self.campaign.record.fault(self.number, self.job, kind, actor, words);
        true
    }
}
