//! What can come back instead of a result.
//!
//! The client crate gives server errors as text, so code and message are taken apart here. The
//! important question is not what went wrong but whether the statement may have been applied.

use serde::{Deserialize, Deserializer};

use super::Code;
use crate::redact;

/// Message text kept of a server error; a statement echoed in full would fill the task row.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What a failure says when the server's answer holds a name or value that is no text.
pub const NOT_UTF8: &str = "bytes that are not UTF-8";

/// How an error begins that is none of ClickHouse's own, in front of its code.
const FOREIGN_ERRORS: [&str; 3] = ["Poco::Exception. ", "std::exception. ", "Unknown exception. "];

/// Why a statement gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server answered with this error.
    Server(Code),
    /// The server answered with an error that [`Code`] does not list.
    Unlisted(i32),
    /// No connection: the statement was never sent.
    Unreachable,
    /// No connection that is secure enough: the statement was never sent, and trying again is of no use.
    Tls,
    /// Sent, but the answer never came (connection cut, proxy error, deadline): it may have been applied.
    Unknown,
    /// An answer came that cannot be read.
    Reply,
}

/// A statement that gave no result.
///
/// The client's error is not kept as a source: its words may hold secrets, which are taken out of the
/// message only.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} (in {statement})")]
pub struct Failure {
    /// Name of the statement.
    pub statement: &'static str,
    /// What it means.
    pub kind: Kind,
    /// The server's or the connection's words, secrets removed.
    pub message: String,
}

impl Kind {
    /// The server answered with the error of this number.
    fn of(number: i32) -> Self {
        Code::of(number).map_or(Self::Unlisted(number), Self::Server)
    }
}

impl Failure {
    pub(crate) fn new(statement: &'static str, kind: Kind, message: &str) -> Self {
        let mut message = redact::scrub(&printable(message.trim()));
        if message.chars().count() > MESSAGE_CHARS_MAX {
            // The cause stands at the beginning, the place in the source at the end.
            let head: String = message.chars().take(MESSAGE_CHARS_MAX / 2).collect();
            let tail: String =
                message.chars().skip(message.chars().count() - MESSAGE_CHARS_MAX / 2).collect();
            message = format!("{head} … {tail}");
        }
        Self { statement, kind, message }
    }

    pub(crate) fn tls(statement: &'static str, message: &str) -> Self {
        Self::new(statement, Kind::Tls, message)
    }

    pub(crate) fn unknown(statement: &'static str, message: String) -> Self {
        Self::new(statement, Kind::Unknown, &message)
    }

    pub(crate) fn reply(statement: &'static str, message: String) -> Self {
        Self::new(statement, Kind::Reply, &message)
    }

    /// A server error known by its number, from `query_log`.
    pub fn server(statement: &'static str, number: impl Into<i32>, message: &str) -> Self {
        Self::new(statement, Kind::of(number.into()), message)
    }

    /// Did the server answer, with an error?
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, Kind::Server(_) | Kind::Unlisted(_))
    }

    /// Did the server answer with names or values that are no text?
    pub fn is_not_text(&self) -> bool {
        self.kind == Kind::Reply && self.message == NOT_UTF8
    }

    /// The server's error, if it answered with one that is listed.
    pub fn code(&self) -> Option<Code> {
        match self.kind {
            Kind::Server(code) => Some(code),
            _ => None,
        }
    }

    /// May the statement have been applied although no result came?
    ///
    /// A server error is a certain "no" only for single statements that fail as a whole; Keeper's
    /// own errors can follow a write that was applied, so stores read back after those too.
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown | Kind::Reply)
    }

    /// Words that came instead of a result.
    pub(crate) fn said(statement: &'static str, text: &str) -> Self {
        match parse_code(text) {
            Some(number) => Self::server(statement, number, text),
            // A proxy's own page (504 …): the server may well be running the statement.
            None => Self::new(statement, Kind::Unknown, text),
        }
    }

    pub(crate) fn from_client(statement: &'static str, error: &clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => Self::said(statement, text),
            Error::Network(source) if is_connect(source.as_ref()) => {
                match super::tls::refusal(source.as_ref()) {
                    Some(words) => Self::tls(statement, &words),
                    None => Self::new(statement, Kind::Unreachable, &chain(source.as_ref())),
                }
            }
            Error::Network(source) => Self::new(statement, Kind::Unknown, &chain(source.as_ref())),
            Error::TimedOut => Self::new(statement, Kind::Unknown, "timed out"),
            Error::InvalidUtf8Encoding(_) => Self::new(statement, Kind::Reply, NOT_UTF8),
            other => Self::new(statement, Kind::Reply, &chain(other)),
        }
    }
}

