//! Files of a store: list them once, decide the columns, pack them into chunks.

use std::collections::{BTreeMap, HashMap};

use longshore_shared::config::Config;
use longshore_shared::schema::{Column, Graph, columns};
use longshore_shared::source::Reading;
use longshore_shared::task::{
    Chunk, FilesSource, JobServer, ShardBy, SourceFile, SourceFunction, Waived,
};

use crate::grants::durable::check_durable;
use crate::plan::draft::{Content, Draft, SpecBase};
use crate::plan::files::objects::{Listing, ListingRequest, list};
use crate::plan::files::pack::{PackLimits, even_budget, pack};
use crate::plan::files::{Files, Findings, is_marker, validate};
use crate::plan::input::FilesInput;
use crate::plan::servers::deal::{deal, divide};
use crate::plan::servers::endpoints::Fleet;
use crate::plan::servers::shard::{Loaded, shard_by};
use crate::plan::target::columns::{SourceSchema, check_syntax};
use crate::plan::target::filled::target;
use crate::plan::target::replicas::check_wait;
use crate::plan::target::shadow::Marks;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Bytes of files in a chunk, if nothing is said and there are many.
const CHUNK_BYTES: u64 = 1 << 30;

/// The target with its views, and the files that were listed.
struct Found {
    fleet: Fleet,
    graph: Graph,
    servers: Vec<JobServer>,
    marks: Marks,
    listing: Listing,
    /// Files that hold no rows of a table.
    left_out: Vec<SourceFile>,
    source: FilesSource,
    columns: Vec<Column>,
    notes: Vec<String>,
}

pub(super) async fn build(
    session: &Session,
    config: &Config,
    mut input: FilesInput,
) -> Result<Draft, Error> {
    let mut found = find(session, config, &input).await?;
    let (source, schema) = found.files(session, &input).decide().await?;
    found.know(&schema.rows);
    for server in found.fleet.servers() {
        check_durable(server, input.job.durable).await?;
        check_wait(server, &found.graph, input.job.replicas_wait).await?;
    }
    let shard_by = found.shard_by(&input, &source, &schema).await?;
    // With a sharding key each chunk is cut for every server once more.
    let servers = if shard_by.is_some() { 1 } else { found.servers.len().max(1) };
    let chunks = packed(&found.listing.files, &mut input, servers);
    found.notes.extend(schema.notes.iter().cloned());
    let base = SpecBase {
        target: input.target,
        graph: found.graph,
        schema,
        filter: input.choice.filter,
        environment: session.environment.clone(),
        servers: found.servers,
        shard_by,
        job: input.job,
    };
    let chunks = if base.shard_by.is_some() {
        divide(&chunks, base.servers.len().max(1))
    } else {
        deal(&chunks, base.servers.len())
    };
    let content = Content::Files { source: Box::new(source), chunks };
    Ok(Draft { base, content, marks: found.marks, notes: found.notes })
}

/// Compares every file with the target, and parses so many rows of each. Makes no plan.
pub(crate) async fn validate_files(
    session: &Session,
    config: &Config,
    input: &FilesInput,
    rows: u64,
) -> Result<Findings, Error> {
    let found = find(session, config, input).await?;
    validate(found.files(session, input), &found.left_out, rows).await
}

async fn find(session: &Session, config: &Config, input: &FilesInput) -> Result<Found, Error> {
    let server = &session.server;
    let FilesInput { job, choice, .. } = input;
    check_syntax(server, choice.select.as_deref(), &choice.filter).await?;
    let fleet = input.endpoints.open(config, session, job.mode, job.publish).await?;
    let home = fleet.first();
    let (graph, mut notes) =
        target(home, &input.target, job.mode, job.publish, &job.ignored).await?;
    let servers = fleet.bind(&graph, &input.target, &job.ignored).await?;
    let marks = Marks::of(server, &graph, job.publish).await?;
    let request = ListingRequest {
        addresses: &input.addresses,
        literal: input.is_literal,
        function: input.function,
        collection: input.named_collection.as_deref(),
        container: input.container.as_deref(),
        settings: &job.settings,
    };
    let mut listing = list(server, &request, &input.keys).await?;
    notes.append(&mut listing.notes);
    let left_out = leave_out_markers(&mut listing.files);
    notes.extend(words_of_left_out(&left_out));
    let source = source(input, &listing)?;
    fleet.can_read(&source, &listing.files[..1], &job.settings, &input.keys).await?;
    let columns = columns(home, &input.target).await?;
    Ok(Found { fleet, graph, servers, marks, listing, left_out, source, columns, notes })
}

