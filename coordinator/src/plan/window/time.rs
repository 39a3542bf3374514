//! The time column of a table: which one it is, and how its moments are written and counted.
//!
//! A moment is a number of ticks of the column's own precision (days, seconds or parts of a second),
//! so that no bound is ever rounded.

use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::config::Config;
use longshore_shared::schema::{Column, columns, key_expressions};
use longshore_shared::sql::{quote_identifier, quote_literal};
use longshore_shared::task::TableName;
use serde::Deserialize;

use crate::ui::error::{Error, Kind, Report};

/// Names that a time column usually has, the likeliest first.
const USUAL: [&str; 14] = [
    "created_at",
    "timestamp",
    "event_time",
    "event_date",
    "time",
    "ts",
    "datetime",
    "date",
    "day",
    "created",
    "inserted_at",
    "occurred_at",
    "updated_at",
    "at",
];
const DAY_SECS: i64 = 86_400;

/// How the values of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Date,
    Date32,
    DateTime,
    /// With so many digits behind the seconds.
    DateTime64(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeColumn {
    pub(crate) name: String,
    form: Form,
    /// Its time zone, or the server's; days have none.
    pub(crate) zone: String,
    pub(crate) is_nullable: bool,
}

impl TimeColumn {
    /// `None` for a column that is no time.
    fn new(column: &Column, server_zone: &str) -> Option<Self> {
        let inner = |name: &str, wrapper: &str| {
            Some(name.strip_prefix(wrapper)?.strip_suffix(')')?.to_owned())
        };
        let plain = inner(&column.r#type, "LowCardinality(").unwrap_or(column.r#type.clone());
        let is_nullable = plain.starts_with("Nullable(");
        let plain = inner(&plain, "Nullable(").unwrap_or(plain);
        let (name, arguments) = plain.split_once('(').unwrap_or((&plain, ""));
        let form = match name {
            "Date" => Form::Date,
            "Date32" => Form::Date32,
            "DateTime" => Form::DateTime,
            "DateTime64" => {
                let digits = arguments.split([',', ')']).next()?.trim();
                Form::DateTime64(digits.parse().ok().filter(|digits| *digits <= 9)?)
            }
            _ => return None,
        };
        let zone = arguments.split('\'').nth(1).unwrap_or(server_zone);
        let zone = if matches!(form, Form::Date | Form::Date32) { "UTC" } else { zone };
        Some(Self { name: column.name.clone(), form, zone: zone.to_owned(), is_nullable })
    }

    /// Are its values days?
    pub(crate) fn is_day(&self) -> bool {
        matches!(self.form, Form::Date | Form::Date32)
    }

    /// Ticks of a length of time, rounded up to whole ones.
    pub(crate) fn length(&self, length: Duration) -> i64 {
        let nanos = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
        i64::try_from((nanos + self.unit() - 1) / self.unit()).unwrap_or(i64::MAX).max(1)
    }

    /// SQL for the ticks of the first and the last moment of a table.
    pub(crate) fn range_query(&self, table: &TableName) -> String {
        let name = quote_identifier(&self.name);
        let [first, last] = ["min", "max"].map(|end| self.ticks_in(&format!("{end}({name})")));
        format!("SELECT {first} AS first, {last} AS last FROM {}", table.quoted())
    }

    /// The beginning of a day in UTC, at or before a moment.
    pub(crate) fn day_before(&self, ticks: i64) -> i64 {
        let day = if self.is_day() { 1 } else { self.per_second() * DAY_SECS };
        ticks - ticks.rem_euclid(day)
    }

    /// Ticks of a number of nanoseconds; `None` when the column is not so fine.
    pub(crate) fn ticks_of(&self, nanos: i128) -> Option<i64> {
        let unit = self.unit();
        (nanos % unit == 0).then(|| i64::try_from(nanos / unit).ok()).flatten()
    }

    /// SQL for the ticks of the column's value.
    pub(crate) fn ticks(&self) -> String {
        self.ticks_in(&quote_identifier(&self.name))
    }

    /// SQL for the ticks of a value of the column's type.
    fn ticks_in(&self, value: &str) -> String {
        let name =
            if self.is_nullable { format!("assumeNotNull({value})") } else { value.to_owned() };
        match self.form {
            Form::Date | Form::Date32 => format!("toInt64(toInt32({name}))"),
            Form::DateTime => format!("toInt64(toUnixTimestamp({name}))"),
            Form::DateTime64(_) => format!("reinterpretAsInt64({name})"),
        }
    }

    /// SQL for the literal of a moment, the same on every server.
    pub(crate) fn literal(&self, ticks: i64) -> String {
        let per_second = self.per_second();
        let (seconds, fraction) = if self.is_day() {
            (ticks * DAY_SECS, 0)
        } else {
            (ticks.div_euclid(per_second), ticks.rem_euclid(per_second))
        };
        let (date, time) = civil(seconds);
        match self.form {
            Form::Date => format!("toDate('{date}')"),
            Form::Date32 => format!("toDate32('{date}')"),
            Form::DateTime => format!("toDateTime('{date} {time}', 'UTC')"),
            Form::DateTime64(0) => format!("toDateTime64('{date} {time}', 0, 'UTC')"),
            Form::DateTime64(digits) => {
                let width = digits as usize;
                format!("toDateTime64('{date} {time}.{fraction:0width$}', {digits}, 'UTC')")
            }
        }
    }

    /// SQL for the moment of a number of ticks that stands in an expression, as the column's type.
    pub(crate) fn moment(&self, ticks: &str) -> String {
        let zone = quote_literal(&self.zone);
        match self.form {
            Form::Date => format!("toDate(toInt32({ticks}))"),
            Form::Date32 => format!("toDate32(toInt32({ticks}))"),
            Form::DateTime => format!("toDateTime({ticks}, {zone})"),
            Form::DateTime64(digits) => {
                let name = quote_literal(&format!("DateTime64({digits}, {zone})"));
                format!("reinterpret(toInt64({ticks}), {name})")
            }
        }
    }

    /// What a tick is, for messages.
    pub(crate) fn unit_words(&self) -> &'static str {
        match self.form {
            Form::Date | Form::Date32 => "days",
            Form::DateTime => "seconds",
            Form::DateTime64(_) => "parts of a second",
        }
    }

    /// Nanoseconds of a tick.
    fn unit(&self) -> i128 {
        match self.form {
            Form::Date | Form::Date32 => i128::from(DAY_SECS) * 1_000_000_000,
            Form::DateTime => 1_000_000_000,
            Form::DateTime64(digits) => 10_i128.pow(9 - digits),
        }
    }

    fn per_second(&self) -> i64 {
        match self.form {
            Form::DateTime64(digits) => 10_i64.pow(digits),
            _ => 1,
        }
    }
}

/// Date and time of day in UTC.
fn civil(seconds: i64) -> (String, String) {
    let (days, rest) = (seconds.div_euclid(DAY_SECS), seconds.rem_euclid(DAY_SECS));
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let time = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    (format!("{year:04}-{month:02}-{day:02}"), time)
}

#[derive(Deserialize, Row)]
struct Facts {
    sorting_key: String,
    zone: String,
}

/// The time column: of the flag, of the table's own settings, of all tables, or the likeliest.
/// Also says where it comes from.
pub(crate) async fn time_column(
    server: &Server,
    config: &Config,
    table: &TableName,
    flag: Option<&str>,
) -> Result<(TimeColumn, String), Error> {
    let text = "SELECT sorting_key, serverTimeZone() AS zone FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let call = || {
        server
            .call_text("time_column", text.to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let facts: Facts = retry_idempotent(|| call().fetch_one()).await?;
    let found = columns(server, table).await?;
    let times: Vec<TimeColumn> =
        found.iter().filter_map(|column| TimeColumn::new(column, &facts.zone)).collect();
    let of_table = config.table(table);
    let named = [
        (flag, "--time-column"),
        (of_table.and_then(|t| t.time_column.as_deref()), "of the table, in the configuration"),
        (config.window.time_column.as_deref(), "window.time_column"),
    ];
    for (name, origin) in named {
        let Some(name) = name else { continue };
        if let Some(time) = times.iter().find(|time| time.name == name) {
            return Ok((time.clone(), origin.to_owned()));
        }
        let is_there = found.iter().any(|column| column.name == name);
        // What is set for all tables may not be in this one.
        if !is_there && origin == "window.time_column" {
            continue;
        }
        let what = if is_there { "is no Date or DateTime" } else { "is not there" };
        let message = format!("column `{name}` ({origin}) of {table} {what}");
        return Err(Report::new(Kind::Usage, message).help(of_times(&times)).into());
    }
    let sorted = key_expressions(&facts.sorting_key, "");
    let in_key = sorted.iter().find_map(|(expression, _)| {
        let name = expression.trim_matches('`');
        times.iter().find(|time| time.name == name)
    });
    let by_name = || USUAL.iter().find_map(|usual| times.iter().find(|time| time.name == *usual));
    match (in_key, by_name()) {
        (Some(time), _) => Ok((time.clone(), "the first in the sorting key".to_owned())),
        (None, Some(time)) => Ok((time.clone(), "by its name".to_owned())),
        (None, None) => {
            let message = format!("which column of {table} is its time?");
            Err(Report::new(Kind::Usage, message).help(of_times(&times)).into())
        }
    }
}

fn of_times(times: &[TimeColumn]) -> String {
    let names: Vec<&str> = times.iter().map(|time| time.name.as_str()).collect();
    if names.is_empty() {
        return "it has no column of type Date or DateTime, so it has no windows".to_owned();
    }
    format!("--time-column, one of: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(r#type: &str) -> Option<TimeColumn> {
        let column =
            Column { name: "t".into(), r#type: r#type.into(), default_kind: String::new() };
        TimeColumn::new(&column, "Asia/Kolkata")
    }

    #[test]
    fn times_and_nothing_else() {
        assert_eq!(column("DateTime").unwrap().zone, "Asia/Kolkata");
        assert_eq!(column("Nullable(DateTime64(3, 'UTC'))").unwrap().form, Form::DateTime64(3));
        assert!(column("LowCardinality(Date)").unwrap().is_day());
        for other in ["String", "UInt32", "Time", "Array(Date)"] {
            assert_eq!(column(other), None, "{other}");
        }
    }

    #[test]
    fn literals_are_exact() {
        let day = column("Date").unwrap();
        assert_eq!(day.literal(19_782), "toDate('2024-02-29')");
        let second = column("DateTime").unwrap();
        assert_eq!(second.literal(1_709_251_199), "toDateTime('2024-02-29 23:59:59', 'UTC')");
        let milli = column("DateTime64(3)").unwrap();
        assert_eq!(milli.literal(-1), "toDateTime64('1969-12-31 23:59:59.999', 3, 'UTC')");
        assert_eq!(milli.ticks_of(1_500_000_000), Some(1_500));
        assert_eq!(second.ticks_of(1_500_000_000), None);
        assert_eq!(day.ticks_of(86_400_000_000_000), Some(1));
    }
}
