//! Settings that every load sends, whatever the server's profile says: they decide whether rows are
//! lost or doubled, so a plan cannot change them.

/// Name and value.
pub const LOAD_SETTINGS: [(&str, &str); 19] = [
    // Staging is fresh and private: an identical block is a block, not a repetition.
    ("insert_deduplicate", "0"),
    // A view that fails fails the load; otherwise its rows are silently missing.
    ("materialized_views_ignore_errors", "0"),
    // Staged rows equal read rows for every engine.
    ("optimize_on_insert", "0"),
    ("async_insert", "0"),
    ("max_partitions_per_insert_block", "10000"),
    ("throw_on_max_partitions_per_insert_block", "1"),
    // A profile may allow bad lines to be skipped.
    ("input_format_allow_errors_num", "0"),
    ("input_format_allow_errors_ratio", "0"),
    // No file is no error to some profiles.
    ("s3_ignore_file_doesnt_exist", "0"),
    ("s3_throw_on_zero_files_match", "1"),
    ("s3_skip_empty_files", "0"),
    ("s3_validate_etag_on_read", "1"),
    ("http_skip_not_found_url_for_globs", "0"),
    ("max_execution_time", "0"),
    ("limit", "0"),
    ("offset", "0"),
    ("max_rows_to_read", "0"),
    ("read_overflow_mode", "throw"),
    ("enable_parallel_replicas", "0"),
];

/// What a load into the target itself sends besides, in place of its own among the above.
///
/// The server makes the token of a block out of ours and the blocks it was squashed from, so a
/// repeated insert is recognised only if it is read in blocks of the same sizes. Sorted by all its
/// columns and cut at a fixed number of rows it is, whatever has been merged in between (measured;
/// the server itself takes a SELECT for repeatable only then).
pub const DIRECT_SETTINGS: [(&str, &str); 11] = [
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("max_threads", "1"),
    ("max_insert_threads", "1"),
    ("max_block_size", "65409"),
    ("preferred_block_size_bytes", "1000000"),
    ("max_bytes_before_external_sort", "0"),
    ("max_bytes_ratio_before_external_sort", "0"),
    ("min_insert_block_size_rows", "1000000000000"),
    ("min_insert_block_size_bytes", "0"),
    ("distributed_foreground_insert", "1"),
];

/// Settings of the above that older servers do not know; another check finds what they would.
pub const RECENT_SETTINGS: [&str; 5] = [
    "s3_validate_etag_on_read",
    "s3_ignore_file_doesnt_exist",
    "enable_parallel_replicas",
    "max_bytes_ratio_before_external_sort",
    "distributed_foreground_insert",
];

/// Settings that Longshore itself chooses for each load or statement.
const OWN_SETTINGS: [&str; 9] = [
    "query_id",
    "log_comment",
    "wait_end_of_query",
    "send_progress_in_http_headers",
    "additional_table_filters",
    "prefer_column_name_to_alias",
    "max_query_size",
    "insert_deduplication_token",
    "session_id",
];

/// May a plan set it?
pub fn is_protected(name: &str) -> bool {
    OWN_SETTINGS.contains(&name) || LOAD_SETTINGS.iter().any(|(protected, _)| *protected == name)
}
