//! What people do to a running job: every command at any moment, cut or not; and their mistakes.

use std::path::Path;
use std::time::Duration;

use longshore_tests::{Finished, Program, Scene};

use crate::kind::Kind;
use crate::known;
use crate::people::People;
use crate::schedule::{Fault, Shape};
use crate::spoils;

/// A command that is not cut has so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Conditions on tasks that ended badly.
const CONDITIONS: &[&str] =
    &["error~'e'", "attempts>=0 and deaths<9", "state=quarantined or rows=0"];

/// A job as people know it.
pub(crate) struct Deeds<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) job: &'a str,
    pub(crate) shape: &'a Shape,
    /// Flags of the plan.
    pub(crate) more: &'a [&'a str],
    /// The plan as it was exported before anything went wrong.
    pub(crate) plan_file: &'a str,
    /// Address of the server through the proxy that loses, holds and leads elsewhere.
    pub(crate) detour: String,
    /// Where the programs of another version are.
    pub(crate) other_version: Option<&'a Path>,
}

impl Deeds<'_> {
    /// Does it; false when it does not fit this job, or the server is away. `is_cut`: parts of its tables
    /// were cut on the disk.
    pub(crate) fn does(&self, fault: &Fault, people: &mut People, is_cut: bool) -> bool {
        if !fault.kind.is_command() {
            return spoils::spoil(self.scene, self.job, fault);
        }
        let Some(command) = self.command(fault, is_cut) else { return false };
        // Three of five are cut: two in their first moments, one later.
        let length = Duration::from_millis(fault.length_ms);
        let most = match fault.pick % 5 {
            _ if fault.kind == Kind::RunScaled => length,
            0 | 2 => length / 4,
            4 => length,
            _ => PATIENCE,
        };
        let plan = || self.scene.plan_program("events", "*", self.more);
        let program = match fault.kind {
            Kind::PlanAgain => plan(),
            // Two people at once; one of them may be cut.
            Kind::TwinPlan => {
                people.give(None, plan(), PATIENCE);
                plan()
            }
            _ => self.program(fault).args(command),
        };
        if fault.kind == Kind::Restore {
            people.die(&["pause", self.job], PATIENCE);
        }
        people.give(Some(fault.kind), program, most)
    }

    /// What is said; nothing where it does not fit, or where nobody can know that it is true.
    fn command(&self, fault: &Fault, is_cut: bool) -> Option<Vec<String>> {
        let (job, option) = (self.job, fault.pick / 100);
        let mut words: Vec<&str> = match fault.kind {
            // A snapshot goes with a cancelled job: it could not go on.
            // And the same command would make another plan of a table that got rows since.
            Kind::Cancel | Kind::CancelWait | Kind::PlanAgain | Kind::TwinPlan
                if self.shape.copies =>
            {
                return None;
            }
            Kind::PlanAgain | Kind::TwinPlan => Vec::new(),
            Kind::Pause if option.is_multiple_of(3) => vec!["pause", job, "--now"],
            Kind::Pause => vec!["pause", job],
            Kind::Resume => vec!["resume", job],
            Kind::Cancel => vec!["cancel", job, "--no-wait"],
            Kind::CancelWait => vec!["cancel", job],
            Kind::RetryFailed => vec!["retry", job, "--failed"],
            Kind::RetryQuarantined => vec!["retry", job, "--quarantined"],
            Kind::RetryReload | Kind::RetryAccept | Kind::RetryTask => {
                return self.retry_some(fault, is_cut);
            }
            Kind::RetryWhere => {
                vec!["retry", job, "--where", CONDITIONS[option % CONDITIONS.len()]]
            }
            // Refused while the partitions hold rows.
            Kind::ReplayDone if is_cut => vec!["resume", job, "--replay-done", "--audit-again"],
            Kind::ReplayDone => vec!["resume", job, "--replay-done"],
            // The server may have forgotten what the audit saw: so a person looks.
            Kind::AuditAgain
                if is_cut && !known::is_everything_there(self.scene, job, self.shape) =>
            {
                return None;
            }
            Kind::AuditAgain => vec!["resume", job, "--audit-again"],
            Kind::Scale => vec!["scale", job, "--loads", ["none", "1", "2", "4"][option % 4]],
            Kind::RunScaled => {
                let most = ["1", "2", "3"][option % 3];
                vec!["run", job, "--workers", "1", "--max-loads", most]
            }
            Kind::Gc => vec!["gc", "--yes", "--older-than", "0s"],
            Kind::Restore => vec!["restore", job],
            Kind::PlanExport => vec!["plan", "export", job, self.plan_file],
            Kind::PlanImport => vec!["plan", "import", self.plan_file],
            Kind::PlanDelete if option.is_multiple_of(4) => {
                vec!["plan", "delete", job, "--yes", "--discard-quarantined"]
            }
            Kind::PlanDelete => vec!["plan", "delete", job, "--yes"],
            _ => vec!["init"],
        };
        // A summary of a job is told to people.
        words.extend((fault.kind != Kind::RunScaled).then_some("--json"));
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// A retry that names its tasks: those of which somebody knows that it is right. Where there is none in
    /// quarantine one is named of which it would be true; it is refused then.
    fn retry_some(&self, fault: &Fault, is_cut: bool) -> Option<Vec<String>> {
        let (scene, job) = (self.scene, self.job);
        let tasks = scene.try_tasks()?.0;
        let any = |states: &[&str]| -> Option<String> {
            let of: Vec<_> =
                tasks.iter().filter(|task| states.contains(&task.state.as_str())).collect();
            Some(of.get(fault.pick % of.len().max(1))?.id.clone())
        };
        let or = |known: Option<Vec<String>>, other: Option<String>| {
            let known = known.unwrap_or_default();
            if known.is_empty() { other.into_iter().collect() } else { known }
        };
        let (flags, chosen): (&[&str], Vec<String>) = match fault.kind {
            Kind::RetryReload => {
                let is_absent = |task: &String| known::count_rows(scene, "events", task) == Some(0);
                let known = known::find_absent(scene, job, self.shape, is_cut);
                (&["--quarantined", "--reload"], or(known, any(&["pending"]).filter(is_absent)))
            }
            Kind::RetryAccept => {
                let known = known::find_present(scene, job, self.shape);
                (&["--quarantined", "--accept"], or(known, any(&["done"])))
            }
            _ => {
                let bad = any(&["failed", "quarantined"]);
                let other = || tasks.get(fault.pick % tasks.len().max(1)).map(|t| t.id.clone());
                (&[], bad.or_else(other).into_iter().collect())
            }
        };
        if chosen.is_empty() {
            return None;
        }
        let mut words: Vec<String> =
            ["retry", job, "--json"].iter().chain(flags).map(|word| (*word).to_owned()).collect();
        words.extend(chosen.into_iter().flat_map(|task| ["--task".to_owned(), task]));
        Some(words)
    }

    /// The program of a command: one in four goes the long way, one in five is of another version.
    ///
    /// Not the long way where it says what is true now: its request may be held there for minutes. And the
    /// file of the plan, from which rows are made again, is of this version.
    fn program(&self, fault: &Fault) -> Program {
        let is_of_file = matches!(fault.kind, Kind::PlanExport | Kind::PlanImport);
        let program = match self.other_version {
            Some(folder) if (fault.pick / 5).is_multiple_of(5) && !is_of_file => {
                self.scene.program_of(folder, "longshore")
            }
            _ => self.scene.longshore([""; 0]),
        };
        let is_of_the_moment = matches!(
            fault.kind,
            Kind::RetryReload
                | Kind::RetryAccept
                | Kind::ReplayDone
                | Kind::AuditAgain
                | Kind::PlanDelete
        );
        if fault.pick / 25 % 4 == 1 && !is_of_the_moment {
            return program.env("CLICKHOUSE_URL", &self.detour);
        }
        program
    }

    /// State of the job as its row says now, empty without a row. Nothing when it cannot be read.
    pub(crate) fn state_now(&self) -> Option<String> {
        let Scene { control, admin, .. } = self.scene;
        let row = format!("SELECT state FROM {control}.jobs WHERE job_id = '{}'", self.job);
        Some(admin.try_rows(&row).ok()?.into_iter().flatten().next().unwrap_or_default())
    }

    /// A command that only looks.
    pub(crate) fn look(&self, fault: &Fault) -> Vec<String> {
        let first = format!("{}-0000000", self.job);
        let looks: [&[&str]; 7] = [
            &["doctor", self.job],
            &["tasks", self.job, "--state", "failed,quarantined"],
            &["task", &first],
            &["status", self.job],
            &["explain", self.job],
            &["check", self.job],
            &["plan", "show", self.job],
        ];
        looks[fault.pick % looks.len()].iter().map(|word| (*word).to_owned()).collect()
    }

    /// Gives a command and waits for its end.
    pub(crate) fn give(&self, command: &[&str]) -> Finished {
        self.scene.longshore(command).args(["--json"]).run()
    }

    fn works(&self, command: &[&str]) -> bool {
        self.give(command).code() == Some(0)
    }

    /// Makes the plan once more, from its file or by the command that made it: rows that somebody deleted
    /// are written again.
    pub(crate) fn plan_again(&self) -> bool {
        if self.shape.has_plan_file() {
            return self.works(&["plan", "import", self.plan_file]);
        }
        self.scene.plan_program("events", "*", self.more).run().code() == Some(0)
    }

    /// Lets a job go on that a command or a worker has stopped. What was done, if anything.
    pub(crate) fn resume_job(&self, state: &str, reason: &str) -> Option<String> {
        let resume = || self.works(&["resume", self.job]);
        let has_worked = match state {
            "paused" if reason.contains("is missing") => {
                self.plan_again();
                self.works(&["restore", self.job]);
                resume()
            }
            "paused" if reason.contains("has receipts") => {
                self.works(&["restore", self.job]);
                resume()
            }
            "paused" | "halted" | "cancelled" | "reopening" => {
                resume() || {
                    // Rows of its tasks may be gone: the plan writes them again.
                    self.plan_again();
                    resume()
                }
            }
            _ => false,
        };
        has_worked.then(|| format!("{state}: {reason}"))
    }
}
