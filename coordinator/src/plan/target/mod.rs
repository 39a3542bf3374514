//! What a plan fills: target and views, the columns of the load, shadows, and a staging set on trial.

pub(crate) mod columns;
pub(crate) mod expiry;
pub(crate) mod filled;
pub(crate) mod outputs;
pub(crate) mod rehearse;
pub(crate) mod replicas;
pub(crate) mod shadow;
pub(crate) mod zero_copy;
