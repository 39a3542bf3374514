//! Opens the log: messages on standard error, as lines for people or as JSON for machines.
//!
//! Standard output belongs to results alone. Texts that come from a server pass through
//! [`crate::redact`] before they get here.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, LogFormat};

/// Starts the log of this process; `default_level` holds where no setting says otherwise.
///
/// What the configuration passed over is said first.
///
/// # Errors
/// A level or filter that cannot be read.
pub fn init(config: &Config, default_level: &str) -> Result<(), ConfigError> {
    let text = config.log.level.as_deref().unwrap_or(default_level);
    let filter = EnvFilter::builder()
        .parse(text)
        .map_err(|error| ConfigError::Value {
            key: "log.level",
            origin: config.origin("log.level").to_owned(),
            message: format!("`{text}` is no level: {error}"),
            help: Some("write error, warn, info, debug or trace".to_owned()),
        })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    // A second call in one process (tests) keeps the first log.
    let _ = match config.log.format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
