//! From a source to chunks: list once, decide the columns, pack, rehearse, write.

mod columns;
mod objects;
mod pack;
mod publish;
mod rehearse;
mod replay;

pub(crate) use columns::{ColumnChoice, check_syntax, decide, decide_table};
pub(crate) use objects::{ListingRequest, list};
pub(crate) use pack::{PackLimits, pack};
pub(crate) use publish::publish;
pub(crate) use rehearse::rehearse;
pub(crate) use replay::{feed, notes};
