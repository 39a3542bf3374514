//! What a worker waits for, and what people are told meanwhile.

pub(crate) mod hindrance;
pub(crate) mod outage;
pub(crate) mod replicas;
