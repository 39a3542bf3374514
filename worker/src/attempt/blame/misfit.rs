//! The value that a load would have lost: its file, its column, and the value itself.

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server};
use longshore_shared::source::{Reading, SourceKeys, raw_clause, read_settings};
use longshore_shared::sql::quote_literal;
use longshore_shared::task::{Chunk, FilesSource, JobSpec, Output, Source, SourceFile};
use serde::Deserialize;

use crate::claim::Claim;
use crate::worker::Worker;

/// Files that are asked one by one.
const FILES_MAX: usize = 200;
/// Characters of a value that are shown.
const VALUE_CHARS: usize = 100;

/// Errors of a conversion that found a value which does not fit.
const MISFITS: [Code; 18] = [
    Code::CANNOT_CONVERT_TYPE,
    Code::CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN,
    Code::FUNCTION_THROW_IF_VALUE_IS_NON_ZERO,
    Code::CANNOT_PARSE_TEXT,
    Code::CANNOT_PARSE_INPUT_ASSERTION_FAILED,
    Code::CANNOT_PARSE_DATE,
    Code::CANNOT_PARSE_DATETIME,
    Code::CANNOT_PARSE_NUMBER,
    Code::TYPE_MISMATCH,
    Code::DECIMAL_OVERFLOW,
    Code::ARGUMENT_OUT_OF_BOUND,
    Code::VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
    Code::CANNOT_PARSE_UUID,
    Code::CANNOT_PARSE_BOOL,
    Code::CANNOT_PARSE_IPV4,
    Code::CANNOT_PARSE_IPV6,
    Code::UNKNOWN_ELEMENT_OF_ENUM,
    Code::TOO_LARGE_STRING_SIZE,
];

/// May this failure be one of a conversion?
pub(crate) fn may_be(failure: &Failure) -> bool {
    failure.code().is_some_and(|code| MISFITS.contains(&code))
}

#[derive(Deserialize, Row)]
struct Example {
    path: String,
    value: String,
}

/// A sentence about the first value that does not fit; nothing when there is none, or it cannot be found.
pub(crate) async fn find(worker: &Worker, claim: &Claim, chunk: &Chunk) -> Option<String> {
    let spec = &claim.job.spec;
    if let (Source::Files(source), files @ [_, ..]) = (&spec.source, chunk.files()) {
        for output in source.outputs.iter().filter(|output| output.cast.is_some()) {
            let found = in_files(&claim.server, spec, source, files, output, &worker.keys).await;
            if found.is_some() {
                return found;
            }
        }
    }
    for output in spec.outputs.iter().filter(|output| output.cast.is_some()) {
        let found = in_query(worker, claim, chunk, output).await;
        if found.is_some() {
            return found;
        }
    }
    None
}

async fn in_files(
    server: &Server,
    spec: &JobSpec,
    source: &FilesSource,
    files: &[SourceFile],
    output: &Output,
    keys: &SourceKeys,
) -> Option<String> {
    let mut settings = read_settings(&source.settings, &spec.settings);
    // One column is asked for; the others are no surprise here.
    settings.push(("input_format_skip_unknown_fields".to_owned(), "1".to_owned()));
    let words =
        |path: &str, found: &Example| format!("file {path}: {}", sentence(output, &found.value));
    if !source.own.iter().any(|own| own == "_path") {
        let from = raw_clause(source, files, keys);
        let found = example(server, "_path", &from, output, &settings).await?;
        return Some(words(&found.path, &found));
    }
    // A column of that name hides which file a row comes from.
    for file in files.iter().take(FILES_MAX) {
        let from = raw_clause(source, std::slice::from_ref(file), keys);
        if let Some(found) = example(server, "''", &from, output, &settings).await {
            return Some(words(&file.path, &found));
        }
    }
    None
}

async fn in_query(
    worker: &Worker,
    claim: &Claim,
    chunk: &Chunk,
    output: &Output,
) -> Option<String> {
    let spec = &claim.job.spec;
    let reading = Reading::of(spec, chunk, &worker.keys).ok()?;
    let load = spec.load(chunk);
    let from = format!("({})", reading.select(load.select?));
    let found = example(&claim.server, "''", &from, output, &reading.settings).await?;
    Some(sentence(output, &found.value))
}

async fn example(
    server: &Server,
    path: &str,
    from: &str,
    output: &Output,
    settings: &[(String, String)],
) -> Option<Example> {
    let misfit = output.conversion()?.misfit;
    let value = output.read();
    let text = format!(
        "SELECT toValidUTF8({path}) AS path, toValidUTF8(ifNull(toString({value}), {})) AS value FROM {from} \
         WHERE {misfit} LIMIT 1",
        quote_literal("NULL")
    );
    let known = server.known_settings().await;
    // There each part of the condition sees every row, and a cast fails on the value that is looked for.
    let call = server.call_text("find_misfit", text).setting("optimize_move_to_prewhere", 0);
    let call = call.settings(settings, known).deadline(None);
    match call.fetch_optional::<Example>().await {
        Ok(found) => found,
        Err(failure) => {
            tracing::debug!(%failure, column = output.name, "cannot look for the value");
            None
        }
    }
}

fn sentence(output: &Output, value: &str) -> String {
    let (from, to) =
        output.cast.as_ref().map_or(("", ""), |cast| (cast.from.as_str(), cast.to.as_str()));
    let shown: String = value.chars().take(VALUE_CHARS).collect();
    let more = if value.chars().count() > VALUE_CHARS { "…" } else { "" };
    format!(
        "value {shown}{more} of column {} ({from}) does not fit {to}; a plan with --conversions as-insert loads \
         what a plain INSERT makes of it",
        output.name
    )
}
