//! The third stage of a plan: writes the plan and its tasks, unless they are written already. The two stages
//! before it write nothing.
//!
//! What can be refused is refused before, with two exceptions. What only a snapshot of the source can tell:
//! [`tables`] and [`delta`] make the snapshot here, for it is a table that stays. Both refuse a source that
//! changes faster than it can be linked, `delta` parts that mix old rows with new ones, and `tables` a view that
//! cannot be rewritten to read the snapshot. And what needs the id of the plan: a shadow whose name is taken.

mod delta;
pub(crate) mod missing;
mod recut;
pub(crate) mod rows;
mod tables;
pub(crate) mod task_rows;

use longshore_shared::task::{Job, Source};

use self::delta::plan_delta;
use self::tables::{TablesPlan, plan_tables};
use super::draft::{Content, Draft};
use crate::session::Session;
use crate::ui::error::Error;

pub(crate) struct Written {
    pub(crate) job: Job,
    pub(crate) created: bool,
    /// Bytes of what is read, in the unit of the budget.
    pub(crate) bytes: u64,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// Writes the draft, or finds the plan that was written of the same before.
pub(crate) async fn write(session: &Session, draft: Draft) -> Result<Written, Error> {
    let Draft { base, content, marks, mut notes } = draft;
    let plan = match content {
        Content::Files { source, chunks } => {
            let spec = base.spec(Source::Files(*source));
            let (job, created) =
                Box::pin(rows::write_identified(session, spec, &chunks, marks)).await?;
            let bytes = job.bytes;
            return Ok(Written { job, created, bytes, notes });
        }
        Content::Tables { origins, cuts, options } => {
            Box::pin(plan_tables(session, &origins, cuts, &options, &base, &marks)).await?
        }
        Content::Delta { origin, options, since } => {
            Box::pin(plan_delta(session, &origin, &options, &since, &base, &marks)).await?
        }
    };
    let TablesPlan { job, created, bytes, notes: more } = plan;
    notes.extend(more);
    Ok(Written { job, created, bytes, notes })
}
