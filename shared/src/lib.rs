//! What the coordinator and the worker of Longshore must agree on.
//!
//! The dependency goes one way: `coordinator` and `worker` know this crate, never each other, and
//! this crate knows neither. Only `config` and `telemetry` read the environment and files, when a
//! program asks them to.

pub mod clickhouse;
pub mod clock;
pub mod config;
pub mod faults;
mod hex;
pub mod ledger;
pub mod machine;
pub mod pack;
pub mod planted;
pub mod redact;
pub mod replicas;
pub mod schema;
pub mod source;
pub mod sql;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod types;
