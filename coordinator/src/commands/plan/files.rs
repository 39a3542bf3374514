//! `longshore plan files`: files of an object store, cut into chunks.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::source::SourceKeys;
use longshore_shared::task::{SourceFunction, TableName};

use super::common::{Document, LoadArgs};
use crate::plan::build::{build, validate_files};
use crate::plan::files::Findings;
use crate::plan::input::{FilesInput, PlanInput};
use crate::plan::servers::endpoints::EndpointArgs;
use crate::plan::write::{Written, write};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

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
    let rows = args.validate;
    let input = args.input(config)?;
    let session = Session::open(config).await?;
    if let Some(rows) = rows {
        let findings = validate_files(&session, config, &input, rows).await?;
        output.show(&findings, Findings::words)?;
        return Ok(if findings.has_problems() { Exit::Problem } else { Exit::Done });
    }
    let draft = build(&session, config, PlanInput::Files(input)).await?;
    let Written { job, created, notes, .. } = write(&session, draft).await?;
    let words = format!("{} ({})", text::plural(job.files, "file"), text::bytes(job.bytes));
    output.show(&Document::of(&job, created, words, notes), Document::words)?;
    Ok(Exit::Done)
}

impl FilesArgs {
    fn input(self, config: &Config) -> Result<FilesInput, Error> {
        let mut job = self.load.job.input(config, self.load.mode.into(), false)?;
        let addresses = addresses(&self)?;
        let from_environment = |name: &str| std::env::var(name).ok();
        let keys = SourceKeys::load(self.source_keys_file.as_deref(), from_environment)
            .map_err(|error| Report::new(Kind::Usage, error.to_string()))?;
        let chunk_bytes = self.load.chunk_bytes_said();
        job.made.chunk_files = Some(self.chunk_files_max);
        Ok(FilesInput {
            job,
            target: self.target,
            addresses,
            is_literal: self.files.is_some(),
            function: self.source_function,
            named_collection: self.named_collection,
            container: self.container,
            keys,
            format: self.format,
            choice: self.load.choice(self.structure),
            schemas_max: self.schemas_max as usize,
            endpoints: self.endpoints,
            chunk_bytes,
            chunk_files_max: self.chunk_files_max,
        })
    }
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
