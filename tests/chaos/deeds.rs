//! What people do to a running job: every command at any moment, cut or not; and their mistakes.

use std::path::Path;
use std::time::Duration;

use longshore_tests::{Program, Scene, name};

use crate::people::People;
use crate::schedule::{Fault, Kind, Shape};

/// A command that is not cut has so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job as people know it.
pub(crate) struct Deeds<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) job: &'a str,
    pub(crate) shape: &'a Shape,
    /// Flags of the plan.
    pub(crate) more: &'a [&'a str],
    /// Address of the server through the proxy that loses, holds and leads elsewhere.
    pub(crate) detour: String,
    /// Where the programs of another version are.
    pub(crate) other_version: Option<&'a Path>,
}

impl Deeds<'_> {
    /// Does it; false when it does not fit this job, or the server is away.
    pub(crate) fn does(&self, fault: &Fault, people: &mut People) -> bool {
        let (scene, job) = (self.scene, self.job);
        // Every other command is cut in the middle.
        let most = match fault.pick % 2 {
            0 => Duration::from_millis(fault.length_ms / 4),
            _ => PATIENCE,
        };
        let command: Vec<&str> = match fault.kind {
            Kind::Pause if fault.pick.is_multiple_of(3) => vec!["pause", job, "--now"],
            Kind::Pause => vec!["pause", job],
            Kind::Resume => vec!["resume", job],
            // The snapshot goes with a cancelled job: it could not go on.
            // And the same command would make another plan of a table that got rows since.
            Kind::Cancel | Kind::PlanAgain | Kind::TwinPlan if self.shape.copies => return false,
            Kind::Cancel => vec!["cancel", job, "--no-wait"],
            Kind::Retry if fault.pick.is_multiple_of(3) => {
                vec!["retry", job, "--quarantined", "--reload"]
            }
            Kind::Retry if fault.pick % 3 == 1 => vec!["retry", job, "--quarantined"],
            Kind::Retry => vec!["retry", job, "--failed"],
            // Refused while the partitions hold rows: nobody has taken any out.
            Kind::ReplayDone => vec!["resume", job, "--replay-done"],
            Kind::Gc => vec!["gc", "--yes", "--older-than", "0s"],
            Kind::Restore => vec!["restore", job],
            Kind::PlanDelete => vec!["plan", "delete", job, "--yes"],
            Kind::Init => vec!["init"],
            Kind::PlanAgain => {
                let plan = scene.plan_program("events", "*", self.more);
                return people.give(Some(fault.kind), plan, most);
            }
            // Two people at once; every other time one of them is cut.
            Kind::TwinPlan => {
                let plan = || scene.plan_program("events", "*", self.more);
                people.give(None, plan(), PATIENCE);
                return people.give(Some(fault.kind), plan(), most);
            }
            _ => return self.spoils(fault),
        };
        if fault.kind == Kind::Restore {
            people.die(&["pause", job], PATIENCE);
        }
        people.give(Some(fault.kind), self.program(fault).args(command), most)
    }

    /// The program of a command: one in four goes the long way, one in five is of another version.
    fn program(&self, fault: &Fault) -> Program {
        let program = match self.other_version {
            Some(folder) if fault.pick.is_multiple_of(5) => {
                self.scene.program_of(folder, "longshore")
            }
            _ => self.scene.longshore([""; 0]),
        };
        if fault.pick % 4 == 1 { program.env("CLICKHOUSE_URL", &self.detour) } else { program }
    }

    /// Rows of control tables that somebody deletes, staging tables that somebody empties.
    fn spoils(&self, fault: &Fault) -> bool {
        let Scene { control, staging, admin, .. } = self.scene;
        let Some(tasks) = self.scene.try_tasks().filter(|tasks| !tasks.0.is_empty()) else {
            return false;
        };
        let task = &tasks.0[fault.pick % tasks.0.len()].id;
        let statement = match fault.kind {
            // The same command would make another plan of a table that got rows since.
            Kind::TaskRowGone if self.shape.copies => return false,
            Kind::TaskRowGone => format!("DELETE FROM {control}.tasks WHERE task_id = '{task}'"),
            Kind::ReceiptRowGone => format!(
                "DELETE FROM {control}.receipts WHERE task_id = '{task}' SETTINGS lightweight_deletes_sync = 2"
            ),
            _ => {
                let tables = admin.try_rows(&format!(
                    "SELECT name FROM system.tables WHERE database = '{staging}' \
                     AND engine != 'MaterializedView' AND name NOT LIKE '%snapshot%' ORDER BY name"
                ));
                let Some(tables) = tables.ok().filter(|tables| !tables.is_empty()) else {
                    return false;
                };
                let table = name(&tables[fault.pick % tables.len()][0]);
                let verb = if fault.pick.is_multiple_of(3) { "DROP" } else { "TRUNCATE" };
                format!("{verb} TABLE {staging}.{table} SYNC")
            }
        };
        admin.try_run(&statement).is_ok()
    }

    /// Lets a job go on that a command or a worker has stopped. What was done, if anything.
    pub(crate) fn resume_job(&self, state: &str, reason: &str) -> Option<String> {
        let give = |command: &[&str]| self.scene.longshore(command).run().code() == Some(0);
        let has_worked = match state {
            "paused" if reason.contains("is missing") && !self.shape.copies => {
                self.scene.plan_program("events", "*", self.more).run();
                give(&["restore", self.job]);
                give(&["resume", self.job])
            }
            "paused" if reason.contains("has receipts") => {
                give(&["restore", self.job]);
                give(&["resume", self.job])
            }
            "paused" | "halted" | "cancelled" | "reopening" => {
                give(&["resume", self.job]) || {
                    // Rows of its tasks may be gone: the plan writes them again.
                    if !self.shape.copies {
                        self.scene.plan_program("events", "*", self.more).run();
                    }
                    give(&["resume", self.job])
                }
            }
            _ => false,
        };
        has_worked.then(|| format!("{state}: {reason}"))
    }
}
