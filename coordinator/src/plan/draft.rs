//! A plan that can be written: what [`super::build`] has found out.

use longshore_shared::schema::Graph;
use longshore_shared::task::{
    Chunk, FilesSource, JobServer, JobSpec, ShardBy, Source, TableName, TablesSource,
};

use super::cut::Cut;
use super::input::JobInput;
use super::tables::feed::{FeedOptions, Origin};
use super::tables::since::Since;
use super::target::columns::SourceSchema;
use super::target::shadow::Marks;

/// A plan before it is written.
pub(crate) struct Draft {
    /// Everything of the job's spec but its source.
    pub(crate) base: SpecBase,
    /// What is read, and how it is cut.
    pub(crate) content: Content,
    /// Where the targets stood before anything was read.
    pub(crate) marks: Marks,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// What is read.
pub(crate) enum Content {
    /// Files, packed into chunks.
    Files { source: Box<FilesSource>, chunks: Vec<Chunk> },
    /// Tables, cut as they are. On a snapshot they are cut once more.
    Tables { origins: Vec<Origin>, cuts: Vec<Cut>, options: FeedOptions },
    /// What a table got since an earlier plan.
    Delta { origin: Box<Origin>, options: FeedOptions, since: Since },
}

/// A job's spec without its source, which is known last.
pub(crate) struct SpecBase {
    /// What the user asked for.
    pub(crate) job: JobInput,
    /// The table to fill.
    pub(crate) target: TableName,
    /// It and what views make of it.
    pub(crate) graph: Graph,
    /// Columns and expressions.
    pub(crate) schema: SourceSchema,
    /// Only rows that meet this.
    pub(crate) filter: String,
    /// The environment it is bound to.
    pub(crate) environment: String,
    /// The servers that load.
    pub(crate) servers: Vec<JobServer>,
    /// Which of them has a row.
    pub(crate) shard_by: Option<ShardBy>,
}

impl SpecBase {
    /// The spec: the only place where a plan makes one.
    pub(crate) fn spec(&self, source: Source) -> JobSpec {
        let job = &self.job;
        JobSpec {
            source,
            mode: job.mode,
            target: self.target.clone(),
            columns: self.schema.columns.clone(),
            select: self.schema.select.clone(),
            outputs: self.schema.outputs.clone(),
            filter: self.filter.clone(),
            settings: job.settings.clone(),
            graph: self.graph.clone(),
            environment: self.environment.clone(),
            limits: job.limits.clone(),
            publish: job.publish,
            servers: self.servers.clone(),
            shard_by: self.shard_by.clone(),
            durable: job.durable,
            replicas_wait: job.replicas_wait,
            loads_max: None,
            audit_failed: None,
            made: job.made.clone(),
            reopening: None,
        }
    }

    /// The same of tables.
    pub(crate) fn of_tables(&self, source: TablesSource) -> JobSpec {
        self.spec(Source::Tables(source))
    }
}
