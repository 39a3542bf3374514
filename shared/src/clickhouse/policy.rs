//! What a failure means for the task it happened in: one total function over the error codes.
//!
//! A code is told by its name in ClickHouse (`system.errors`). A task that is tried again starts in
//! a fresh staging set, so a retry before `publishing` is always safe; the question is only whether
//! it can help. And if it cannot: is one task at fault, or would every task fail alike? Many codes
//! say neither, for the server uses them for odd data and for wrong statements. Those are
//! [`Policy::InDoubt`], and the worker finds out.

use super::{Failure, Kind};

/// What to do after a failure before `publishing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Something outside the task is away: the server, Keeper, the store, the network. It is waited
    /// for, as long as that takes; no attempt is used up.
    Outage,
    /// It passes: try again after a pause. Uses up one attempt.
    Retry,
    /// Too big for the server as it was sent: try again with smaller blocks and fewer threads.
    Lighter,
    /// The data is at fault: one more try cannot help, the task fails and the job goes on.
    FailTask,
    /// The data of one task may be at fault, or the statement of all. The same statement without a
    /// row tells them apart. Where nobody can ask, it is taken for the fault of all.
    InDoubt,
    /// Every task would fail alike (grants, missing table, changed schema): pause the job.
    StopJob,
}

impl Policy {
    /// It stays until a person mends it.
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::StopJob | Self::InDoubt)
    }
}

