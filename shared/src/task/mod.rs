//! The nouns of the protocol: jobs, tasks, epochs, and the names derived from them.
//!
//! Begin with `state`, the life of a task, and `job`, the life of a job: each has one pure function that allows
//! a change, and no store and no program changes a row in another way. Then `spec`, what a plan says.
//!
//! Nothing here asks a server. What is stored keeps its spelling: a field that gets another name keeps the old
//! one for serde, and a record carries the lowest version of the format that understands it ([`FORMAT`]).

mod chunk;
mod cursor;
mod graph;
mod ids;
mod job;
mod lock;
mod manifest;
mod outputs;
mod parse;
mod place;
mod publish;
mod receipt;
mod reopening;
mod replicas_wait;
mod servers;
mod slice;
mod spec;
mod state;
mod state_name;
mod tables;
mod vouched;

pub use chunk::{Chunk, SourceFile};
pub use cursor::{Cursor, Segment, Tally};
pub use graph::{Column, Graph, GraphTable, GraphView, UnknownUuid, is_replicated_engine};
pub use ids::{Epoch, IdError, JobId, QueryId, Stamp, TableName, TaskId, WorkerId};
pub use job::{IllegalJobEvent, Job, JobEvent, JobState};
pub use lock::Lock;
pub use manifest::{Line, Manifest, Part, StagedTable};
pub use outputs::{Cast, Output, select_list};
pub use place::Place;
pub use publish::{
    Handover, HandoverPartition, LateRows, Mark, OtherPartitions, Publish, PublishMode, Shadow,
    ShadowName, kept_name,
};
pub use receipt::Receipt;
pub(crate) use receipt::uuid_list;
pub use reopening::{Ordinals, Reopening};
pub use replicas_wait::ReplicasWait;
pub use servers::{JobServer, ShardBy, ShardColumn};
pub use slice::{KeyColumn, PartRange, Piece, RowBounds, Slice};
pub use spec::{
    FilesSource, JobSpec, Limits, Load, Mode, PlanOptions, Source, SourceFunction, Unseen, Waived,
};
pub use state::{IllegalTransition, Owner, Progress, Task, TaskEvent, TaskState};
pub use state_name::StateName;
pub use tables::{
    BudgetUnit, Feed, FeedView, Known, Remote, RemoteFunction, Span, TablesSource, Window,
};

/// Newest version of the records in the control tables that this program knows. A newer one is
/// refused, never guessed at. A record carries the lowest version that understands it, so that an
/// older program goes on with everything it knows.
pub const FORMAT: u8 = 6;
/// The version that first knew durable jobs, and what the closing audit looks for since.
pub const FORMAT_AUDITED: u8 = 5;
/// The version that first knew recorded changes of jobs, and manifests of which only a part is known.
pub const FORMAT_RECORDED: u8 = 4;
/// The version that first knew jobs that convert values while they read.
pub const FORMAT_CONVERTS: u8 = 3;
/// The version that first knew sharded jobs, and the states of jobs over days.
pub const FORMAT_OPERATED: u8 = 2;
/// The version of every record that needs nothing new.
pub const FORMAT_FIRST: u8 = 1;
