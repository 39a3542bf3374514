//! What a failure means for the task it happened in: one total function over the error codes.
//!
//! Codes are those of ClickHouse's `src/Common/ErrorCodes.cpp`. A task that is tried again starts
//! in a fresh staging set, so a retry before `publishing` is always safe; the question is only
//! whether it can help.

use super::{Failure, Kind};

/// What to do after a failure before `publishing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It passes: try again after a pause. Uses up one attempt.
    Retry,
    /// Too big for the server as it was sent: try again with smaller blocks and fewer threads.
    Lighter,
    /// The data is at fault: one more try cannot help, the task fails and the job goes on.
    FailTask,
    /// Every task would fail alike (grants, missing table, changed schema): pause the job.
    StopJob,
}

/// The policy for a failure. Codes nobody listed are retried: attempts are bounded.
pub fn policy(failure: &Failure) -> Policy {
    let Kind::Server(code) = failure.kind else { return Policy::Retry };
    match code {
        // MEMORY_LIMIT_EXCEEDED, TOO_MANY_PARTITIONS… of one block, CANNOT_ALLOCATE_MEMORY
        241 | 173 => Policy::Lighter,

        // CANNOT_PARSE_TEXT, …_INPUT_ASSERTION_FAILED, …_DATE, …_DATETIME, …_NUMBER, …_UUID, …_BOOL
        6 | 27 | 38 | 41 | 72 | 376 | 467 | 675 | 676 |
        // INCORRECT_DATA, CANNOT_READ_ALL_DATA, CHECKSUM_DOESNT_MATCH, CANNOT_DECOMPRESS, ZLIB, ZSTD, LZ4
        117 | 33 | 40 | 271 | 354 | 561 | 562 | 572 | 600 |
        // TYPE_MISMATCH, CANNOT_CONVERT_TYPE, VALUE_IS_OUT_OF_RANGE, DECIMAL_OVERFLOW, NULL into a plain column
        53 | 70 | 321 | 407 | 349 |
        // FUNCTION_THROW_IF…, VIOLATED_CONSTRAINT, NOT_AN_AGGREGATE…, PARQUET/ARROW library errors
        395 | 469 | 1001 | 636 | 74 |
        // TOO_MANY_PARTS of one block (max_partitions_per_insert_block)
        252 => Policy::FailTask,

        // UNKNOWN_IDENTIFIER, NO_SUCH_COLUMN, SYNTAX_ERROR, UNKNOWN_SETTING, UNKNOWN_FUNCTION, ILLEGAL_TYPE
        47 | 16 | 62 | 115 | 46 | 43 | 42 | 48 |
        // UNKNOWN_TABLE, UNKNOWN_DATABASE, UNKNOWN_STORAGE, BAD_ARGUMENTS, UNKNOWN_FORMAT
        60 | 81 | 56 | 36 | 73 |
        // INCOMPATIBLE_COLUMNS, UNKNOWN_POLICY mismatch, NO_SUCH_COLUMN_IN_TABLE, THERE_IS_NO_COLUMN
        122 | 478 | 8 | 20 |
        // ACCESS_DENIED, AUTHENTICATION_FAILED, UNKNOWN_USER, REQUIRED_PASSWORD, NAMED_COLLECTION_DOESNT_EXIST
        497 | 516 | 192 | 194 | 669 |
        // SETTING_CONSTRAINT_VIOLATION, READONLY
        452 | 164 |
        // INVALID_STATE: Keeper does not know a KeeperMap table any more
        668 => Policy::StopJob,

        // S3_ERROR: the store does not know us, whatever the file
        499 if refuses_keys(&failure.message) => Policy::StopJob,
        // S3_ERROR: a key that is gone or forbidden stays so
        499 if says_gone(&failure.message) => Policy::FailTask,

        _ => Policy::Retry,
    }
}

/// Does the store refuse the credentials, and not one object?
pub fn refuses_keys(message: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"]
        .iter()
        .any(|mark| message.contains(mark))
}

fn says_gone(message: &str) -> bool {
    [
        "does not exist",
        "NoSuchKey",
        "NO_SUCH_KEY",
        "AccessDenied",
        "Access Denied",
        "HTTP response code: 404",
        "HTTP response code: 403",
    ]
    .iter()
    .any(|mark| message.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_errors_fail_the_task_and_grants_stop_the_job() {
        let of = |code| policy(&Failure::server("x", code, "words"));
        assert_eq!(of(117), Policy::FailTask);
        assert_eq!(of(497), Policy::StopJob);
        assert_eq!(of(241), Policy::Lighter);
        assert_eq!(of(999), Policy::Retry);
        assert_eq!(of(424_242), Policy::Retry);
        assert_eq!(policy(&Failure::unknown("x", "cut".into())), Policy::Retry);
    }

    #[test]
    fn a_key_that_is_gone_is_not_tried_again_but_a_busy_store_is() {
        let gone = Failure::server("x", 499, "The specified key does not exist.");
        assert_eq!(policy(&gone), Policy::FailTask);
        let unknown = "`InvalidAccessKeyId`: The access key ID you provided does not exist";
        assert_eq!(policy(&Failure::server("x", 499, unknown)), Policy::StopJob);
        assert_eq!(policy(&Failure::server("x", 499, "SlowDown")), Policy::Retry);
    }
}
