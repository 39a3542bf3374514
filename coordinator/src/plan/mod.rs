//! From a source to chunks: list once, decide the columns, pack, rehearse, write.

mod columns;
// The commands that cut tables come next.
#[allow(dead_code)]
mod cut;
mod objects;
mod pack;
mod publish;
mod rehearse;
#[allow(dead_code)]
mod snapshot;

pub(crate) use columns::{ColumnChoice, check_syntax, decide, decide_table};
pub(crate) use objects::{ListingRequest, list};
pub(crate) use pack::{PackLimits, pack};
pub(crate) use publish::publish;
pub(crate) use rehearse::rehearse;
