//! `longshore plan files`: files of an object store, cut into chunks.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::schema::{columns, discover};
use longshore_shared::source::{SourceKeys, from_clause, is_protected};
use longshore_shared::task::{FilesSource, JobSpec, JobState, Limits, SourceFunction, TableName};
use serde::Serialize;

use crate::exit::{Error, Exit, Kind, Report};
use crate::output::Output;
use crate::plan::{
    ColumnChoice, ListingRequest, PackLimits, PublishArgs, check_syntax, decide, leave_views, list,
    pack, publish, rehearse, rehearse_publish,
};
use crate::session::Session;
use crate::text;

/// Plan a load of files from S3, GCS, Azure, HDFS, the web or the server's disk
///
/// The server lists the files once; each is pinned by size and etag. Nothing is loaded and nothing
/// is written but the plan itself. The same files into the same target give the same plan.
///
/// Keys of the store come from a named collection on the server, or from AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AZURE_STORAGE_CONNECTION_STRING (the workers need
/// them too then), or from a file.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// Table to load into, as DATABASE.TABLE (odd names in back quotes)
    #[arg(long, value_name = "TABLE")]
    target: TableName,
    /// Address of the files, with * ** ? {a,b} {1..9}; a key alone with --named-collection
    #[arg(long, value_name = "URL", required_unless_present = "files", conflicts_with = "files")]
    url: Option<String>,
    /// File with one address a line instead, or - for standard input; taken literally, no globs
    #[arg(long, value_name = "LIST")]
    files: Option<PathBuf>,
    /// Table function that reads them: s3, gcs, azureBlobStorage, url, file, hdfs [default: by the address]
    #[arg(long, value_name = "NAME", value_parser = parse_function)]
    source_function: Option<SourceFunction>,
    /// Named collection on the server that holds address and keys
    #[arg(long, value_name = "NAME")]
    named_collection: Option<String>,
    /// File with the keys as NAME=value lines (an AWS credentials file works)
    #[arg(long, env = "LONGSHORE_SOURCE_KEYS_FILE", value_name = "FILE")]
    source_keys_file: Option<PathBuf>,
    /// Container of an Azure address
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// ClickHouse format of the files [default: by their ending]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Columns of the files as 'name Type, …' [default: read from the first file]
    #[arg(long, value_name = "COLUMNS")]
    structure: Option<String>,
    /// Expressions to load, named like target columns [default: the columns by name]
    #[arg(long, value_name = "EXPRESSIONS")]
    select: Option<String>,
    /// Load only rows that meet this condition
    #[arg(long = "where", value_name = "CONDITION", default_value = "", hide_default_value = true)]
    filter: String,
    /// Load only these columns of the files
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with = "select")]
    columns: Vec<String>,
    /// ClickHouse setting of every load, as NAME=VALUE; may be repeated
    #[arg(long = "settings", value_name = "NAME=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    /// Bytes of files in one chunk, as 500M or 2G
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = parse_bytes)]
    chunk_bytes: u64,
    /// Files in one chunk
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk_files_max: u32,
    /// Attempts before a task fails
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts_max: u32,
    /// Leave this refreshable view as it is: it does not fire on inserts; may be repeated
    #[arg(long, value_name = "VIEW")]
    ignore_view: Vec<TableName>,
    #[command(flatten)]
    publish: PublishArgs,
    /// Any text: gives the plan another id, to load the same files a second time on purpose
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    again: String,
}

#[derive(Debug, Serialize)]
struct Document {
    plan_id: String,
    chunks: u32,
    files: u64,
    bytes: u64,
    target: String,
    state: JobState,
    created: bool,
    tables: usize,
    views: usize,
    notes: Vec<String>,
}

pub(crate) async fn run(args: FilesArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let settings = parse_settings(&args.settings)?;
    let addresses = addresses(&args)?;
    let keys = SourceKeys::load(args.source_keys_file.as_deref(), |name| std::env::var(name).ok())
        .map_err(|error| Report::new(Kind::Usage, error.to_string()))?;
    let session = Session::open(config).await?;
    let server = &session.server;
    check_syntax(server, args.select.as_deref(), &args.filter).await?;
    let publishing = args.publish.chosen(false);
    let mut graph = discover(server, &args.target, &args.ignore_view).await?;
    let mut notes = leave_views(&mut graph, publishing);

    let request = ListingRequest {
        addresses: &addresses,
        literal: args.files.is_some(),
        function: args.source_function,
        collection: args.named_collection.as_deref(),
        container: args.container.as_deref(),
    };
    let listing = list(server, &request, &keys).await?;
    let first = &listing.files[..1];
    let format = match args.format {
        Some(format) => format,
        None => guess_format(&first[0].path)?,
    };
    let mut source = FilesSource {
        function: listing.location.function,
        base: listing.location.base.clone(),
        strip: listing.strip.clone(),
        suffix: listing.location.suffix.clone(),
        named_collection: args.named_collection,
        container: args.container,
        format,
        structure: String::new(),
    };
    let choice = ColumnChoice {
        structure: args.structure,
        select: args.select,
        columns: args.columns,
        filter: args.filter,
    };
    let target_columns = columns(server, &args.target).await?;
    let schema = decide(server, &target_columns, &source.format, &choice, |structure| {
        let structure = structure.unwrap_or_default().to_owned();
        from_clause(&FilesSource { structure, ..source.clone() }, first, &keys)
    })
    .await?;
    source.structure = schema.structure;
    rehearse(server, &graph).await?;
    rehearse_publish(server, &graph, publishing).await?;
    notes.extend(schema.notes);

    let spec = JobSpec {
        source,
        target: args.target,
        columns: schema.columns,
        select: schema.select,
        filter: choice.filter,
        settings,
        graph,
        environment: session.environment.clone(),
        limits: Limits { attempts_max: args.attempts_max, ..Limits::default() },
        publish: publishing,
    };
    let limits =
        PackLimits { bytes_max: args.chunk_bytes, files_max: args.chunk_files_max as usize };
    let seed = listing
        .files
        .iter()
        .fold(args.chunk_bytes, |seed, file| seed.wrapping_mul(31).wrapping_add(file.size));
    let chunks = pack(&listing.files, limits, seed);
    let (tables, views) = (spec.graph.tables.len(), spec.graph.views.len());
    let (job, created) = publish(&session, spec, &chunks, &args.again).await?;
    let document = Document {
        plan_id: job.id.to_string(),
        chunks: job.tasks,
        files: job.files,
        bytes: job.bytes,
        target: job.spec.target.to_string(),
        state: job.state,
        created,
        tables,
        views,
        notes,
    };
    output.show(&document, words)?;
    Ok(Exit::Done)
}

