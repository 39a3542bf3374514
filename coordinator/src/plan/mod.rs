//! From a source to chunks: list once, decide the columns, pack, rehearse, write.

pub(crate) mod adopt;
mod aggregation;
mod arrivals;
mod clones;
mod columns;
mod cut;
mod deal;
mod delta;
mod endpoints;
mod errors;
mod expiry;
mod feeds;
pub(crate) mod files;
mod objects;
mod outputs;
mod pack;
mod publish;
mod rehearse;
mod remote;
mod replay;
mod replay_detours;
mod replay_notes;
pub(crate) mod rights;
mod shadow;
mod shard;
mod snapshot;
mod sources;
mod target;
mod unfinished;
mod window;
mod window_request;
mod window_time;

pub(crate) use adopt::source_words;
pub(crate) use columns::{ColumnChoice, check_syntax, decide_table};
pub(crate) use deal::{deal, divide};
pub(crate) use delta::{Since, plan_delta};
pub(crate) use endpoints::EndpointArgs;
pub(crate) use expiry::{expired_note, expiry_notes};
pub(crate) use feeds::{FeedOptions, Origin, PARTITIONS_MAX, Snapshot, cut_tables, plan_tables};
pub(crate) use objects::{ListingRequest, list};
pub(crate) use pack::{FILL_MIN as CHUNK_FILL_MIN, PackLimits, pack};
pub(crate) use publish::publish;
pub(crate) use rehearse::rehearse;
pub(crate) use remote::{RemoteArgs, Source as PlanSource};
pub(crate) use replay::Replay;
pub(crate) use replay_notes::{notes, rows_of};
pub(crate) use shadow::{
    Marks, PublishArgs, in_place_note, parse_publish, rehearse as rehearse_shadows,
};
pub(crate) use shard::{Loaded, shard_by};
pub(crate) use sources::refuse_source;
pub(crate) use target::{guarantee, target};
pub(crate) use unfinished::refuse_unfinished;
pub(crate) use window::Windowed;
pub(crate) use window_request::WindowRequest;
