//! A plan of a time window: what the user asks for, the time column, and the cut by time.

pub(crate) mod args;
pub(crate) mod cut;
pub(crate) mod request;
mod time;
