//! Flags of a time window.

use std::time::Duration;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::task::{Publish, TableName};

use super::request::WindowRequest;
use crate::ui::error::{Error, Kind, Report};

/// Where `--help` shows them.
pub(crate) const WINDOW_HEADING: &str = "A time window";

/// How a time window is found and cut. The flags for its ends are the command's own.
#[derive(Debug, Args)]
#[command(next_help_heading = "A time window")]
pub(crate) struct WindowArgs {
    /// Time column [default: of the configuration, of the sorting key, or by its name]
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Length of a chunk in hours [default: as long as --chunk-bytes allows]
    #[arg(long, value_name = "HOURS", value_parser = parse_hours)]
    chunk_hours: Option<Duration>,
    /// Longest window in hours that need not be forced [default: 720]
    #[arg(long, value_name = "HOURS", value_parser = parse_hours)]
    max_window: Option<Duration>,
    /// Shortest chunk in minutes [default: 15]
    #[arg(long, value_name = "MINUTES", value_parser = parse_minutes)]
    min_chunk: Option<Duration>,
    /// Allow a window longer than --max-window
    #[arg(long)]
    force_large_window: bool,
}

/// All that a command was told of a time window.
#[derive(Debug)]
pub(crate) struct WindowFlags {
    /// How it is found and cut.
    pub(crate) args: WindowArgs,
    /// Its first moment.
    pub(crate) since: Option<String>,
    /// The first moment after it.
    pub(crate) until: Option<String>,
}

impl WindowFlags {
    /// What the user asks for; nothing without a window. The first table that is read says how
    /// long chunks are, and each table may ask for a window.
    pub(crate) fn request(
        &self,
        config: &Config,
        read: &[&TableName],
        into: &TableName,
    ) -> Result<Option<WindowRequest>, Error> {
        let Self { args, since, until } = self;
        let limits = config.rules(read.first().copied().unwrap_or(into));
        let has_end = since.is_some() || until.is_some();
        let has_cut = args.chunk_hours.is_some() || args.time_column.is_some();
        let mut tables = read.iter().copied().chain([into]);
        if let Some(table) = tables.find(|table| !has_end && config.rules(table).require_window) {
            let message = format!("policy.require_window asks for a time window of {table}");
            return Err(Report::new(Kind::Usage, message).help("give --since and --until").into());
        }
        if !has_end && !has_cut {
            return Ok(None);
        }
        let min_chunk = args.min_chunk.unwrap_or(limits.min_chunk);
        let chunk = args.chunk_hours.or(limits.chunk);
        if let Some(chunk) = chunk.filter(|chunk| *chunk < min_chunk) {
            let length = humantime::format_duration;
            let message = format!(
                "chunks of {} are shorter than the shortest allowed, {}",
                length(chunk),
                length(min_chunk)
            );
            return Err(Report::new(Kind::Usage, message)
                .help("a longer --chunk-hours, or a shorter --min-chunk")
                .into());
        }
        Ok(Some(WindowRequest {
            since: since.clone(),
            until: until.clone(),
            column: args.time_column.clone(),
            chunk,
            max: (!args.force_large_window).then(|| args.max_window.unwrap_or(limits.max)),
            min_chunk,
        }))
    }
}

/// What becomes of rows of the target that are outside of the window.
pub(crate) fn outside_note(publish: Publish) -> Option<String> {
    (!publish.is_append()).then(|| {
        "only the rows of the time window are loaded, and all others of what is replaced go: of the \
         whole table with --publish exchange, of its partitions with replace"
            .to_owned()
    })
}

fn parse_hours(text: &str) -> Result<Duration, String> {
    parse(text, 3_600.0).ok_or_else(|| "a number of hours, as 6 or 0.5".to_owned())
}

fn parse_minutes(text: &str) -> Result<Duration, String> {
    parse(text, 60.0).ok_or_else(|| "a number of minutes, at least 1 second".to_owned())
}

/// Whole seconds, at least one.
fn parse(text: &str, unit_secs: f64) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    let length = Duration::try_from_secs_f64(number * unit_secs).ok()?;
    (length.as_secs() > 0).then(|| Duration::from_secs(length.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_whole_seconds() {
        assert_eq!(parse_hours("0.5"), Ok(Duration::from_mins(30)));
        assert_eq!(parse_minutes("15"), Ok(Duration::from_mins(15)));
        for wrong in ["", "0", "-1", "x", "1e99", "NaN"] {
            assert!(parse_hours(wrong).is_err(), "{wrong}");
        }
    }
}
