//! One HTTP request and its whole answer.

use std::time::Duration;

use ureq::{Agent, http};

/// A test request that takes longer than this hangs.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Answers are small: rows of a check, or one source file.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A client that reports every status as an answer.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        // The server closes idle sockets after 3 s; a request on one that is closing would fail.
        .max_idle_age(Duration::from_secs(1))
        .build()
        .into()
}

/// Sends the request; the status and the body of the answer, or why there is none.
pub(crate) fn send(
    agent: &Agent,
    request: http::Request<Vec<u8>>,
) -> Result<(u16, Vec<u8>), String> {
    let mut answer = agent.run(request).map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_vec()
        .map_err(|error| error.to_string())?;
    Ok((status, body))
}

/// Percent-encodes all but the unreserved characters, and `keep`.
pub(crate) fn encode(text: &str, keep: &[u8]) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to memory");
        }
    }
    encoded
}
