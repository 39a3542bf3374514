//! Settings that every load sends, whatever the server's profile says: they decide whether rows are
//! lost or doubled, so a plan cannot change them.

use std::collections::BTreeMap;

use crate::planted::{Bug, planted};

/// Name and value.
pub const LOAD_SETTINGS: [(&str, &str); 21] = [
    // Staging is fresh and private: an identical block is a block, not a repetition. Since 26.2 the
    // two others override the first one.
    ("insert_deduplicate", "0"),
    ("deduplicate_insert", "disable"),
    ("deduplicate_insert_select", "disable"),
    // Compiled casts do not fail: the fourth chunk would be loaded with other values than the first.
    ("compile_expressions", "0"),
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
    ("s3_validate_etag_on_read", "1"),
    ("max_execution_time", "0"),
    ("limit", "0"),
    ("offset", "0"),
    ("max_rows_to_read", "0"),
    ("read_overflow_mode", "throw"),
    ("enable_parallel_replicas", "0"),
    // Its name before 24.10.
    ("allow_experimental_parallel_reading_from_replicas", "0"),
];

/// Settings with which less is guessed of text, one try after the other: no integers (one of more than 64
/// bits is refused), rows that differ are variants, objects of JSON are no tuples (a key `null` or an empty one
/// is no name of an element), no moments, and the first row alone.
pub(super) const EASIER: [&[(&str, &str)]; 5] = [
    &[NO_INTEGERS],
    &[NO_INTEGERS, ("input_format_try_infer_variants", "1")],
    &[NO_TUPLES],
    &[NO_INTEGERS, NO_TUPLES, NO_DATES, NO_MOMENTS],
    &[
        NO_INTEGERS,
        NO_TUPLES,
        NO_DATES,
        NO_MOMENTS,
        ("input_format_max_rows_to_read_for_schema_inference", "1"),
    ],
];
const NO_INTEGERS: (&str, &str) = ("input_format_try_infer_integers", "0");
const NO_TUPLES: (&str, &str) = ("input_format_json_try_infer_named_tuples_from_objects", "0");
const NO_DATES: (&str, &str) = ("input_format_try_infer_dates", "0");
const NO_MOMENTS: (&str, &str) = ("input_format_try_infer_datetimes", "0");

/// Settings of every statement that opens files: listing, schema, count, load, and the search for a
/// file at fault. A plan may set some of them to read its files in another way.
pub const READ_SETTINGS: [(&str, &str); 26] = [
    // What an earlier query saw of a file is no news of it; on 26.7 a cached schema has no columns
    // of hive folders.
    ("schema_inference_use_cache_for_s3", "0"),
    ("schema_inference_use_cache_for_azure", "0"),
    ("schema_inference_use_cache_for_hdfs", "0"),
    ("schema_inference_use_cache_for_file", "0"),
    ("schema_inference_use_cache_for_url", "0"),
    ("use_cache_for_count_from_files", "0"),
    // A file that answers 404 is lost rows, not a shorter list.
    ("http_skip_not_found_url_for_globs", "0"),
    // An empty file holds no row; that it is empty still is known by its pinned size.
    ("s3_skip_empty_files", "1"),
    ("azure_skip_empty_files", "1"),
    ("hdfs_skip_empty_files", "1"),
    ("engine_file_skip_empty_files", "1"),
    ("engine_url_skip_empty_files", "1"),
    // A column that a file lacks takes the default that stands in the structure.
    ("input_format_parquet_allow_missing_columns", "1"),
    ("input_format_orc_allow_missing_columns", "1"),
    ("input_format_arrow_allow_missing_columns", "1"),
    // The reader of Avro refuses such a file; a plan may say that it takes the default too.
    ("input_format_avro_allow_missing_fields", "0"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_null_as_default", "1"),
    ("input_format_csv_empty_as_default", "1"),
    ("insert_null_as_default", "1"),
    ("input_format_with_names_use_header", "1"),
    ("use_hive_partitioning", "1"),
    // A conversion of NULL must not look at what stands in its place.
    ("short_circuit_function_evaluation", "enable"),
    // A cast names types that the target has already.
    ("allow_suspicious_low_cardinality_types", "1"),
    ("allow_suspicious_fixed_string_types", "1"),
    ("allow_suspicious_variant_types", "1"),
];

/// Settings of a statement that describes: the answer has the columns that are read out of it.
pub const DESCRIBE_SETTINGS: [(&str, &str); 3] = [
    ("describe_include_virtual_columns", "0"),
    ("describe_include_subcolumns", "0"),
    ("describe_compact_output", "0"),
];

/// Those of the above that decide whether rows are lost, or whether a plan can be trusted.
const READ_PROTECTED: [&str; 12] = [
    "schema_inference_use_cache_for_s3",
    "schema_inference_use_cache_for_azure",
    "schema_inference_use_cache_for_hdfs",
    "schema_inference_use_cache_for_file",
    "schema_inference_use_cache_for_url",
    "use_cache_for_count_from_files",
    "http_skip_not_found_url_for_globs",
    "short_circuit_function_evaluation",
    "describe_include_virtual_columns",
    "describe_include_subcolumns",
    "describe_compact_output",
    "insert_null_as_default",
];

/// Settings of a statement that opens files, in the order in which they are set: those of every
/// plan, those that this plan chose, those of the user.
pub fn read_settings(
    chosen: &BTreeMap<String, String>,
    user: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let fixed = READ_SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let given = chosen.iter().chain(user).map(|(name, value)| (name.clone(), value.clone()));
    let skips = ("http_skip_not_found_url_for_globs".to_owned(), "1".to_owned());
    fixed.chain(given).chain(planted(Bug::SkipFiles).then_some(skips)).collect()
}

/// What a load into the target itself sends besides, in place of its own among the above.
///
/// The server makes the token of a block out of ours and the blocks it was squashed from, so a
/// repeated insert is recognised only if it is read in blocks of the same sizes. Sorted by all its
/// columns and cut at a fixed number of rows it is, whatever has been merged in between (measured;
/// the server itself takes a SELECT for repeatable only then).
pub const DIRECT_SETTINGS: [(&str, &str); 13] = [
    ("insert_deduplicate", "1"),
    ("deduplicate_insert", "enable"),
    ("deduplicate_insert_select", "enable_when_possible"),
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

/// Settings of the above that some servers do not know. One that refuses a statement because of such
/// a name gets it without that name, and with all others.
pub const RECENT_SETTINGS: [&str; 8] = [
    "deduplicate_insert",
    "deduplicate_insert_select",
    "allow_experimental_parallel_reading_from_replicas",
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
    OWN_SETTINGS.contains(&name)
        || READ_PROTECTED.contains(&name)
        || LOAD_SETTINGS.iter().any(|(protected, _)| *protected == name)
}
