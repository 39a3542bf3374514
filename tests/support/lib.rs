//! What the end-to-end tests stand on: a bed of real servers, a scene of its own for every test,
//! source files whose rows say where they belong, and a checker that trusts nobody's word.
//!
//! Tests are plain functions: nextest gives each a process, a [`Scene`] gives each its databases
//! and keys, so all of them can run side by side on one bed.

mod bed;
mod carry;
mod check;
mod control;
mod destroy;
mod files;
mod http;
mod leftovers;
mod midway;
mod object;
mod own_bed;
mod peer;
mod power;
mod program;
mod proxy;
mod replica;
mod scene;
mod sql;
mod swaps;
mod sweep;
mod syscalls;
mod tables;
mod tls;
mod toxics;
mod tracer;
mod two_servers;
mod wait;
mod web;
mod wire;

pub use bed::Bed;
pub use check::{Audit, Digest};
pub use control::{TaskRow, Tasks};
pub use destroy::{PartFolders, cut_part};
pub use files::{DataFile, Format, rows_sql};
pub use midway::Midway;
pub use own_bed::{CLICKHOUSE, KEEPER, KEEPERS, OwnBed, Recording, S3, SECOND, send_signal};
pub use peer::Peer;
pub use power::{Journal, Taken};
pub use program::{Finished, Program, Running};
pub use proxy::{Proxy, Verdict};
pub use replica::Replica;
pub use scene::{EVENTS, LONG_LEASE, Scene};
pub use sql::{Admin, literal, name};
pub use sweep::{drawn, drawn_few, long_or};
pub use syscalls::{Call, Event};
pub use tables::SOURCE;
pub use tls::{Authority, TlsFront};
pub use toxics::{End, Flow, Toxics, http_answer};
pub use tracer::Tracer;
pub use two_servers::TwoServers;
pub use wait::{DEADLINE, wait_for, wait_for_seldom, within};
pub use web::{Web, WebFile};
pub use wire::Wire;
