//! What makes a plan, apart from where it is written.

use longshore_shared::store::TaskStore;
use longshore_shared::task::{Chunk, Job, JobId, JobSpec, Mark, TaskId};

use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Version of the layout. A newer one is refused, never guessed at.
pub(crate) const VERSION: u64 = 1;
/// Chunks read at once.
const PAGE: u32 = 5_000;

/// What makes a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlanFile {
    pub(crate) id: JobId,
    /// Without shadows: they are made again.
    pub(crate) spec: JobSpec,
    /// Where the targets stood, for plans that publish at their end.
    pub(crate) marks: Vec<Vec<Mark>>,
    /// What its tasks load, in their order.
    pub(crate) chunks: Vec<Chunk>,
}

impl PlanFile {
    /// A plan of the control tables.
    pub(crate) async fn of(session: &Session, job: &Job) -> Result<Self, Error> {
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < job.chunks() {
            let end = first.saturating_add(PAGE).min(job.chunks());
            let ids: Vec<TaskId> =
                (first..end).map(|ordinal| TaskId { job: job.id.clone(), ordinal }).collect();
            let page = session.store.chunks(&ids).await?;
            if page.len() != ids.len() {
                let message =
                    format!("{} of the tasks of {} are gone", ids.len() - page.len(), job.id);
                return Err(Report::new(Kind::Conflict, message).into());
            }
            let decoded = page.iter().map(|(_, bytes)| Chunk::decode(bytes));
            chunks.extend(decoded.collect::<Result<Vec<_>, _>>()?);
            first = end;
        }
        Ok(Self::from_parts(job.id.clone(), job.spec.clone(), chunks))
    }

    /// Leaves out of a spec what is made again.
    pub(crate) fn from_parts(id: JobId, mut spec: JobSpec, chunks: Vec<Chunk>) -> Self {
        let shadows = spec.graph.tables.iter_mut().filter_map(|table| table.shadow.take());
        let marks = shadows.map(|shadow| shadow.marks).collect();
        // The digest is of the tasks as they are written; a wish and a limit are of a job that lives.
        spec.made.digest.clear();
        spec.reopening = None;
        spec.loads_max = None;
        spec.audit_failed = None;
        Self { id, spec, marks, chunks }
    }

    /// Is it the same plan, wherever it is and however it was made?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let essence = |file: &Self| {
            let mut spec = file.spec.clone();
            spec.made = longshore_shared::task::PlanOptions::default();
            spec.environment.clear();
            if !spec.is_sharded() {
                spec.servers.clear();
            }
            // An exchange gives the target another UUID; another environment has others anyway.
            spec.graph.tables.iter_mut().for_each(|table| table.uuid = None);
            spec
        };
        self.id == other.id && self.chunks == other.chunks && essence(self) == essence(other)
    }

    /// Files of all chunks.
    pub(crate) fn files(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.files().len() as u64).sum()
    }

    /// Bytes of all chunks.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(Chunk::bytes).sum()
    }
}