/// The source before its files were looked at.
fn source(input: &FilesInput, listing: &Listing) -> Result<FilesSource, Error> {
    let format = match &input.format {
        Some(format) => format.clone(),
        None => guess_format(&listing.files[0].path)?,
    };
    Ok(FilesSource {
        function: listing.location.function,
        base: listing.location.base.clone(),
        strip: listing.strip.clone(),
        suffix: listing.location.suffix.clone(),
        named_collection: input.named_collection.clone(),
        container: input.container.clone(),
        format,
        structure: String::new(),
        outputs: Vec::new(),
        left_out: Vec::new(),
        own: Vec::new(),
        settings: BTreeMap::new(),
        unseen: None,
        waived: Waived::default(),
    })
}

impl Found {
    fn files<'a>(&'a self, session: &'a Session, input: &'a FilesInput) -> Files<'a> {
        Files {
            server: &session.server,
            target: &input.target,
            columns: &self.columns,
            source: self.source.clone(),
            list: &self.listing.files,
            keys: &input.keys,
            settings: &input.job.settings,
            choice: &input.choice,
            schemas_max: input.schemas_max,
        }
    }

    /// Notes the rows of files that their etags pin: workers need not count them again.
    fn know(&mut self, rows: &HashMap<String, u64>) {
        let has_etags = matches!(self.source.function, SourceFunction::S3 | SourceFunction::Gcs);
        let pinned = self.listing.files.iter_mut().filter(|file| !file.etag.is_empty());
        for file in pinned.filter(|_| has_etags) {
            file.rows = rows.get(&file.path).copied();
        }
    }

    async fn shard_by(
        &self,
        input: &FilesInput,
        source: &FilesSource,
        schema: &SourceSchema,
    ) -> Result<Option<ShardBy>, Error> {
        let Some(expression) = &input.endpoints.shard_by else { return Ok(None) };
        let first = &self.listing.files[..1];
        let (filter, settings) = (&input.choice.filter, &input.job.settings);
        let reading = Reading::files(source, first, filter, settings, &input.keys);
        let loaded = Loaded {
            reading: &reading,
            select: &schema.select,
            columns: &schema.columns,
            target: &self.columns,
        };
        shard_by(&self.fleet, expression, &loaded).await.map(Some)
    }
}

/// The chunks, and in the input what they were cut by.
fn packed(files: &[SourceFile], input: &mut FilesInput, servers: usize) -> Vec<Chunk> {
    let bytes_max = input.chunk_bytes.unwrap_or(CHUNK_BYTES);
    let files_max = input.chunk_files_max as usize;
    let limits = PackLimits { bytes_max, files_max, is_even: true };
    let even = input.chunk_bytes.is_none().then(|| even_budget(files, limits, servers)).flatten();
    let bytes_max = even.unwrap_or(bytes_max);
    input.job.made.chunk_bytes = Some(bytes_max);
    input.job.made.is_even = even.is_some();
    let seed =
        files.iter().fold(bytes_max, |seed, file| seed.wrapping_mul(31).wrapping_add(file.size));
    pack(files, PackLimits { bytes_max, is_even: even.is_some(), ..limits }, seed)
}

/// Takes away what holds no rows of a table: markers of other tools, and empty files where others are not.
fn leave_out_markers(files: &mut Vec<SourceFile>) -> Vec<SourceFile> {
    let has_rows = |file: &SourceFile| !is_marker(&file.path) && file.size > 0;
    if !files.iter().any(has_rows) {
        return Vec::new();
    }
    let (kept, out) = std::mem::take(files).into_iter().partition(has_rows);
    *files = kept;
    out
}

fn words_of_left_out(out: &[SourceFile]) -> Option<String> {
    let first = &out.first()?.path;
    let files = text::plural(out.len() as u64, "file");
    Some(format!(
        "left out, because they are empty or markers of other tools: {files}, the first is {first}"
    ))
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
