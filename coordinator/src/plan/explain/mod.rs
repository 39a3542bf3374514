//! A plan in words: what a chunk loads, why it has its borders, and the statement that loads it.

pub(crate) mod contents;
pub(crate) mod last_task;
pub(crate) mod reasons;
pub(crate) mod statement;
