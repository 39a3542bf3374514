//! What the model knows: the rows in Keeper, the tables on the server, and where each worker stands.
//!
//! The row of a task is the real [`Progress`]. Tables are reduced to what the protocol can see of
//! them: a name (its epoch), an identity (the epoch that made it), and one part a partition.

use std::sync::Arc;

use longshore_shared::task::Progress;

/// Partitions of each task's chunk; a set of them is a mask.
pub(crate) const PARTITIONS: u8 = 2;
/// All partitions.
pub(crate) const ALL: u8 = (1 << PARTITIONS) - 1;

/// A task row: what `swap_task` compares and writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) progress: Arc<Progress>,
    pub(crate) stamp: Mark,
}

/// Mark of a write. Real stamps are random; these are unique by who wrote, in which life and epoch,
/// and to what end, so that runs which differ only in history fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) worker: u8,
    pub(crate) life: u8,
    pub(crate) from_epoch: u8,
    pub(crate) event: u8,
    /// Losses left: an attempt whose answer was lost is another than the next one.
    pub(crate) nonce: u8,
}

/// A staging table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Table {
    /// Epoch in its name.
    pub(crate) name: u8,
    /// Epoch that made it: its identity, and that of the parts in it.
    pub(crate) made: u8,
    /// Partitions that have a part here.
    pub(crate) parts: u8,
    /// `query_log` says that its load finished.
    pub(crate) loaded: bool,
}

/// A part in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Published {
    pub(crate) made: u8,
    pub(crate) partition: u8,
    /// How often its rows are there.
    pub(crate) copies: u8,
    /// `system.parts` still lists its identity.
    pub(crate) listed: bool,
}

/// Everything the server holds of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) tables: Vec<Table>,
    pub(crate) target: Vec<Published>,
    /// A receipt was written.
    pub(crate) receipt: bool,
    /// The manifest is older than the target lists merged parts.
    pub(crate) old: bool,
    /// Below this epoch nothing may change anything any more.
    pub(crate) fenced: u8,
}

/// A statement on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) task: u8,
    /// Epoch of the claim that sent it.
    pub(crate) epoch: u8,
    pub(crate) what: What,
}

/// The statements that change something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// `sql/swap_task.sql`
    Swap { was: Row, next: Row },
    /// `create_statements`
    Create,
    /// The INSERT … SELECT of `load::load_chunk`.
    Insert,
    /// `sql/move_partition.sql`
    Move { name: u8, partition: u8 },
    /// `sql/drop_part.sql`
    DropPart { name: u8, partition: u8 },
    /// `sql/rename_table.sql`, from the name of this epoch to that of the request.
    Rename { from: u8 },
    /// `sql/drop_table.sql`
    DropTable { name: u8 },
}

/// A statement inside the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    pub(crate) task: u8,
    pub(crate) epoch: u8,
    /// Identity of the table it has opened.
    pub(crate) made: u8,
    /// The partition of a MOVE; none for an INSERT.
    pub(crate) moves: Option<u8>,
    /// The worker that waits for its answer.
    pub(crate) waiter: Option<u8>,
}

/// Where a worker stands. The names are those of the functions in `worker/src`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// `run::slot`: looks for work.
    Idle,
    /// A request was sent and neither arrived nor failed yet.
    Sent(Request),
    /// The statement runs in the server, and the worker waits.
    Waits(Request),
    /// `settle_swap`: reads the row back; `heard` when the server answered OK.
    ReadBack { request: Request, heard: bool },
    /// `fence::rename_set`: lists the staging tables.
    RenameSet,
    /// `fence::stop_older`.
    StopOlder,
    /// `staging::drop_older`.
    DropOlder,
    /// `staging::create`.
    Create,
    /// `load::load_chunk`.
    Load,
    /// `fate::settle` of the load.
    SettleLoad,
    /// `verify::make_manifest`.
    Manifest,
    /// `publish::publish`: lists the staging tables.
    Publish,
    /// `publish::move_table`: lists the staged parts.
    Parts,
    /// `proof::find`: which of these are in the target?
    Find { staged: u8 },
    /// `publish::drop_published`, these are left.
    DropPublished { left: u8 },
    /// `publish::move_partition`, these are left.
    Move { left: u8 },
    /// A MOVE was not answered. Has the server a trace of it? (Only a bug asks.)
    SettleMove { traced: bool },
    /// `receipt::of`.
    Receipt,
    /// `fence::kill_own`, then the task is given back or up.
    KillOwn { hand_back: bool },
    /// `staging::drop_set`.
    DropSet,
    /// `run::finish_work` ends.
    Over(Why),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// Done, given back or given up.
    Settled,
    /// A compare-and-set was lost to somebody else: `AttemptError::NotOurs`.
    Refused,
    /// Left as it is: the outcome was not known.
    Abandoned,
    /// Quarantined.
    Quarantined,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    /// One more at each new life: another `WorkerId`.
    pub(crate) life: u8,
    /// Its lease has lapsed by the server's clock, so by its own clock too.
    pub(crate) lapsed: bool,
    pub(crate) claim: Option<Claim>,
    pub(crate) step: Step,
    /// Partitions left to move after the request that was sent.
    pub(crate) left: u8,
}

/// `claim::Claim`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) task: u8,
    pub(crate) row: Row,
    pub(crate) loaded_here: bool,
    /// `move_table` has sent a MOVE since it last listed the tables.
    pub(crate) moved_here: bool,
}

/// A rule that a step has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// An epoch fell, or rose by more than one.
    Epoch,
    /// A publishing task went backward.
    Backward,
    /// An epoch that was fenced off changed something.
    Fenced,
    /// The staging of a publishing task was dropped before all of it was in the target.
    Dropped,
    /// A second load into one table.
    LoadedTwice,
    /// A receipt for rows that are not in the target.
    FalseReceipt,
}

/// What may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Faults of any kind.
    pub(crate) faults: u8,
    /// Workers that die.
    pub(crate) crashes: u8,
    /// Workers that sleep past their lease.
    pub(crate) sleeps: u8,
    /// Requests or answers that are lost or late.
    pub(crate) losses: u8,
    /// Deaths of the server.
    pub(crate) server_crashes: u8,
    /// Manifests that grow older than the evidence.
    pub(crate) olds: u8,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) rows: Vec<Row>,
    pub(crate) stores: Vec<Store>,
    pub(crate) workers: Vec<Worker>,
    /// Requests that nobody waits for and that may still arrive.
    pub(crate) late: Vec<Request>,
    pub(crate) running: Vec<Running>,
    /// The job was paused for a person.
    pub(crate) paused: bool,
    pub(crate) broken: Option<Broken>,
    pub(crate) budget: Budget,
}
