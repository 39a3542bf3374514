//! What people decide about the tasks of a job that has failed.

use super::Lane;
use crate::deeds::Deeds;
use crate::kind::Kind;
use crate::known;
use crate::schedule::{Fault, Schedule};
use crate::tables;

impl Lane<'_> {
    /// The next decision; nothing when nobody knows of any. Everything that a command will claim was looked
    /// at first: nothing of the job changes by itself, and no other command of a person runs.
    pub(super) fn decide(&self, schedule: &mut Schedule, deeds: &Deeds) -> Option<Fault> {
        let (scene, job, shape) = (deeds.scene, deeds.job, deeds.shape);
        let (tasks, damage) = (scene.try_tasks()?, self.damage.get());
        let only = &self.campaign.only;
        let may = |kind: &Kind| only.is_empty() || only.contains(kind);
        let mut kinds = Vec::new();
        // A job that the closing audit has failed. Of one that nobody has hurt nothing is decided: it stays as it is
        // for the verdict, which another audit would hide it from.
        if tasks.all("done") && (damage.rows || damage.receipts) {
            if !damage.rows || known::is_everything_there(scene, job, shape) {
                kinds.push(Kind::AuditAgain);
            } else if !damage.receipts && may(&Kind::ReplayDone) {
                // Rows are lost: all of them are taken out and loaded again.
                kinds.extend(tables::empty(scene, shape).is_ok().then_some(Kind::ReplayDone));
            }
        }
        if tasks.count("failed") > 0 {
            kinds.extend([Kind::RetryFailed, Kind::RetryTask, Kind::RetryWhere]);
        }
        if tasks.count("quarantined") > 0 {
            kinds.extend([Kind::RetryQuarantined, Kind::RetryTask, Kind::RetryWhere]);
            let mut absent = known::find_absent(scene, job, shape, damage.rows).unwrap_or_default();
            // Now and then somebody puts rows where they belong, instead of letting them be loaded.
            if let Some(task) = absent.first()
                && may(&Kind::RetryAccept)
                && schedule.is_heads()
                && known::put_by_hand(scene, shape, task).is_some()
            {
                absent.remove(0);
            }
            let present = known::find_present(scene, job, shape).unwrap_or_default();
            kinds.extend([Kind::RetryReload; 4].iter().filter(|_| !absent.is_empty()));
            kinds.extend([Kind::RetryAccept; 6].iter().filter(|_| !present.is_empty()));
        }
        kinds.retain(may);
        schedule.decide(&kinds)
    }
}
