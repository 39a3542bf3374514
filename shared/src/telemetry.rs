//! Opens the log: messages on standard error, as lines for people or as JSON for machines.
//!
//! Standard output belongs to results alone. Every message passes through [`crate::redact`].

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};

use crate::config::{Config, ConfigError, LogFormat};

/// The crates that a plain level is meant for.
const OWN_CRATES: [&str; 3] = ["longshore", "longshore_shared", "longshore_worker"];

/// Starts the log of this process; `default_level` holds where no setting says otherwise.
///
/// What the configuration passed over is said first.
///
/// # Errors
/// A level or filter that cannot be read.
pub fn init(config: &Config, default_level: &str) -> Result<(), ConfigError> {
    let text = config.log.level.as_deref().unwrap_or(default_level);
    let wrong = |reason: &str| ConfigError::Value {
        key: "log.level".to_owned(),
        origin: config.origin("log.level").to_owned(),
        message: format!("`{text}` is no level or filter: {reason}"),
        help: Some("write error, warn, info, debug or trace".to_owned()),
    };
    // Alone, a word that is no level would be taken for the name of a module.
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word && text.parse::<LevelFilter>().is_err() {
        return Err(wrong("not a level"));
    }
    let filter =
        EnvFilter::builder().parse(directives(text)).map_err(|error| wrong(&error.to_string()))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Scrubbed)
        .with_ansi(colour);
    // A second call in one process (tests) keeps the first log.
    let _ = match config.log.format {
        LogFormat::Text => log.with_target(false).fmt_fields(Fields::default()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Standard error without secrets: whatever a library below says at `trace`, no secret is in it.
struct Scrubbed;

impl std::io::Write for Scrubbed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // One event comes as one piece.
        let text = crate::redact::scrub(&String::from_utf8_lossy(bytes));
        std::io::stderr().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// The usual form of fields. A library that records its own fields on whatever span it finds (they
/// are none of ours, so nothing is shown) would leave a blank behind each time.
#[derive(Default)]
struct Fields(DefaultFields);

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        if fields.is_empty() {
            return Ok(());
        }
        if !current.fields.is_empty() {
            current.fields.push(' ');
        }
        self.0.format_fields(current.as_writer(), fields)
    }
}

/// A plain level is meant for Longshore: the libraries below it say too much at `debug`.
fn directives(text: &str) -> String {
    let Ok(level) = text.parse::<LevelFilter>() else {
        return text.to_owned();
    };
    let mut directives = level.min(LevelFilter::WARN).to_string();
    for name in OWN_CRATES {
        directives = format!("{directives},{name}={level}");
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_level_is_meant_for_our_own_crates() {
        assert_eq!(
            directives("debug"),
            "warn,longshore=debug,longshore_shared=debug,longshore_worker=debug"
        );
        assert!(directives("error").starts_with("error,"));
        assert_eq!(directives("warn,hyper=trace"), "warn,hyper=trace");
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_setting_that_gave_it() {
        let said = |level: &str| {
            let args = crate::config::CommonArgs {
                config: Some("/dev/null".into()),
                log: crate::config::LogArgs { log_level: Some(level.into()), ..Default::default() },
                ..Default::default()
            };
            let config = args.load().expect("a level is only read when the log starts");
            init(&config, "warn").expect_err("no such level").to_string()
        };
        assert!(said("loud=very").starts_with("log.level (from --log-level): `loud=very`"));
        assert!(said("loud").ends_with("not a level"));
    }
}