/// The codes that are no retry, with their names, by what they mean.
pub const CODES: [(Policy, &[(i32, &str)]); 5] = [
    (
        Policy::Outage,
        &[
            (198, "DNS_ERROR"),
            (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            (203, "NO_FREE_CONNECTION"),
            (209, "SOCKET_TIMEOUT"),
            (210, "NETWORK_ERROR"),
            (225, "NO_ZOOKEEPER"),
            // A replicated table whose server has lost Keeper.
            (242, "TABLE_IS_READ_ONLY"),
            (279, "ALL_CONNECTION_TRIES_FAILED"),
            (439, "CANNOT_SCHEDULE_TASK"),
            // A replicated table whose server was started without its Keeper.
            (667, "NOT_INITIALIZED"),
            (745, "SERVER_OVERLOADED"),
            (999, "KEEPER_EXCEPTION"),
        ],
    ),
    (Policy::Lighter, &[(241, "MEMORY_LIMIT_EXCEEDED"), (173, "CANNOT_ALLOCATE_MEMORY")]),
    (
        Policy::FailTask,
        &[
            // Text that is none of its type.
            (6, "CANNOT_PARSE_TEXT"),
            (25, "CANNOT_PARSE_ESCAPE_SEQUENCE"),
            (26, "CANNOT_PARSE_QUOTED_STRING"),
            (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
            (38, "CANNOT_PARSE_DATE"),
            (41, "CANNOT_PARSE_DATETIME"),
            (72, "CANNOT_PARSE_NUMBER"),
            (130, "CANNOT_READ_ARRAY_FROM_TEXT"),
            (376, "CANNOT_PARSE_UUID"),
            (441, "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING"),
            (467, "CANNOT_PARSE_BOOL"),
            (546, "NO_ROW_DELIMITER"),
            (563, "CANNOT_READ_MAP_FROM_TEXT"),
            (585, "CANNOT_PARSE_YAML"),
            (626, "CANNOT_SKIP_UNKNOWN_FIELD"),
            (632, "UNEXPECTED_DATA_AFTER_PARSED_VALUE"),
            (675, "CANNOT_PARSE_IPV4"),
            (676, "CANNOT_PARSE_IPV6"),
            (691, "UNKNOWN_ELEMENT_OF_ENUM"),
            (718, "TOO_SLOW_PARSING"),
            (760, "UNICODE_ERROR"),
            // A file that is cut off, damaged, or packed in another way than its name says.
            (3, "UNEXPECTED_END_OF_FILE"),
            (4, "EXPECTED_END_OF_FILE"),
            (32, "ATTEMPT_TO_READ_AFTER_EOF"),
            (33, "CANNOT_READ_ALL_DATA"),
            (39, "TOO_LARGE_SIZE_COMPRESSED"),
            (40, "CHECKSUM_DOESNT_MATCH"),
            (117, "INCORRECT_DATA"),
            (246, "CORRUPTED_DATA"),
            (271, "CANNOT_DECOMPRESS"),
            (354, "ZLIB_INFLATE_FAILED"),
            (432, "UNKNOWN_CODEC"),
            (448, "BROTLI_READ_FAILED"),
            (554, "LZMA_STREAM_DECODER_FAILED"),
            (561, "ZSTD_DECODER_FAILED"),
            (594, "BZIP2_STREAM_DECODER_FAILED"),
            (618, "LZ4_DECODER_FAILED"),
            (638, "SNAPPY_UNCOMPRESS_FAILED"),
            (643, "CANNOT_UNPACK_ARCHIVE"),
            (652, "ONLY_NULLS_WHILE_READING_SCHEMA"),
            (723, "PARQUET_EXCEPTION"),
            (748, "AVRO_EXCEPTION"),
            (1001, "STD_EXCEPTION"),
            // A file that is gone or another one by now.
            (107, "FILE_DOESNT_EXIST"),
            (629, "HTTP_RANGE_NOT_SATISFIABLE"),
            (1009, "S3_OBJECT_CHANGED_DURING_READ"),
            // A value that does not fit.
            (128, "TOO_LARGE_ARRAY_SIZE"),
            (131, "TOO_LARGE_STRING_SIZE"),
            (153, "ILLEGAL_DIVISION"),
            (190, "SIZES_OF_ARRAYS_DONT_MATCH"),
            (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
            (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"),
            (366, "SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT"),
            (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
            (407, "DECIMAL_OVERFLOW"),
            (435, "NO_COLUMN_SERIALIZED_TO_REQUIRED_PROTOBUF_FIELD"),
            (436, "PROTOBUF_BAD_CAST"),
            (437, "PROTOBUF_FIELD_NOT_REPEATED"),
            (469, "VIOLATED_CONSTRAINT"),
            (503, "AGGREGATE_FUNCTION_THROW"),
            (623, "CAPN_PROTO_BAD_CAST"),
            (645, "NUMBER_OF_DIMENSIONS_MISMATCHED"),
            // More partitions in one block than `max_partitions_per_insert_block`.
            (252, "TOO_MANY_PARTS"),
        ],
    ),
    (
        Policy::InDoubt,
        &[
            // Columns: of the target, or of one file.
            (7, "INCORRECT_NUMBER_OF_COLUMNS"),
            (8, "THERE_IS_NO_COLUMN"),
            (9, "SIZES_OF_COLUMNS_DOESNT_MATCH"),
            (10, "NOT_FOUND_COLUMN_IN_BLOCK"),
            (15, "DUPLICATE_COLUMN"),
            (16, "NO_SUCH_COLUMN_IN_TABLE"),
            (20, "NUMBER_OF_COLUMNS_DOESNT_MATCH"),
            (47, "UNKNOWN_IDENTIFIER"),
            (122, "INCOMPATIBLE_COLUMNS"),
            (207, "AMBIGUOUS_IDENTIFIER"),
            (352, "AMBIGUOUS_COLUMN_NAME"),
            (636, "CANNOT_EXTRACT_TABLE_STRUCTURE"),
            (772, "INCOMPATIBLE_SCHEMA"),
            // Types: of an expression, or of what a file holds.
            (19, "SIZE_OF_FIXED_STRING_DOESNT_MATCH"),
            (43, "ILLEGAL_TYPE_OF_ARGUMENT"),
            (44, "ILLEGAL_COLUMN"),
            (50, "UNKNOWN_TYPE"),
            (53, "TYPE_MISMATCH"),
            (70, "CANNOT_CONVERT_TYPE"),
            (120, "CANNOT_INSERT_VALUE_OF_DIFFERENT_SIZE_INTO_TUPLE"),
            (169, "BAD_TYPE_OF_FIELD"),
            (170, "BAD_GET"),
            (386, "NO_COMMON_TYPE"),
            (728, "UNEXPECTED_DATA_TYPE"),
            // Arguments and positions: written so, or made of a row.
            (11, "POSITION_OUT_OF_BOUND"),
            (12, "PARAMETER_OUT_OF_BOUND"),
            (34, "TOO_MANY_ARGUMENTS_FOR_FUNCTION"),
            (35, "TOO_FEW_ARGUMENTS_FOR_FUNCTION"),
            (36, "BAD_ARGUMENTS"),
            (42, "NUMBER_OF_ARGUMENTS_DOESNT_MATCH"),
            (46, "UNKNOWN_FUNCTION"),
            (62, "SYNTAX_ERROR"),
            (69, "ARGUMENT_OUT_OF_BOUND"),
            (125, "INCORRECT_RESULT_OF_SCALAR_SUBQUERY"),
            (135, "ZERO_ARRAY_OR_TUPLE_INDEX"),
            (427, "CANNOT_COMPILE_REGEXP"),
            (474, "INVALID_TEMPLATE_FORMAT"),
            (490, "CANNOT_FORMAT_DATETIME"),
            (754, "UDF_EXECUTION_FAILED"),
            // What this server cannot do at all, or not with this file.
            (48, "NOT_IMPLEMENTED"),
            (49, "LOGICAL_ERROR"),
            (73, "UNKNOWN_FORMAT"),
            (79, "INCORRECT_FILE_NAME"),
            (85, "FORMAT_IS_NOT_SUITABLE_FOR_INPUT"),
            (89, "UNKNOWN_COMPRESSION_METHOD"),
            (344, "SUPPORT_IS_DISABLED"),
            (401, "FEATURE_IS_NOT_ENABLED_AT_BUILD_TIME"),
            (422, "UNSUPPORTED_URI_SCHEME"),
            (715, "CANNOT_DETECT_FORMAT"),
        ],
    ),
    (
        Policy::StopJob,
        &[
            (56, "UNKNOWN_STORAGE"),
            (60, "UNKNOWN_TABLE"),
            (81, "UNKNOWN_DATABASE"),
            (115, "UNKNOWN_SETTING"),
            (164, "READONLY"),
            (192, "UNKNOWN_USER"),
            (193, "WRONG_PASSWORD"),
            (194, "REQUIRED_PASSWORD"),
            (195, "IP_ADDRESS_NOT_ALLOWED"),
            (291, "DATABASE_ACCESS_DENIED"),
            (452, "SETTING_CONSTRAINT_VIOLATION"),
            (471, "INVALID_SETTING_VALUE"),
            (472, "READONLY_SETTING"),
            (478, "UNKNOWN_POLICY"),
            (481, "PATH_ACCESS_DENIED"),
            (491, "UNACCEPTABLE_URL"),
            (497, "ACCESS_DENIED"),
            (516, "AUTHENTICATION_FAILED"),
            // Keeper does not know a KeeperMap table any more.
            (668, "INVALID_STATE"),
            (669, "NAMED_COLLECTION_DOESNT_EXIST"),
            (720, "USER_EXPIRED"),
        ],
    ),
];

/// RECEIVED_ERROR_FROM_REMOTE_IO_SERVER, S3_ERROR, AZURE_BLOB_STORAGE_ERROR, HDFS_ERROR, AWS_ERROR,
/// GCP_ERROR, GOOGLE_CLOUD_ERROR: what was wrong stands in the words alone.
const STORES: [i32; 7] = [86, 499, 500, 660, 693, 707, 737];
/// POCO_EXCEPTION: an address that is none, or the network.
const POCO_EXCEPTION: i32 = 1000;
/// LOGICAL_ERROR
const LOGICAL_ERROR: i32 = 49;
/// TOO_MANY_PARTS: of one block, or in a table whose merges lag behind.
const TOO_MANY_PARTS: i32 = 252;

/// The policy for a failure. Codes nobody listed are retried: attempts are bounded.
pub fn policy(failure: &Failure) -> Policy {
    let code = match failure.kind {
        Kind::Server(code) => code,
        Kind::Unknown | Kind::Unreachable => return Policy::Outage,
        Kind::Reply | Kind::Tls => return Policy::Retry,
    };
    let words = &failure.message;
    match code {
        // The store does not know us, whatever the file.
        code if STORES.contains(&code) && refuses_keys(words) => Policy::StopJob,
        // A key that is gone or forbidden stays so.
        code if STORES.contains(&code) && says_gone(words) => Policy::FailTask,
        POCO_EXCEPTION if says_odd_address(words) => Policy::FailTask,
        code if (STORES.contains(&code) || code == POCO_EXCEPTION) && says_away(words) => {
            Policy::Outage
        }
        TOO_MANY_PARTS if words.contains("Merges are processing") => Policy::Retry,
        // Before 26 the server names the temporary folder of a MOVE by the part alone: two MOVEs from
        // two staging tables at the same moment get in each other's way (seen on 25.8.2).
        LOGICAL_ERROR if words.contains("Temporary part") && words.contains("already added") => {
            Policy::Retry
        }
        code => {
            let has = |codes: &[(i32, &str)]| codes.iter().any(|(listed, _)| *listed == code);
            CODES.iter().find(|(_, codes)| has(codes)).map_or(Policy::Retry, |(policy, _)| *policy)
        }
    }
}

/// Does the store refuse the credentials, and not one object?
pub fn refuses_keys(message: &str) -> bool {
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthenticationFailed",
    ]
    .iter()
    .any(|mark| message.contains(mark))
}

/// Does the store say that the object is not there, or not for us?
pub fn says_gone(message: &str) -> bool {
    let has_status = |status: &str| {
        ["HTTP response code: ", "HTTP status code: "]
            .iter()
            .any(|head| message.contains(&format!("{head}{status}")))
    };
    let marks = [
        "does not exist",
        "NoSuchKey",
        "NO_SUCH_KEY",
        "BlobNotFound",
        "AccessDenied",
        "Access Denied",
    ];
    marks.iter().any(|mark| message.contains(mark))
        || ["401", "403", "404", "410"].into_iter().any(has_status)
}

/// Does the server say that the store, or the network on the way to it, is away or overloaded?
fn says_away(message: &str) -> bool {
    let has_status = ["HTTP response code: ", "HTTP status code: "].iter().any(|head| {
        ["429", "500", "502", "503", "504"]
            .iter()
            .any(|status| message.contains(&format!("{head}{status}")))
    });
    let marks = [
        "SlowDown",
        "ServiceUnavailable",
        "Service Unavailable",
        "InternalError",
        "RequestTimeout",
        "Timeout",
        "timed out",
        "Connection refused",
        "Connection reset",
        "Broken pipe",
        "Net Exception",
        "Network is unreachable",
        "No route to host",
        "Host not found",
        "No message received",
    ];
    has_status || marks.iter().any(|mark| message.contains(mark))
}

/// Does the server say that an address is none?
pub fn says_odd_address(message: &str) -> bool {
    message.contains("Bad URI syntax") || message.contains("URISyntaxException")
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
        assert_eq!(of(999), Policy::Outage);
        assert_eq!(of(424_242), Policy::Retry);
        assert_eq!(policy(&Failure::unknown("x", "cut".into())), Policy::Outage);
    }

    #[test]
    fn codes_that_one_file_or_the_whole_job_can_cause_are_in_doubt() {
        for code in [8, 16, 36, 43, 46, 47, 48, 53, 70, 122, 636] {
            let policy = policy(&Failure::server("x", code, "words"));
            assert_eq!(policy, Policy::InDoubt, "{code}");
            assert!(policy.is_lasting(), "{code}");
        }
    }

    #[test]
    fn no_code_is_listed_twice() {
        let mut codes: Vec<i32> =
            CODES.iter().flat_map(|(_, codes)| codes.iter().map(|(code, _)| *code)).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn a_key_that_is_gone_is_not_tried_again_but_a_busy_store_is() {
        let gone = Failure::server("x", 499, "The specified key does not exist.");
        assert_eq!(policy(&gone), Policy::FailTask);
        let unknown = "`InvalidAccessKeyId`: The access key ID you provided does not exist";
        assert_eq!(policy(&Failure::server("x", 499, unknown)), Policy::StopJob);
        assert_eq!(policy(&Failure::server("x", 499, "SlowDown")), Policy::Outage);
        assert_eq!(policy(&Failure::server("x", 499, "MalformedXML")), Policy::Retry);
        let of = |status: &str| {
            policy(&Failure::server("x", 86, &format!("HTTP status code: {status}, body length")))
        };
        assert_eq!(of("404 'Not Found'"), Policy::FailTask);
        assert_eq!(of("503 'Service Unavailable'"), Policy::Outage);
    }

    #[test]
    fn an_odd_address_is_the_fault_of_its_file_and_a_cut_network_passes() {
        let of = |words| policy(&Failure::server("x", 1000, words));
        assert_eq!(of("Bad URI syntax: URI encoding: not a hex digit"), Policy::FailTask);
        assert_eq!(of("Connection refused"), Policy::Outage);
    }

    #[test]
    fn too_many_parts_of_a_block_stay_too_many_and_merges_catch_up() {
        let of = |words| policy(&Failure::server("x", 252, words));
        assert_eq!(of("Too many partitions for single INSERT block"), Policy::FailTask);
        assert_eq!(of("Too many parts (300). Merges are processing slower"), Policy::Retry);
    }
}
