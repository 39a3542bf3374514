//! The handle on one ClickHouse server: every statement of Longshore goes through [`Server`].
//!
//! Owns the HTTP connection pool (with every automatic retry switched off), the settings that
//! each statement carries, and the way an answer becomes a result or a [`Failure`].

mod call;
mod codes;
mod connect;
mod failure;
mod fate;
mod known;
mod policy;
mod readable;
mod retry;
mod tls;
mod words;

pub use call::{Call, Summary};
pub use codes::Code;
pub(crate) use connect::authorities;
pub use connect::{Connection, Server, ServerFacts};
pub use failure::{Failure, Kind, NOT_UTF8, readable, uuid_text};
pub use fate::{Ending, settle, settled};
pub use known::Known;
pub use policy::{Policy, policy};
pub use retry::{CONTROL_ATTEMPTS, control_schedule, retry_idempotent, task_delay};
pub use words::{refuses_keys, says_gone, says_odd_address, says_unconnected};
