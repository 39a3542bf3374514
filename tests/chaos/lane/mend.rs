//! What the people of a lane do so that a job goes on: rows are written again, deletions are finished.

use std::thread;
use std::time::Duration;

use longshore_tests::Finished;

use super::Lane;
use crate::deeds::Deeds;
use crate::watch::Watch;

/// People think for a moment.
const THOUGHT: Duration = Duration::from_millis(200);
/// Tries to finish a deletion when nothing else goes on any more.
const DELETIONS_MAX: usize = 3;
/// Words of a deletion that is refused because tasks have evidence.
const HAS_EVIDENCE: &str = "may have rows in its targets that nothing proves";
/// Words of a replay whose tasks have no receipts any more: it can only be given up.
const NOT_KNOWN: &str = "receipts are missing";

impl Lane<'_> {
    /// A job that was stopped goes on, and is counted.
    pub(super) fn resume(&self, deeds: &Deeds, watch: &Watch) {
        if self.is_deleted.get() {
            return;
        }
        if self.is_row_gone.get() {
            return self.restore_row(deeds);
        }
        let (state, reason) = watch.job();
        match state.as_str() {
            "running" | "completed" | "failed" | "cancelling" => return,
            "deleting" => return self.delete_again(deeds),
            "" | "planning" | "planned" => return self.notice_deletion(deeds),
            _ => {}
        }
        thread::sleep(THOUGHT);
        let Some(words) = deeds.resume_job(&state, &reason) else {
            if state == "reopening" && self.damage.get().receipts {
                self.give_up_replay(deeds);
            }
            return;
        };
        let is_of_people = reason.contains("operator") || state != "paused";
        if !is_of_people {
            self.found(&format!("the job was paused: {reason}"));
        }
        let place = format!("lane {} job {}: {words}", self.number, self.job);
        self.campaign.record.add(|sums| sums.paused.push(place));
    }

    /// The row of the job is gone: the plan is made once more, tasks with receipts are counted as done, and
    /// it goes on.
    fn restore_row(&self, deeds: &Deeds) {
        let Some(state) = deeds.state_now() else { return };
        match state.as_str() {
            "" | "planning" => {
                thread::sleep(THOUGHT);
                deeds.plan_again();
            }
            "planned" => {
                deeds.give(&["restore", deeds.job]);
                deeds.give(&["resume", deeds.job]);
            }
            _ => {
                self.is_row_gone.set(false);
                let note = "the row of the job is there again";
                self.campaign.record.note(self.number, self.job, note, &state);
            }
        }
    }

    /// Somebody deleted the plan, and the end of the command was not seen; it may have been made again by
    /// another one, but nobody lets that run: its rows are there.
    fn notice_deletion(&self, deeds: &Deeds) {
        let is_gone = |state: String| matches!(state.as_str(), "" | "planning" | "planned");
        if self.was_to_be_deleted.get() && deeds.state_now().is_some_and(is_gone) {
            self.is_deleted.set(true);
        }
    }

    /// A deletion that was cut can only be given again.
    fn delete_again(&self, deeds: &Deeds) {
        self.note_doomed(deeds);
        let mut said = deeds.give(&["plan", "delete", deeds.job, "--yes"]);
        if said.stderr.contains(HAS_EVIDENCE) {
            said = discard(deeds);
        }
        self.is_deleted.set(said.code() == Some(0) || self.is_deleted.get());
    }

    /// Tasks whose evidence goes with the plan are given up: their rows may be missing, and none may be there
    /// twice.
    pub(super) fn note_doomed(&self, deeds: &Deeds) {
        let Some(tasks) = deeds.scene.try_tasks() else { return };
        let quarantined = tasks.0.iter().filter(|task| task.state == "quarantined");
        let doomed = quarantined.map(|task| format!("{}: its evidence was discarded", task.id));
        self.doomed.replace(doomed.collect());
    }

    /// A replay was cut, and then the receipts were deleted that say where its rows had been.
    fn give_up_replay(&self, deeds: &Deeds) {
        if !deeds.give(&["resume", deeds.job]).stderr.contains(NOT_KNOWN) {
            return;
        }
        self.was_to_be_deleted.set(true);
        deeds.give(&["cancel", deeds.job]);
        self.note_doomed(deeds);
        self.is_deleted.set(discard(deeds).code() == Some(0));
    }

    /// A deletion that was cut when nobody looked any more.
    pub(super) fn finish_deletion(&self, deeds: &Deeds) {
        for _ in 0..DELETIONS_MAX {
            if self.is_deleted.get() || deeds.state_now().as_deref() != Some("deleting") {
                return;
            }
            self.delete_again(deeds);
        }
    }
}

/// Deletes the plan with all evidence.
fn discard(deeds: &Deeds) -> Finished {
    deeds.give(&["plan", "delete", deeds.job, "--yes", "--discard-quarantined"])
}
