//! Which task a name or a running statement belongs to, told from its text alone.

use super::{Epoch, TaskId};

impl TaskId {
    /// The task and epoch in the name of a staging table or view clone:
    /// `<job>_<ordinal>_e<epoch>_<position>_<label>`, with a `v` before the position of a clone.
    ///
    /// Only what this program would name so itself: everything else is somebody else's.
    pub fn of_staging(name: &str) -> Option<(Self, Epoch)> {
        let mut parts = name.splitn(4, '_');
        let (job, ordinal, epoch, rest) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let task = Self { job: job.parse().ok()?, ordinal: number(ordinal)?.try_into().ok()? };
        let epoch = Epoch(number(epoch.strip_prefix('e')?)?);
        let (position, label) = rest.split_once('_')?;
        number(position.strip_prefix('v').unwrap_or(position))?;
        let is_label = label.bytes().all(|symbol| symbol.is_ascii_alphanumeric() || symbol == b'_');
        (is_label && name.starts_with(&task.staging_set(epoch))).then_some((task, epoch))
    }

    /// The task, epoch and step in the id of a statement: `<job>-<ordinal>-<epoch>-<step>`.
    pub fn of_query(id: &str) -> Option<(Self, Epoch, &str)> {
        let mut parts = id.splitn(4, '-');
        let (job, ordinal, epoch, step) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let task = Self { job: job.parse().ok()?, ordinal: number(ordinal)?.try_into().ok()? };
        let epoch = Epoch(number(epoch)?);
        id.starts_with(&task.epoch_prefix(epoch)).then_some((task, epoch, step))
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staging_name_tells_its_task_and_epoch() {
        let told =
            |name: &str| TaskId::of_staging(name).map(|(task, epoch)| format!("{task} {epoch}"));
        let text = Some("0123456789abcdef-0000042 31".to_owned());
        assert_eq!(told("0123456789abcdef_0000042_e31_0_events"), text);
        assert_eq!(told("0123456789abcdef_0000042_e31_v12_daily_mv"), text);
        assert_eq!(told("0123456789abcdef_0000042_e31_1_"), text);
        for foreign in [
            "",
            "events",
            "0123456789abcdef",
            "0123456789abcdef_0000042_e31",
            "0123456789abcdef_0000042_e31_events",
            "0123456789abcdef_0000042_31_0_events",
            "0123456789abcdef_42_e31_0_events",
            "0123456789abcdef_0000042_e031_0_events",
            "0123456789abcdef_0000042_e31_0_ev ents",
            "0123456789abcdef_0000042_e31_x0_events",
            "0123456789ABCDEF_0000042_e31_0_events",
            "rehearsal_0123456789ab_0_events",
        ] {
            assert_eq!(told(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_query_id_tells_its_task_epoch_and_step() {
        let id = "0123456789abcdef-0000042-3-move-17";
        let (task, epoch, step) = TaskId::of_query(id).unwrap();
        assert_eq!((task.ordinal, epoch, step), (42, Epoch(3), "move-17"));
        for foreign in ["", "0123456789abcdef-0000042-3", "0123456789abcdef-42-3-load", "a-b-c-d"] {
            assert!(TaskId::of_query(foreign).is_none(), "{foreign}");
        }
    }
}
