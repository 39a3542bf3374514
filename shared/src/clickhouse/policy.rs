//! What a failure means for the task it happened in: one total function over the error codes.
//!
//! The match over [`Code`] is exhaustive, so a code cannot be listed without a meaning. A few codes mean
//! several things and are told apart by the server's words. One that is not listed is retried
//! (`docs/decisions/0033`).
//!
//! A task that is tried again starts in a fresh staging set, so a retry before `publishing` is always
//! safe; the question is only whether it can help. And if it cannot: is one task at fault, or would every
//! task fail alike? Many codes say neither, for the server uses them for odd data and for wrong
//! statements. Those are [`Policy::InDoubt`], and the worker finds out.

use super::words::{
    refuses_keys, says_away, says_behind, says_gone, says_odd_address, says_unconnected,
};
use super::{Code, Failure, Kind};

/// What to do after a failure before `publishing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Something outside the task is away or lags behind: the server, Keeper, the store, the network,
    /// the merges of a table. It is waited for, as long as that takes; no attempt is used up.
    Outage,
    /// It passes: try again after a pause. Uses up one attempt.
    Retry,
    /// Too big for the server as it was sent: try again with smaller blocks and fewer threads.
    RetrySmaller,
    /// The data is at fault: one more try cannot help, the task fails and the job goes on.
    FailTask,
    /// The data of one task may be at fault, or the statement of all. The same statement without a
    /// row tells them apart. Where nobody can ask, it is taken for the fault of all.
    InDoubt,
    /// Every task would fail alike (grants, missing table, changed schema): pause the job.
    StopJob,
}

impl Policy {
    /// It says nothing of what was sent: the same may work in a moment, or in smaller pieces.
    pub fn passes(self) -> bool {
        matches!(self, Self::Outage | Self::RetrySmaller)
    }

    /// It stays until a person mends it.
    pub fn needs_operator(self) -> bool {
        matches!(self, Self::StopJob | Self::InDoubt)
    }
}

/// The policy for a failure. Attempts are bounded, so a code that nobody listed may be retried.
pub fn policy(failure: &Failure) -> Policy {
    let code = match failure.kind {
        Kind::Server(code) => code,
        Kind::Unknown | Kind::Unreachable => return Policy::Outage,
        Kind::Unlisted(_) | Kind::Reply | Kind::Tls => return Policy::Retry,
    };
    let words = &failure.message;
    match code {
        // The store does not know us, whatever the file.
        code if is_of_store(code) && refuses_keys(words) => Policy::StopJob,
        // A key that is gone or forbidden stays so.
        code if is_of_store(code) && says_gone(words) => Policy::FailTask,
        Code::POCO_EXCEPTION if says_odd_address(words) => Policy::FailTask,
        code if (is_of_store(code) || code == Code::POCO_EXCEPTION) && says_away(words) => {
            Policy::Outage
        }
        Code::INVALID_STATE if says_unconnected(words) => Policy::Outage,
        // Of a table, not of one block: merges catch up, or somebody raises the limit.
        Code::TOO_MANY_PARTS if says_behind(words) => Policy::Outage,
        // Before 26 the server names the temporary folder of a MOVE by the part alone: two MOVEs from
        // two staging tables at the same moment get in each other's way (seen on 25.8.2).
        Code::LOGICAL_ERROR
            if words.contains("Temporary part") && words.contains("already added") =>
        {
            Policy::Retry
        }
        code => of_code(code),
    }
}

/// The codes of stores, for both matches. A constant could not stand in an exhaustive one.
macro_rules! store_codes {
    () => {
        Code::RECEIVED_ERROR_FROM_REMOTE_IO_SERVER
            | Code::S3_ERROR
            | Code::AZURE_BLOB_STORAGE_ERROR
            | Code::HDFS_ERROR
            | Code::AWS_ERROR
            | Code::GCP_ERROR
            | Code::GOOGLE_CLOUD_ERROR
    };
}

/// An error that a store's answer was wrapped in: what was wrong stands in the words alone.
fn is_of_store(code: Code) -> bool {
    matches!(code, store_codes!())
}

