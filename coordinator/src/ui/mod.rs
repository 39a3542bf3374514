//! What a person or a script sees: results, errors with what to do about them, and the words for numbers and times.

pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod output;
pub(crate) mod report;
pub(crate) mod text;
