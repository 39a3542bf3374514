//! `longshore plan files`: files of an object store, cut into chunks.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::schema::columns;
use longshore_shared::source::{Reading, SourceKeys};
use longshore_shared::task::{
    FilesSource, JobSpec, Made, Source, SourceFile, SourceFunction, TableName,
};

use super::common::{Document, LoadArgs};
use crate::grants::durable::check_durable;
use crate::plan::files::objects::{ListingRequest, list};
use crate::plan::files::pack::{PackLimits, pack};
use crate::plan::files::{Files, Findings, is_marker, validate};
use crate::plan::servers::deal::{deal, divide};
use crate::plan::servers::endpoints::EndpointArgs;
use crate::plan::servers::shard::{Loaded, shard_by};
use crate::plan::target::columns::check_syntax;
use crate::plan::target::filled::target;
use crate::plan::target::shadow::Marks;
use crate::plan::write::publish;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Bytes of files in one chunk, compressed as they are.
const CHUNK_BYTES: u64 = 1 << 30;

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
    /// Columns of the files as 'name Type, …' [default: read from the files and the target]
    #[arg(long, value_name = "COLUMNS")]
    structure: Option<String>,
    /// Only compare every file with the target, and write nothing; N: parse so many rows of each too
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0")]
    validate: Option<u64>,
    /// Files whose schemas are read now; of more a sample is, and workers look at the others
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    schemas_max: u32,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    endpoints: EndpointArgs,
    /// Files in one chunk
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk_files_max: u32,
}

pub(crate) async fn run(args: FilesArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let settings = args.load.job.settings()?;
    let addresses = addresses(&args)?;
    let keys = SourceKeys::load(args.source_keys_file.as_deref(), |name| std::env::var(name).ok())
        .map_err(|error| Report::new(Kind::Usage, error.to_string()))?;
    let session = Session::open(config).await?;
    let server = &session.server;
    check_syntax(server, args.load.select.as_deref(), &args.load.filter).await?;
    let mode = args.load.mode.into();
    let publishing = args.load.job.publish.chosen(false)?;
    let ignored = &args.load.job.ignore_view;
    let fleet = args.endpoints.open(config, &session, mode, publishing).await?;
    let home = fleet.first();
    let (graph, mut notes) = target(home, &args.target, mode, publishing, ignored).await?;
    let servers = fleet.bind(&graph, &args.target, ignored).await?;
    let marks = Marks::of(server, &graph, publishing).await?;

    let request = ListingRequest {
        addresses: &addresses,
        literal: args.files.is_some(),
        function: args.source_function,
        collection: args.named_collection.as_deref(),
        container: args.container.as_deref(),
        settings: &settings,
    };
    let mut listing = list(server, &request, &keys).await?;
    notes.append(&mut listing.notes);
    notes.extend(leave_out_markers(&mut listing.files));
    let first = &listing.files[..1];
    let format = match args.format {
        Some(format) => format,
        None => guess_format(&first[0].path)?,
    };
    let source = FilesSource {
        function: listing.location.function,
        base: listing.location.base.clone(),
        strip: listing.strip.clone(),
        suffix: listing.location.suffix.clone(),
        named_collection: args.named_collection,
        container: args.container,
        format,
        structure: String::new(),
        outputs: Vec::new(),
        left_out: Vec::new(),
        own: Vec::new(),
        settings: BTreeMap::new(),
        unseen: None,
    };
    fleet.can_read(&source, first, &settings, &keys).await?;
    let choice = args.load.choice(args.structure);
    let target_columns = columns(home, &args.target).await?;
    let files = Files {
        server,
        target: &args.target,
        columns: &target_columns,
        source,
        list: &listing.files,
        keys: &keys,
        settings: &settings,
        choice: &choice,
        schemas_max: args.schemas_max as usize,
    };
    if let Some(rows) = args.validate {
        let findings = validate(files, rows).await?;
        output.show(&findings, Findings::words)?;
        return Ok(if findings.has_problems() { Exit::Problem } else { Exit::Done });
    }
    let (source, schema) = files.decide().await?;

    let chunk_bytes = args.load.chunk_bytes(CHUNK_BYTES);
    let durable = args.load.job.durable(config);
    for server in fleet.servers() {
        check_durable(server, durable).await?;
    }
    let by = match &args.endpoints.shard_by {
        None => None,
        Some(expression) => {
            let reading = Reading::files(&source, first, &choice.filter, &settings, &keys);
            let (select, columns) = (schema.select.as_str(), schema.columns.as_slice());
            let loaded = Loaded { reading: &reading, select, columns, target: &target_columns };
            Some(shard_by(&fleet, expression, &loaded).await?)
        }
    };
    let spec = JobSpec {
        source: Source::Files(source),
        mode,
        target: args.target,
        columns: schema.columns,
        select: schema.select,
        outputs: schema.outputs,
        filter: choice.filter,
        settings,
        graph,
        environment: session.environment.clone(),
        limits: args.load.job.limits(),
        publish: publishing,
        servers,
        shard_by: by,
        durable,
        made: Made {
            again: args.load.job.again.clone(),
            chunk_bytes: Some(chunk_bytes),
            chunk_files: Some(args.chunk_files_max),
            ..Made::default()
        },
        reopening: None,
    };
    notes.extend(schema.notes);
    let limits = PackLimits { bytes_max: chunk_bytes, files_max: args.chunk_files_max as usize };
    let seed = listing
        .files
        .iter()
        .fold(chunk_bytes, |seed, file| seed.wrapping_mul(31).wrapping_add(file.size));
    let chunks = pack(&listing.files, limits, seed);
    let chunks = if spec.shard_by.is_some() {
        divide(&chunks, spec.copies())
    } else {
        deal(&chunks, spec.servers.len())
    };
    let (job, created) = publish(&session, spec, &chunks, marks).await?;
    let words = format!("{} ({})", text::plural(job.files, "file"), text::bytes(job.bytes));
    output.show(&Document::of(&job, created, words, notes), Document::words)?;
    Ok(Exit::Done)
}

/// Takes away what holds no rows of a table: markers of other tools, and empty files where others
/// are not. Says so.
fn leave_out_markers(files: &mut Vec<SourceFile>) -> Option<String> {
    let has_rows = |file: &SourceFile| !is_marker(&file.path) && file.size > 0;
    if !files.iter().any(has_rows) {
        return None;
    }
    let out: Vec<String> =
        files.iter().filter(|file| !has_rows(file)).map(|file| file.path.clone()).collect();
    files.retain(has_rows);
    let first = out.first()?;
    let files = text::plural(out.len() as u64, "file");
    Some(format!(
        "left out, because they are empty or markers of other tools: {files}, the first is {first}"
    ))
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

fn parse_function(text: &str) -> Result<SourceFunction, String> {
    let names = || SourceFunction::ALL.map(SourceFunction::as_str).join(", ");
    SourceFunction::ALL
        .into_iter()
        .find(|function| function.as_str() == text)
        .ok_or_else(|| format!("one of: {}", names()))
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
    fn the_ending_tells_the_format() {
        assert_eq!(guess_format("b/a.csv.gz").unwrap(), "CSVWithNames");
        assert_eq!(guess_format("b/a.PARQUET").unwrap(), "Parquet");
        assert!(guess_format("b/a").is_err());
    }
}