fn is_connect(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// `Code: 60. DB::Exception: …` → 60; so does `Code: 60` alone, which is all that the header tells,
/// and `Poco::Exception. Code: 1000, …` of a library that the server uses.
///
/// A page of a gateway (`<p>Code: 504</p>`) is no word of the server.
fn parse_code(text: &str) -> Option<i32> {
    let at = text.find("Code: ")?;
    let rest = &text[at + "Code: ".len()..];
    let digits = rest.find(|symbol: char| !symbol.is_ascii_digit()).unwrap_or(rest.len());
    let is_header = at == 0 && rest[digits..].trim().is_empty();
    let is_foreign = FOREIGN_ERRORS.contains(&&text[..at]);
    if is_header || is_foreign || rest[digits..].contains("Exception") {
        rest[..digits].parse().ok()
    } else {
        None
    }
}

/// Text of the server that a person reads, from bytes that may be none. For a row's field:
/// `#[serde(deserialize_with = "readable")]`.
///
/// Only for words. A name that leads to something must be exact, so it is a `String`, and one that
/// is not UTF-8 is an error.
///
/// # Errors
/// When the field holds no string at all.
pub fn readable<'de, D: Deserializer<'de>>(field: D) -> Result<String, D::Error> {
    let bytes = serde_bytes::ByteBuf::deserialize(field)?;
    Ok(printable(&String::from_utf8_lossy(&bytes)))
}

/// A UUID that a statement gives as text. For a row's field: `#[serde(deserialize_with = "uuid_text")]`.
///
/// # Errors
/// When the text is none: nothing is decided by an identity that is not there.
pub fn uuid_text<'de, D: Deserializer<'de>>(field: D) -> Result<uuid::Uuid, D::Error> {
    let text = String::deserialize(field)?;
    uuid::Uuid::parse_str(&text).map_err(serde::de::Error::custom)
}

/// Without the signs that steer a terminal: the server quotes data, and data may be anything.
fn printable(text: &str) -> String {
    let is_shown = |symbol: char| !symbol.is_control() || matches!(symbol, '\n' | '\t');
    text.chars().map(|symbol| if is_shown(symbol) { symbol } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_code_of_a_server_error() {
        assert_eq!(parse_code("Code: 999. Coordination::Exception: Transaction failed"), Some(999));
        assert_eq!(parse_code("Code: 60"), Some(60));
        let foreign = "Poco::Exception. Code: 1000, e.code() = 0, Bad URI syntax: not a hex digit";
        assert_eq!(parse_code(foreign), Some(1000));
        assert_eq!(parse_code("std::exception. Code: 1001, type: std::length_error"), Some(1001));
        assert_eq!(parse_code("504 Gateway Timeout"), None);
        assert_eq!(parse_code("<h1>Gateway Timeout</h1> Code: 504 <p>Request ID: 7</p>"), None);
    }

    #[test]
    fn words_that_quote_data_do_not_steer_a_terminal() {
        let failure = Failure::server("x", 6, "Code: 6: 'PK\u{3}\u{1b}[2J\u{0}' at\n\tline 1");
        assert_eq!(failure.message, "Code: 6: 'PK??[2J?' at\n\tline 1");
    }

    #[test]
    fn a_proxy_page_is_an_unknown_outcome() {
        let error = clickhouse::error::Error::BadResponse("504 Gateway Timeout".to_owned());
        assert!(Failure::from_client("x", &error).is_unknown());
    }

    #[test]
    fn keeps_head_and_tail_of_a_long_message() {
        let failure = Failure::server("x", 1, &format!("head{}tail", "-".repeat(9_000)));
        assert!(failure.message.starts_with("head") && failure.message.ends_with("tail"));
        assert!(failure.message.chars().count() < 2_010);
    }
}