/// What a code means whatever the words.
#[allow(clippy::unnested_or_patterns)] // The pattern of `store_codes` is a pattern of its own.
fn of_code(code: Code) -> Policy {
    match code {
        Code::DNS_ERROR
        | Code::TOO_MANY_SIMULTANEOUS_QUERIES
        | Code::NO_FREE_CONNECTION
        | Code::SOCKET_TIMEOUT
        | Code::NETWORK_ERROR
        | Code::NO_ZOOKEEPER
        // A replicated table whose server has lost Keeper.
        | Code::TABLE_IS_READ_ONLY
        | Code::ALL_CONNECTION_TRIES_FAILED
        | Code::CANNOT_SCHEDULE_TASK
        // A replicated table whose server was started without its Keeper.
        | Code::NOT_INITIALIZED
        | Code::SERVER_OVERLOADED
        | Code::KEEPER_EXCEPTION => Policy::Outage,

        // Stores tell what was wrong in words alone; see `policy`.
        store_codes!()
        | Code::POCO_EXCEPTION
        // The disk, the log or a query of ours: another time may be better.
        | Code::TABLE_ALREADY_EXISTS
        // One of the same id was sent before and goes on; the next attempt's ids are others.
        | Code::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
        | Code::CANNOT_READ_FROM_FILE_DESCRIPTOR
        | Code::CANNOT_WRITE_TO_FILE_DESCRIPTOR
        | Code::TIMEOUT_EXCEEDED
        | Code::ABORTED
        | Code::NOT_ENOUGH_SPACE
        | Code::UNKNOWN_STATUS_OF_INSERT
        | Code::QUERY_WAS_CANCELLED => Policy::Retry,

        Code::MEMORY_LIMIT_EXCEEDED
        | Code::CANNOT_ALLOCATE_MEMORY => Policy::RetrySmaller,

        // Text that is none of its type.
        Code::CANNOT_PARSE_TEXT
        | Code::CANNOT_PARSE_ESCAPE_SEQUENCE
        | Code::CANNOT_PARSE_QUOTED_STRING
        | Code::CANNOT_PARSE_INPUT_ASSERTION_FAILED
        | Code::CANNOT_PARSE_DATE
        | Code::CANNOT_PARSE_DATETIME
        | Code::CANNOT_PARSE_NUMBER
        | Code::CANNOT_READ_ARRAY_FROM_TEXT
        | Code::CANNOT_PARSE_UUID
        | Code::CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
        | Code::CANNOT_PARSE_BOOL
        | Code::NO_ROW_DELIMITER
        | Code::CANNOT_READ_MAP_FROM_TEXT
        | Code::CANNOT_PARSE_YAML
        | Code::CANNOT_SKIP_UNKNOWN_FIELD
        | Code::UNEXPECTED_DATA_AFTER_PARSED_VALUE
        | Code::CANNOT_PARSE_IPV4
        | Code::CANNOT_PARSE_IPV6
        | Code::UNKNOWN_ELEMENT_OF_ENUM
        | Code::TOO_SLOW_PARSING
        | Code::UNICODE_ERROR
        // A file that is cut off, damaged, or packed in another way than its name says.
        | Code::UNEXPECTED_END_OF_FILE
        | Code::EXPECTED_END_OF_FILE
        | Code::ATTEMPT_TO_READ_AFTER_EOF
        | Code::CANNOT_READ_ALL_DATA
        | Code::TOO_LARGE_SIZE_COMPRESSED
        | Code::CHECKSUM_DOESNT_MATCH
        | Code::INCORRECT_DATA
        | Code::CORRUPTED_DATA
        | Code::CANNOT_DECOMPRESS
        | Code::ZLIB_INFLATE_FAILED
        | Code::UNKNOWN_CODEC
        | Code::BROTLI_READ_FAILED
        | Code::LZMA_STREAM_DECODER_FAILED
        | Code::ZSTD_DECODER_FAILED
        | Code::BZIP2_STREAM_DECODER_FAILED
        | Code::LZ4_DECODER_FAILED
        | Code::SNAPPY_UNCOMPRESS_FAILED
        | Code::CANNOT_UNPACK_ARCHIVE
        | Code::ONLY_NULLS_WHILE_READING_SCHEMA
        | Code::PARQUET_EXCEPTION
        | Code::AVRO_EXCEPTION
        | Code::STD_EXCEPTION
        // A file that is gone or another one by now.
        | Code::FILE_DOESNT_EXIST
        | Code::HTTP_RANGE_NOT_SATISFIABLE
        | Code::S3_OBJECT_CHANGED_DURING_READ
        // A value that does not fit.
        | Code::TOO_LARGE_ARRAY_SIZE
        | Code::TOO_LARGE_STRING_SIZE
        | Code::ILLEGAL_DIVISION
        | Code::SIZES_OF_ARRAYS_DONT_MATCH
        | Code::VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        | Code::CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        | Code::SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT
        | Code::FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
        | Code::DECIMAL_OVERFLOW
        | Code::NO_COLUMN_SERIALIZED_TO_REQUIRED_PROTOBUF_FIELD
        | Code::PROTOBUF_BAD_CAST
        | Code::PROTOBUF_FIELD_NOT_REPEATED
        | Code::VIOLATED_CONSTRAINT
        | Code::AGGREGATE_FUNCTION_THROW
        | Code::CAPN_PROTO_BAD_CAST
        | Code::NUMBER_OF_DIMENSIONS_MISMATCHED
        // More partitions in one block than `max_partitions_per_insert_block`.
        | Code::TOO_MANY_PARTS => Policy::FailTask,

        // Columns: of the target, or of one file.
        Code::INCORRECT_NUMBER_OF_COLUMNS
        | Code::THERE_IS_NO_COLUMN
        | Code::SIZES_OF_COLUMNS_DOESNT_MATCH
        | Code::NOT_FOUND_COLUMN_IN_BLOCK
        | Code::DUPLICATE_COLUMN
        | Code::NO_SUCH_COLUMN_IN_TABLE
        | Code::NUMBER_OF_COLUMNS_DOESNT_MATCH
        | Code::UNKNOWN_IDENTIFIER
        | Code::INCOMPATIBLE_COLUMNS
        | Code::AMBIGUOUS_IDENTIFIER
        | Code::AMBIGUOUS_COLUMN_NAME
        | Code::CANNOT_EXTRACT_TABLE_STRUCTURE
        | Code::INCOMPATIBLE_SCHEMA
        // Types: of an expression, or of what a file holds.
        | Code::SIZE_OF_FIXED_STRING_DOESNT_MATCH
        | Code::ILLEGAL_TYPE_OF_ARGUMENT
        | Code::ILLEGAL_COLUMN
        | Code::UNKNOWN_TYPE
        | Code::TYPE_MISMATCH
        | Code::CANNOT_CONVERT_TYPE
        | Code::CANNOT_INSERT_VALUE_OF_DIFFERENT_SIZE_INTO_TUPLE
        | Code::BAD_TYPE_OF_FIELD
        | Code::BAD_GET
        | Code::NO_COMMON_TYPE
        | Code::UNEXPECTED_DATA_TYPE
        // Arguments and positions: written so, or made of a row.
        | Code::POSITION_OUT_OF_BOUND
        | Code::PARAMETER_OUT_OF_BOUND
        | Code::TOO_MANY_ARGUMENTS_FOR_FUNCTION
        | Code::TOO_FEW_ARGUMENTS_FOR_FUNCTION
        | Code::BAD_ARGUMENTS
        | Code::NUMBER_OF_ARGUMENTS_DOESNT_MATCH
        | Code::UNKNOWN_FUNCTION
        | Code::SYNTAX_ERROR
        | Code::ARGUMENT_OUT_OF_BOUND
        | Code::INCORRECT_RESULT_OF_SCALAR_SUBQUERY
        | Code::ZERO_ARRAY_OR_TUPLE_INDEX
        | Code::CANNOT_COMPILE_REGEXP
        | Code::INVALID_TEMPLATE_FORMAT
        | Code::CANNOT_FORMAT_DATETIME
        | Code::UDF_EXECUTION_FAILED
        // What this server cannot do at all, or not with this file.
        | Code::NOT_IMPLEMENTED
        | Code::LOGICAL_ERROR
        | Code::UNKNOWN_FORMAT
        | Code::INCORRECT_FILE_NAME
        | Code::FORMAT_IS_NOT_SUITABLE_FOR_INPUT
        | Code::UNKNOWN_COMPRESSION_METHOD
        | Code::SUPPORT_IS_DISABLED
        | Code::FEATURE_IS_NOT_ENABLED_AT_BUILD_TIME
        | Code::UNSUPPORTED_URI_SCHEME
        | Code::CANNOT_DETECT_FORMAT => Policy::InDoubt,

        Code::UNKNOWN_STORAGE
        | Code::UNKNOWN_TABLE
        | Code::UNKNOWN_DATABASE
        | Code::UNKNOWN_SETTING
        | Code::READONLY
        | Code::UNKNOWN_USER
        | Code::WRONG_PASSWORD
        | Code::REQUIRED_PASSWORD
        | Code::IP_ADDRESS_NOT_ALLOWED
        | Code::DATABASE_ACCESS_DENIED
        | Code::SETTING_CONSTRAINT_VIOLATION
        | Code::INVALID_SETTING_VALUE
        | Code::READONLY_SETTING
        | Code::UNKNOWN_POLICY
        | Code::PATH_ACCESS_DENIED
        | Code::UNACCEPTABLE_URL
        | Code::ACCESS_DENIED
        | Code::AUTHENTICATION_FAILED
        // Keeper does not know a KeeperMap table any more.
        | Code::INVALID_STATE
        | Code::NAMED_COLLECTION_DOESNT_EXIST
        | Code::USER_EXPIRED => Policy::StopJob,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code) -> Policy {
        policy(&Failure::server("x", code, "words"))
    }

    fn of_words(code: Code, words: &str) -> Policy {
        policy(&Failure::server("x", code, words))
    }

    #[test]
    fn data_errors_fail_the_task_and_grants_stop_the_job() {
        assert_eq!(of(Code::INCORRECT_DATA), Policy::FailTask);
        assert_eq!(of(Code::ACCESS_DENIED), Policy::StopJob);
        assert_eq!(of(Code::MEMORY_LIMIT_EXCEEDED), Policy::RetrySmaller);
        assert_eq!(of(Code::KEEPER_EXCEPTION), Policy::Outage);
        assert_eq!(policy(&Failure::unknown("x", "cut".into())), Policy::Outage);
        let started =
            "Failed to activate table because of connection issues. It will be activated once";
        let wiped = "Failed to activate table because of invalid metadata in ZooKeeper.";
        let of = |words| policy(&Failure::server("x", Code::INVALID_STATE, words));
        assert_eq!((of(started), of(wiped)), (Policy::Outage, Policy::StopJob));
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_not_the_fault_of_the_data() {
        assert_eq!(of(Code::CANNOT_READ_FROM_FILE_DESCRIPTOR), Policy::Retry);
    }

    #[test]
    fn a_code_that_is_not_listed_is_a_kind_of_its_own_and_is_retried() {
        let failure = Failure::server("x", 424_242, "words");
        assert_eq!((failure.kind, failure.code()), (Kind::Unlisted(424_242), None));
        assert!(failure.is_refusal());
        assert_eq!(policy(&failure), Policy::Retry);
    }

    #[test]
    fn codes_that_one_file_or_the_whole_job_can_cause_are_in_doubt() {
        for code in [
            Code::THERE_IS_NO_COLUMN,
            Code::NO_SUCH_COLUMN_IN_TABLE,
            Code::BAD_ARGUMENTS,
            Code::ILLEGAL_TYPE_OF_ARGUMENT,
            Code::UNKNOWN_FUNCTION,
            Code::UNKNOWN_IDENTIFIER,
            Code::NOT_IMPLEMENTED,
            Code::TYPE_MISMATCH,
            Code::CANNOT_CONVERT_TYPE,
            Code::INCOMPATIBLE_COLUMNS,
            Code::CANNOT_EXTRACT_TABLE_STRUCTURE,
        ] {
            assert_eq!(of(code), Policy::InDoubt, "{code:?}");
            assert!(of(code).needs_operator(), "{code:?}");
        }
    }

    #[test]
    fn a_key_that_is_gone_is_not_tried_again_but_a_busy_store_is() {
        let of = |words| of_words(Code::S3_ERROR, words);
        assert_eq!(of("The specified key does not exist."), Policy::FailTask);
        let unknown = "`InvalidAccessKeyId`: The access key ID you provided does not exist";
        assert_eq!(of(unknown), Policy::StopJob);
        assert_eq!(of("SlowDown"), Policy::Outage);
        assert_eq!(of("MalformedXML"), Policy::Retry);
        let of = |status: &str| {
            let words = format!("HTTP status code: {status}, body length");
            of_words(Code::RECEIVED_ERROR_FROM_REMOTE_IO_SERVER, &words)
        };
        assert_eq!(of("404 'Not Found'"), Policy::FailTask);
        assert_eq!(of("503 'Service Unavailable'"), Policy::Outage);
    }

    #[test]
    fn an_odd_address_is_the_fault_of_its_file_and_a_cut_network_passes() {
        let of = |words| of_words(Code::POCO_EXCEPTION, words);
        assert_eq!(of("Bad URI syntax: URI encoding: not a hex digit"), Policy::FailTask);
        assert_eq!(of("Connection refused"), Policy::Outage);
    }

    #[test]
    fn too_many_parts_of_a_block_stay_too_many_and_merges_are_waited_for() {
        let of = |words| of_words(Code::TOO_MANY_PARTS, words);
        let block = "Too many partitions for single INSERT block (more than 100).";
        assert_eq!(of(block), Policy::FailTask);
        let table = "Too many parts (300) in table 'd.t'. Merges are processing slower";
        assert_eq!(of(table), Policy::Outage);
        assert_eq!(of("Too many inactive parts (4) in table 'd.t'."), Policy::Outage);
    }
}
