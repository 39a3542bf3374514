//! What the coordinator and the worker of Longshore must agree on.
//!
//! The dependency goes one way: `coordinator` and `worker` know this crate, never each other, and
//! this crate knows neither. It reads no environment, no file and no terminal by itself: `config` does
//! so when a program asks.

pub mod clickhouse;
pub mod config;
pub mod redact;
pub mod schema;
pub mod sql;
pub mod store;
pub mod task;
pub mod telemetry;