fn words(document: &Document) -> String {
    let Document { plan_id, target, .. } = document;
    let mut lines = vec![format!(
        "Plan {plan_id}: {} ({}) into {target}, in {}.",
        text::plural(document.files, "file"),
        text::bytes(document.bytes),
        text::plural(document.chunks.into(), "chunk"),
    )];
    if document.views > 0 {
        lines.push(format!(
            "{} and {} of theirs are filled too.",
            text::plural(document.views as u64, "materialized view"),
            text::plural(document.tables as u64 - 1, "table"),
        ));
    }
    lines.extend(document.notes.iter().map(|note| format!("Note: {note}.")));
    lines.push(String::new());
    lines.push(match (document.created, document.state) {
        (true, _) | (false, JobState::Planned) => format!(
            "Next: look at it with `longshore plan show {plan_id}`\n{:6}load it here with `longshore run {plan_id} --workers 4`\n{:6}or hand it to a fleet with `longshore submit {plan_id}`",
            "", ""
        ),
        (false, state) => format!(
            "This plan was made before and is {}: longshore status {plan_id}\nTo load the same files once more on purpose: --again TEXT",
            state.as_str()
        ),
    });
    lines.join("\n")
}

fn addresses(args: &FilesArgs) -> Result<Vec<String>, Error> {
    let Some(list) = &args.files else { return Ok(args.url.iter().cloned().collect()) };
    let mut text = String::new();
    let read = if list == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(list).map(|read| text = read)
    };
    read.map_err(|error| {
        let message = format!("cannot read the list of files `{}`: {error}", list.display());
        Report::new(Kind::Usage, message)
    })?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

fn parse_settings(pairs: &[String]) -> Result<BTreeMap<String, String>, Error> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Report::new(Kind::Usage, format!("--settings takes NAME=VALUE, not `{pair}`"))
            })?;
            if is_protected(name.trim()) {
                let message = format!(
                    "the setting `{}` is Longshore's own: it decides whether rows are lost",
                    name.trim()
                );
                return Err(Report::new(Kind::Usage, message).into());
            }
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn parse_function(text: &str) -> Result<SourceFunction, String> {
    let names = || SourceFunction::ALL.map(SourceFunction::as_str).join(", ");
    SourceFunction::ALL
        .into_iter()
        .find(|function| function.as_str() == text)
        .ok_or_else(|| format!("one of: {}", names()))
}

/// `1G`, `500M`, `64K`, `1073741824`: powers of 1024.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        Some((at, 't' | 'T')) => (&text[..at], 1 << 40),
        _ => (text, 1u64),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, as 500M or 2G".to_owned())?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "at least 1 byte, at most 16 million TB".to_owned())
}

fn guess_format(path: &str) -> Result<String, Error> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let packed = [".gz", ".zst", ".xz", ".bz2", ".lz4", ".br", ".snappy"];
    let name = packed.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let format = match name.rsplit('.').next().unwrap_or_default() {
        "parquet" | "pq" => "Parquet",
        "orc" => "ORC",
        "avro" => "Avro",
        "arrow" => "Arrow",
        "native" => "Native",
        "csv" => "CSVWithNames",
        "tsv" => "TabSeparatedWithNames",
        "json" | "jsonl" | "ndjson" => "JSONEachRow",
        _ => {
            let message = format!("cannot tell the format of `{path}` from its ending");
            return Err(Report::new(Kind::Usage, message).help("give --format").into());
        }
    };
    Ok(format.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_and_without_a_unit() {
        assert_eq!(parse_bytes("1G"), Ok(1 << 30));
        assert_eq!(parse_bytes("500M"), Ok(500 << 20));
        assert_eq!(parse_bytes("2GiB"), Ok(2 << 30));
        assert_eq!(parse_bytes("123"), Ok(123));
        for wrong in ["", "0", "-1", "1X", "99999999999T"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_ending_tells_the_format() {
        assert_eq!(guess_format("b/a.csv.gz").unwrap(), "CSVWithNames");
        assert_eq!(guess_format("b/a.PARQUET").unwrap(), "Parquet");
        assert!(guess_format("b/a").is_err());
    }

    #[test]
    fn a_setting_that_decides_whether_rows_are_lost_is_refused() {
        let settings = |text: &str| parse_settings(&[text.to_owned()]);
        assert!(settings("materialized_views_ignore_errors=1").is_err());
        assert!(settings("no value").is_err());
        assert_eq!(settings("max_threads = 3").unwrap()["max_threads"], "3");
    }
}
