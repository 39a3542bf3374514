//! The settings of both programs, from four layers: defaults < `longshore.toml` < environment < flags.
//!
//! Nothing is read before a program calls [`CommonArgs::load`]. A value that cannot be used names
//! its setting and where it came from; a key that nobody knows is refused. A password is read from
//! a file, a variable or a credential folder, never from a flag or an address, and every secret is
//! registered with [`crate::redact`] before it is handed out.

mod address;
mod args;
mod environment;
mod error;
mod keys;
mod layer;
mod layers;
mod load;
mod password;
mod rules;
mod settings;

use std::time::Duration;

pub use address::check as check_address;
pub use args::{CommonArgs, ConnectionArgs, LogArgs, WorkerArgs};
pub use environment::Environment;
pub use error::ConfigError;
pub use rules::{PolicyConfig, Rules, TableConfig, WindowConfig};
pub use settings::{Config, LogConfig, LogFormat};

/// The commented file with every setting and its default.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// The file that is read from the working folder when no other is named.
pub const FILE_NAME: &str = "longshore.toml";

/// A shorter lease would lapse between two heartbeats on a busy server.
const LEASE_MIN: Duration = Duration::from_secs(1);
const POLL_MIN: Duration = Duration::from_millis(50);
const SLOTS_MAX: u32 = 256;
/// Windows are counted in seconds.
const WINDOW_CHUNK_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
