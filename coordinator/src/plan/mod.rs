//! From a source to chunks: list once, decide the columns, pack, rehearse, write.

#[allow(dead_code)]
mod aggregation;
mod columns;
// The commands that cut tables come next.
#[allow(dead_code)]
mod cut;
mod objects;
mod pack;
mod publish;
mod rehearse;
mod replay;
mod target;

pub(crate) use columns::{ColumnChoice, check_syntax, decide, decide_table};
pub(crate) use objects::{ListingRequest, list};
pub(crate) use pack::{PackLimits, pack};
pub(crate) use publish::publish;
pub(crate) use rehearse::rehearse;
pub(crate) use replay::{feed, notes};
pub(crate) use target::{guarantee, target};
