//! Whose a table is that may be left over, and why nobody needs it.

use std::collections::HashMap;

use clickhouse::Row;
use longshore_shared::planted::{Bug, planted};
use longshore_shared::store::{Stored, TaskStore};
use longshore_shared::task::{Epoch, Job, JobId, ShadowName, TaskId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::session::Session;

/// Marks of a rehearsal's staging set: `rehearsal_<12 hex digits>_…`.
const REHEARSAL: &str = "rehearsal_";

const MARK_CHARS: usize = 12;

/// A table or view in the staging database.
#[derive(Debug, Clone, Deserialize, Row)]
pub(crate) struct Staged {
    pub(crate) name: String,
    pub(crate) engine: String,
    pub(crate) age_secs: u64,
}

/// Whose a staging table is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A task's attempt.
    Task(TaskId, Epoch),
    /// A job reads it instead of its source.
    Snapshot(JobId),
    /// A plan that was being made.
    Rehearsal,
    /// A job that publishes at its end.
    Shadow(Shadow),
    /// Not ours: never touched.
    Foreign,
}

/// Tells the owner from the name.
pub(crate) fn owner(name: &str) -> Owner {
    if let Some((task, epoch)) = TaskId::of_staging(name) {
        return Owner::Task(task, epoch);
    }
    if let Some(job) = JobId::of_snapshot(name) {
        return Owner::Snapshot(job);
    }
    let mark = name.strip_prefix(REHEARSAL).and_then(|rest| rest.split_once('_'));
    let is_mark = mark.is_some_and(|(mark, _)| {
        mark.len() == MARK_CHARS && mark.bytes().all(|symbol| symbol.is_ascii_hexdigit())
    });
    if is_mark { Owner::Rehearsal } else { Owner::Foreign }
}

/// Why something is not needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// Its task has ended.
    Ended,
    /// Its task waits for its next attempt, which makes a set of its own.
    Over,
    /// The job has no such task.
    NoTask,
    /// No job of these control tables; it may be another installation's.
    UnknownJob,
    /// A plan that was being made, long ago.
    Rehearsal,
    /// The job that read or filled it is over.
    JobOver,
}

impl Why {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "its task has ended",
            Self::Over => "an attempt that is over",
            Self::NoTask => "the job has no such task",
            Self::UnknownJob => "no job of these control tables",
            Self::Rehearsal => "a plan that was given up",
            Self::JobOver => "its job is over",
        }
    }
}

/// A staging table or view clone that nobody needs.
#[derive(Debug, Clone)]
pub(crate) struct Leftover {
    pub(crate) database: String,
    pub(crate) staged: Staged,
    pub(crate) owner: Owner,
    pub(crate) why: Why,
}

impl Leftover {
    /// Is it left to a person? It stands under a shadow's name, no job is known that filled it, and
    /// it may hold the only copy of a user's rows.
    pub(crate) fn needs_a_person(&self) -> bool {
        let Owner::Shadow(shadow) = &self.owner else { return false };
        self.why == Why::UnknownJob && !shadow.is_empty()
    }

    /// Its name, with the database of a shadow: those may be anywhere.
    pub(crate) fn table(&self) -> String {
        match self.owner {
            Owner::Shadow(_) => format!("{}.{}", self.database, self.staged.name),
            _ => self.staged.name.clone(),
        }
    }
}

/// A table under a shadow's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shadow {
    pub(crate) name: ShadowName,
    pub(crate) uuid: Uuid,
    /// Rows in it; none when the engine does not tell.
    pub(crate) rows: Option<u64>,
}

impl Shadow {
    /// Does it belong to this job?
    pub(crate) fn is_of(&self, job: &JobId) -> bool {
        self.name.job == *job
    }

    /// Is it empty for certain? Of an unknown job only such a table may be dropped: after a Keeper
    /// loss between EXCHANGE and the renaming, the old table of a user has a shadow's name.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == Some(0) || planted(Bug::DropFullShadows)
    }

    /// Its rows, when they are known.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.rows
    }
}

pub(crate) async fn jobs(session: &Session) -> Stored<HashMap<JobId, Job>> {
    Ok(session.store.jobs().await?.into_iter().map(|job| (job.id.clone(), job)).collect())
}
