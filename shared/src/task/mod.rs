//! The nouns of the protocol: jobs, tasks, epochs, and the names derived from them.

mod chunk;
mod cursor;
mod ids;
mod job;
mod manifest;
mod parse;
mod publish;
mod receipt;
mod slice;
mod spec;
mod state;
mod tables;

pub use chunk::{Chunk, SourceFile};
pub use cursor::{Cursor, Segment, Tally};
pub use ids::{Epoch, IdError, JobId, QueryId, Stamp, TableName, TaskId, WorkerId};
pub use job::{IllegalJobEvent, Job, JobEvent, JobState};
pub use manifest::{Line, Manifest, Part, StagedTable};
pub use publish::{
    Handover, HandoverPartition, LateRows, Mark, Publish, PublishMode, Shadow, ShadowName,
    kept_name,
};
pub use receipt::Receipt;
pub use slice::{KeyColumn, PartRange, Piece, RowBounds, Slice};
pub use spec::{FilesSource, JobSpec, Limits, Load, Made, Mode, Source, SourceFunction};
pub use state::{IllegalTransition, Owner, Progress, StateName, Task, TaskEvent, TaskState};
pub use tables::{
    BudgetUnit, Feed, FeedView, Known, Remote, RemoteFunction, Span, TablesSource, Window,
};

/// Version of the records in the control tables. A newer one is refused, never guessed at.
pub const FORMAT: u8 = 1;
