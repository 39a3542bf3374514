//! Numbers, times and long texts the way people read them.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;

/// Characters of an error in a table.
pub(crate) const CELL_CHARS_MAX: usize = 90;

/// `1,234,567`
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// `1.50 GiB`
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// `1 task`, `12 tasks`
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// `1h 5m 12s`; below a minute with one decimal.
pub(crate) fn duration(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    seconds(duration)
}

/// `1h 5m 12s`, `21s`
pub(crate) fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// A duration in milliseconds; what lies before zero counts as zero.
pub(crate) fn duration_ms(ms: i64) -> String {
    duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// RFC 3339 in UTC; nothing for 0, which stands for "not yet".
pub(crate) fn time(ms: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(ms).ok().filter(|_| ms > 0)?;
    Some(format!("{time:.3}"))
}

/// One line, cut where it gets too long for a table.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    let head: String = line.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{head}…")
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `1G`, `500M`, `64K`, `1073741824`: powers of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        Some((at, 't' | 'T')) => (&text[..at], 1 << 40),
        _ => (text, 1u64),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, as 500M or 2G".to_owned())?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "at least 1 byte, at most 16 million TB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1_610_612_736), "1.50 GiB");
        assert_eq!(plural(1, "task"), "1 task");
        assert_eq!(plural(2_000, "task"), "2,000 tasks");
        assert_eq!(duration_ms(65_900), "1m 5s");
        assert_eq!(duration_ms(1_250), "1.2s");
        assert_eq!(duration_ms(-5), "0.0s");
        assert_eq!(time(1_700_000_000_123).as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(time(0), None);
        assert_eq!(line("a\n  b", 10), "a b");
        assert_eq!(line("abcdef", 4), "abc…");
    }

    #[test]
    fn bytes_with_and_without_a_unit() {
        assert_eq!(parse_bytes("1G"), Ok(1 << 30));
        assert_eq!(parse_bytes("500M"), Ok(500 << 20));
        assert_eq!(parse_bytes("2GiB"), Ok(2 << 30));
        assert_eq!(parse_bytes("123"), Ok(123));
        for wrong in ["", "0", "-1", "1X", "99999999999T"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
