//! What a plan command asks for, made of its arguments and settings: nobody was asked yet.
//!
//! A plan is made in three stages. A command turns its arguments into a [`PlanInput`];
//! [`super::build`] asks servers and stores, and makes a [`super::draft::Draft`]; [`super::write`]
//! writes it down. Only the last stage leaves anything behind.

use std::collections::BTreeMap;

use longshore_shared::source::SourceKeys;
use longshore_shared::task::{
    Limits, Mode, PlanOptions, Publish, ReplicasWait, SourceFunction, TableName,
};

use super::servers::endpoints::EndpointArgs;
use super::tables::feed::FeedOptions;
use super::tables::remote::RemoteArgs;
use super::target::columns::ColumnChoice;
use super::window::args::WindowFlags;

/// What is to be planned.
pub(crate) enum PlanInput {
    Files(FilesInput),
    /// A table into another.
    Copy(CopyInput),
    /// Views again.
    Replay(ReplayInput),
}

/// What every plan has, whatever is read.
pub(crate) struct JobInput {
    /// How rows get into the target.
    pub(crate) mode: Mode,
    /// How they become visible.
    pub(crate) publish: Publish,
    /// Refreshable views that are left as they are.
    pub(crate) ignored: Vec<TableName>,
    /// Settings of every load.
    pub(crate) settings: BTreeMap<String, String>,
    /// Bounds of the job.
    pub(crate) limits: Limits,
    /// Is everything synced before a receipt?
    pub(crate) durable: bool,
    /// On how many replicas every row must be before the job is completed.
    pub(crate) replicas_wait: ReplicasWait,
    /// How chunks were made, for people; and what makes another plan of the same rows.
    pub(crate) made: PlanOptions,
}

pub(crate) struct FilesInput {
    pub(crate) job: JobInput,
    pub(crate) target: TableName,
    /// Pattern, or one address a line.
    pub(crate) addresses: Vec<String>,
    /// They are taken literally.
    pub(crate) is_literal: bool,
    pub(crate) function: Option<SourceFunction>,
    pub(crate) named_collection: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) keys: SourceKeys,
    /// By their ending, if nothing is said.
    pub(crate) format: Option<String>,
    pub(crate) choice: ColumnChoice,
    /// Files whose schemas are read.
    pub(crate) schemas_max: usize,
    pub(crate) endpoints: EndpointArgs,
    /// Budget of a chunk; without it, by the bytes of all files.
    pub(crate) chunk_bytes: Option<u64>,
    pub(crate) chunk_files_max: u32,
}

/// A table into another.
pub(crate) struct CopyInput {
    pub(crate) job: JobInput,
    pub(crate) from: TableName,
    pub(crate) target: TableName,
    /// The job since whose snapshot rows are read.
    pub(crate) delta: Option<String>,
    pub(crate) remote: RemoteArgs,
    /// The target is read by the same job.
    pub(crate) is_in_place: bool,
    pub(crate) choice: ColumnChoice,
    pub(crate) cut: FeedOptions,
    pub(crate) window: WindowFlags,
}

/// The targets of views again.
pub(crate) struct ReplayInput {
    pub(crate) job: JobInput,
    pub(crate) views: Vec<TableName>,
    /// Only what is written to this table.
    pub(crate) target: Option<TableName>,
    pub(crate) cascade: bool,
    /// Each chunk is to a view what an inserted block is.
    pub(crate) as_blocks: bool,
    pub(crate) cut: FeedOptions,
    pub(crate) window: WindowFlags,
}
