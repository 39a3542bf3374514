//! May the current user do something? Asked of the server (`CHECK GRANT`).

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use serde::Deserialize;

/// What a server says that does not know `CHECK GRANT` (before 24.10).
pub(crate) const NO_CHECK_GRANT: Code = Code::SYNTAX_ERROR;

#[derive(Deserialize, Row)]
struct Answer {
    result: u8,
}

/// Does the user have it? Yes where the server cannot be asked.
pub(crate) async fn may(server: &Server, privileges: &str, on: &str) -> Result<bool, Failure> {
    match has(server, privileges, on).await {
        Err(failure) if failure.code() == Some(NO_CHECK_GRANT) => Ok(true),
        answer => answer,
    }
}

/// The same; an error where the server cannot be asked.
pub(crate) async fn has(server: &Server, privileges: &str, on: &str) -> Result<bool, Failure> {
    // No parameters there in the server's grammar; both texts are ours, names quoted.
    let text = format!("CHECK GRANT {privileges} ON {on}");
    let answer: Answer =
        retry_idempotent(|| server.call_text("check_grant", text.clone()).fetch_one()).await?;
    Ok(answer.result == 1)
}
