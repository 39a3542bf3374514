//! A row of `DESCRIBE TABLE`.

use clickhouse::Row;
use serde::Deserialize;

/// A column as the server describes it. The fields that nobody needs stand here because an answer
/// is read whole.
#[derive(Debug, Clone, Deserialize, Row)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its type, in the server's words.
    pub r#type: String,
    /// `DEFAULT`, `MATERIALIZED`, `ALIAS`, `EPHEMERAL`, or empty.
    pub default_type: String,
    #[allow(dead_code)]
    default_expression: String,
    #[allow(dead_code)]
    comment: String,
    #[allow(dead_code)]
    codec_expression: String,
    #[allow(dead_code)]
    ttl_expression: String,
}
