//! How loaded rows become visible: appended task by task, or all at once by the last task of a job.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Epoch, JobId, TableName};

/// How the rows of a job become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// Each task moves its rows into the target.
    #[default]
    Append,
    /// Tasks fill a shadow; the last task replaces the partitions that it holds.
    Replace,
    /// Tasks fill a shadow; the last task exchanges it with the target.
    Exchange,
}

impl PublishMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Append, Self::Replace, Self::Exchange];

    /// As written in plans and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Exchange => "exchange",
        }
    }

    /// Does a job of this mode end with a task that publishes?
    pub fn has_last_task(self) -> bool {
        self != Self::Append
    }
}

/// What the last task does when the target got rows after the plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LateRows {
    /// It publishes, and tells how many rows are in the old table only.
    #[default]
    Tell,
    /// It publishes nothing and pauses the job.
    Refuse,
}

/// What becomes of the partitions of a target that a replacement does not fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherPartitions {
    /// They stay as they are.
    #[default]
    Keep,
    /// The last task publishes nothing while there are any.
    Refuse,
}

impl OtherPartitions {
    /// Plans of the usual way do not mention it: their ids stay.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

/// How a job publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Publish {
    /// The way.
    pub mode: PublishMode,
    /// What becomes of rows that others wrote into the target meanwhile.
    #[serde(default)]
    pub late_rows: LateRows,
    /// What becomes of partitions with rows that nothing was loaded for: of replacements only.
    #[serde(default, skip_serializing_if = "OtherPartitions::is_keep")]
    pub other_partitions: OtherPartitions,
}

impl Publish {
    /// Plans of the usual way do not mention it.
    pub fn is_append(&self) -> bool {
        self.mode == PublishMode::Append
    }
}

/// A table that is filled in the place of a target until the last task publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Its name while tasks fill it: [`ShadowName`] of epoch 0.
    pub name: TableName,
    /// Its UUID: the same table under any name.
    pub uuid: Uuid,
    /// The server's text of its definition.
    pub definition: String,
    /// Where the target stood when the plan was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// The newest block or change of a partition. A part beyond it was written later.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// `partition_id`.
    #[serde(rename = "p")]
    pub partition: String,
    /// Highest block number or data version.
    #[serde(rename = "b")]
    pub block: i64,
}

/// One target and the shadow that takes its place: a line of the last task's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handover {
    /// Exchange or replace.
    pub mode: PublishMode,
    /// The table that readers know.
    pub target: TableName,
    /// The target's UUID before.
    pub target_uuid: Uuid,
    /// Number of the table in the graph: part of the shadow's name.
    pub position: usize,
    /// Database of the shadow.
    pub database: String,
    /// The shadow's UUID.
    pub shadow_uuid: Uuid,
    /// Rows in the shadow.
    pub rows: u64,
    /// Partitions of the shadow, and where the target's stood when the manifest was taken.
    pub partitions: Vec<HandoverPartition>,
}

/// A partition of a shadow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HandoverPartition {
    /// `partition_id`.
    #[serde(rename = "p")]
    pub id: String,
    /// Highest block of the same partition in the target; none when it had no rows.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub block: Option<i64>,
}

/// Characters of a target's name that a shadow's name shows to people.
const LABEL_CHARS: usize = 40;

/// The name of a shadow: `<target>_shadow_<job>_<number>_e<epoch>`.
///
/// The epoch is that of the task that publishes. A take-over renames the shadow first, so that a
/// late statement of an older epoch names a table that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowName {
    /// The job.
    pub job: JobId,
    /// Number of the table in the graph.
    pub position: usize,
    /// Epoch of the last task; 0 before it publishes.
    pub epoch: Epoch,
}

impl ShadowName {
    /// What the shadow's name begins with in every epoch.
    pub fn stem(job: &JobId, position: usize, target: &str) -> String {
        let label: String = target
            .chars()
            .filter(|symbol| symbol.is_ascii_alphanumeric() || *symbol == '_')
            .take(LABEL_CHARS)
            .collect();
        format!("{label}_shadow_{job}_{position}_e")
    }

    /// The whole name.
    pub fn full(job: &JobId, position: usize, target: &str, epoch: Epoch) -> String {
        format!("{}{epoch}", Self::stem(job, position, target))
    }

    /// From a table's name; none when it is no shadow's.
    pub fn parse(name: &str) -> Option<Self> {
        let (rest, epoch) = name.rsplit_once("_e")?;
        let (rest, position) = rest.rsplit_once('_')?;
        let (rest, job) = rest.rsplit_once('_')?;
        rest.strip_suffix("_shadow").or_else(|| (rest == "shadow").then_some(""))?;
        let number = |text: &str| {
            (!text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())).then_some(())
        };
        number(epoch).and(number(position))?;
        Some(Self {
            job: job.parse().ok()?,
            position: position.parse().ok()?,
            epoch: Epoch(epoch.parse().ok()?),
        })
    }
}

/// The name under which an exchange keeps the old table.
pub fn kept_name(target: &TableName, job: &JobId) -> TableName {
    TableName { database: target.database.clone(), table: format!("{}_before_{job}", target.table) }
}

impl Handover {
    /// What a proof of it says; the rest is that of `base`.
    pub fn receipt(&self, base: &super::Receipt) -> super::Receipt {
        super::Receipt {
            target: self.target.to_string(),
            rows_staged: self.rows,
            partitions: self.partitions.iter().map(|partition| partition.id.clone()).collect(),
            ..base.clone()
        }
    }

    /// The shadow's name in an epoch.
    pub fn shadow(&self, job: &JobId, epoch: Epoch) -> TableName {
        TableName {
            database: self.database.clone(),
            table: ShadowName::full(job, self.position, &self.target.table, epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_is_known_by_its_name() {
        let job: JobId = "0123456789abcdef".parse().unwrap();
        let name = ShadowName::full(&job, 2, "tägl_ich", Epoch(7));
        assert_eq!(name, "tgl_ich_shadow_0123456789abcdef_2_e7");
        assert_eq!(
            ShadowName::parse(&name),
            Some(ShadowName { job, position: 2, epoch: Epoch(7) })
        );
        for foreign in [
            "events",
            "events_shadow",
            "a_shadow_0123456789abcdef_2",
            "a_shadow_0123456789abcde_2_e1",
            "a_shadow_0123456789abcdef_2_ex",
            "a_shadow_0123456789abcdef_2_e+1",
            "a_before_0123456789abcdef",
            "0123456789abcdef_0000001_e1_0_t",
        ] {
            assert_eq!(ShadowName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn plans_that_append_do_not_mention_how() {
        assert!(Publish::default().is_append());
        let names = PublishMode::ALL.map(PublishMode::as_str);
        let written = PublishMode::ALL.map(|mode| serde_json::to_value(mode).unwrap());
        assert_eq!(names.map(serde_json::Value::from), written);
    }

    #[test]
    fn plans_of_an_earlier_version_keep_other_partitions_and_their_ids() {
        let old = r#"{"mode":"replace","late_rows":"refuse"}"#;
        let read: Publish = serde_json::from_str(old).unwrap();
        assert_eq!(read.other_partitions, OtherPartitions::Keep);
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
