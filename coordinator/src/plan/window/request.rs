//! From what a user says of a time window to ticks of a table's time column.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::config::Config;
use longshore_shared::task::TableName;
use serde::Deserialize;

use super::cut::Windowed;
use super::time::{TimeColumn, time_column};
use crate::ui::error::{Error, Kind, Report};

/// What a user says of a time window.
#[derive(Debug, Clone, Default)]
pub(crate) struct WindowRequest {
    /// First moment; none: the first in the table.
    pub(crate) since: Option<String>,
    /// First moment after it; none: after the last in the table.
    pub(crate) until: Option<String>,
    /// The time column; none: what the configuration or the table says.
    pub(crate) column: Option<String>,
    /// Length of a chunk; none: as the budget allows.
    pub(crate) chunk: Option<Duration>,
    /// Longest window; none: any.
    pub(crate) max: Option<Duration>,
    /// Shortest chunk.
    pub(crate) min_chunk: Duration,
}

#[derive(Deserialize, Row)]
struct Moment {
    nanos: i64,
}

#[derive(Deserialize, Row)]
struct Range {
    first: i64,
    last: i64,
}

impl WindowRequest {
    /// The window of a table, and what the user should know of it.
    pub(crate) async fn of_table(
        &self,
        server: &Server,
        config: &Config,
        table: &TableName,
    ) -> Result<(Windowed, Vec<String>), Error> {
        let (time, origin) = time_column(server, config, table, self.column.as_deref()).await?;
        let mut notes = vec![format!("the time column of {table} is {} ({origin})", time.name)];
        if time.is_nullable {
            notes.push(format!("rows of {table} whose {} is NULL are in no window", time.name));
        }
        let range = if self.since.is_none() || self.until.is_none() {
            let query = time.range_query(table);
            let call = || {
                // The column may be named like what is asked for.
                let call = server.call_text("time_range", query.clone()).deadline(None);
                call.setting("prefer_column_name_to_alias", 1)
            };
            Some(retry_idempotent(|| call().fetch_one::<Range>()).await?)
        } else {
            None
        };
        let since = match (&self.since, &range) {
            (Some(text), _) => moment(server, &time, text, "--since").await?,
            // From the beginning of a day, so that hours and days of chunks are those of people.
            (None, range) => time.day_before(range.as_ref().map_or(0, |range| range.first)),
        };
        let until = match (&self.until, &range) {
            (Some(text), _) => moment(server, &time, text, "--until").await?,
            (None, range) => range.as_ref().map_or(0, |range| range.last.saturating_add(1)),
        };
        if until <= since {
            let message = format!(
                "the window is empty: it ends ({}) before it begins ({})",
                time.literal(until),
                time.literal(since)
            );
            return Err(Report::new(Kind::Usage, message).into());
        }
        self.check_length(&time, until - since)?;
        let (cell, chunk_cells) = self.cells(&time)?;
        Ok((Windowed { time, since, until, cell, chunk_cells, borders: Vec::new() }, notes))
    }

    fn check_length(&self, time: &TimeColumn, length: i64) -> Result<(), Error> {
        let has_ends = self.since.is_some() || self.until.is_some();
        let Some(max) = self.max.filter(|_| has_ends) else { return Ok(()) };
        if length <= time.length(max) {
            return Ok(());
        }
        let message = format!(
            "the window is longer than {} hours, the longest that need not be forced",
            max.as_secs() / 3_600
        );
        Err(Report::new(Kind::Usage, message)
            .help("a shorter window, --force-large-window, or a larger --max-window")
            .into())
    }

    /// Length of a cell, and cells of a chunk.
    fn cells(&self, time: &TimeColumn) -> Result<(i64, Option<i64>), Error> {
        let shortest = time.length(self.min_chunk);
        let Some(chunk) = self.chunk else { return Ok((shortest, None)) };
        let length = time.length(chunk);
        if time.is_day() && !chunk.as_secs().is_multiple_of(86_400) {
            let message = format!("the values of {} are days", time.name);
            let help = "give --chunk-hours as a multiple of 24";
            return Err(Report::new(Kind::Usage, message).help(help).into());
        }
        // As many equal cells as are not shorter than the shortest.
        let mut cells = (length / shortest).max(1);
        while length % cells != 0 {
            cells -= 1;
        }
        Ok((length / cells, Some(cells)))
    }
}

/// A moment as the user writes it, in ticks.
async fn moment(server: &Server, time: &TimeColumn, text: &str, flag: &str) -> Result<i64, Error> {
    let query = "SELECT toInt64(toUnixTimestamp64Nano(parseDateTime64BestEffort({text:String}, 9, {zone:String}))) AS nanos";
    let call = || {
        let call = server.call_text("parse_time", query.to_owned()).param("text", text);
        call.param("zone", &time.zone)
    };
    let wrong = |why: String| -> Error {
        Report::new(Kind::Usage, format!("{flag} {text}: {why}"))
            .help("write it as 2024-01-31, 2024-01-31 06:00:00 or 2024-01-31T06:00:00Z")
            .into()
    };
    let found: Moment = match retry_idempotent(|| call().fetch_one()).await {
        Ok(found) => found,
        Err(failure) if failure.is_refusal() => return Err(wrong("is no time".to_owned())),
        Err(failure) => return Err(failure.into()),
    };
    time.ticks_of(i128::from(found.nanos)).ok_or_else(|| {
        wrong(format!(
            "the column {} is not so fine; its values are whole {}",
            time.name,
            time.unit_words()
        ))
    })
}
