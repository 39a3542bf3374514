//! The schema of every file, read by the server from footers, headers and first rows.
//!
//! Parquet files are read many in one statement; of those that are alike one is described. Files of
//! other formats are described one by one, a few at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use clickhouse::Row;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::settings::EASIER;
use super::{DESCRIBE_SETTINGS, Described, SourceKeys, raw_clause, read_settings, reads};
use crate::clickhouse::{Code, Failure, Server, policy, retry_idempotent};
use crate::task::{FilesSource, SourceFile};
use crate::types::Type;

/// Footers read by one statement.
const FOOTERS_A_STATEMENT: usize = 500;
/// Files described at a time.
const DESCRIBED_AT_A_TIME: usize = 6;
/// Rows of a text file that are looked at for its keys, when there are many files.
const ROWS_OF_MANY: &str = "1000";
/// From so many files on fewer rows of each are looked at.
const MANY_FILES: usize = 200;
/// A larger file has more than its header.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// Among others, of a file without a row.
const NO_STRUCTURE: Code = Code::CANNOT_EXTRACT_TABLE_STRUCTURE;

/// A column as a file has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FoundColumn {
    /// Its name.
    pub name: String,
    /// Its type; guessed from rows where the format has none.
    pub kind: Type,
    /// A value of it may be NULL, as far as the type and the footer tell.
    pub may_be_null: bool,
    /// It stands in the file's path (`dt=2024-01-01/`).
    pub is_hive: bool,
}

/// The columns of a file. Files that are alike share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    /// In order.
    pub columns: Vec<FoundColumn>,
}

/// What is known of a file.
#[derive(Debug, Clone)]
pub enum Found {
    /// Its columns, and how many rows it holds where its footer says so.
    Schema(Arc<Schema>, Option<u64>),
    /// It holds nothing that has a schema.
    Empty,
    /// It cannot be read.
    Broken(Failure),
}

/// Reads schemas of files of one source.
#[derive(Clone)]
pub struct SchemaReader {
    /// The server that reads them.
    pub server: Server,
    /// The source; its structure is not used.
    pub source: FilesSource,
    /// Keys of the store.
    pub keys: SourceKeys,
    /// Settings of the user.
    pub settings: BTreeMap<String, String>,
    /// Only the names of columns are asked for: where a header has them, few rows are looked at.
    pub only_names: bool,
}

#[derive(Deserialize, Row)]
struct Footer {
    path: String,
    signature: String,
    rows: u64,
    may_be_null: Vec<String>,
}

impl SchemaReader {
    /// The schemas of these files, in their order.
    ///
    /// # Errors
    /// When the server cannot be asked; a file that cannot be read is no such error.
    pub async fn read(&self, files: &[SourceFile]) -> Result<Vec<Found>, Failure> {
        let with_rows: Vec<&SourceFile> = files.iter().filter(|file| file.size > 0).collect();
        let found = if self.source.format == "Parquet" {
            self.by_footers(&with_rows).await?
        } else {
            self.one_by_one(&with_rows).await?
        };
        Ok(files
            .iter()
            .map(|file| found.get(&file.path).cloned().unwrap_or(Found::Empty))
            .collect())
    }

    /// The columns that the reader is asked for: name, type, and whether a row without a value gets a
    /// default that was chosen.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn asked_for(&self, file: &SourceFile) -> Result<Vec<(String, Type, bool)>, Failure> {
        let structure =
            (!self.source.structure.is_empty()).then_some(self.source.structure.as_str());
        let file = std::slice::from_ref(file);
        let reads = reads(&self.source, file, &self.keys, &self.source.format, structure);
        // The function itself: a subquery around it has no defaults.
        let Some(from) = reads.first().map(|read| &read.table) else { return Ok(Vec::new()) };
        let found: Vec<Described> =
            self.ask("describe_structure", format!("DESCRIBE TABLE {from}"), &[]).await?;
        let asked = found.into_iter().map(|column| {
            (column.name, Type::parse(&column.r#type), !column.default_type.is_empty())
        });
        Ok(asked.collect())
    }

    /// Is the file nothing but a header? False of a file that is larger than a header, or cannot be read.
    pub async fn is_bare_header(&self, file: &SourceFile) -> bool {
        #[derive(Deserialize, Row)]
        struct Rows {
            rows: u64,
        }
        if file.size > HEADER_BYTES_MAX {
            return false;
        }
        let bare = FilesSource {
            structure: String::new(),
            outputs: Vec::new(),
            left_out: Vec::new(),
            ..self.source.clone()
        };
        let from = raw_clause(&bare, std::slice::from_ref(file), &self.keys);
        let text = format!("SELECT count() AS rows FROM (SELECT * FROM {from} LIMIT 1)");
        let rows: Result<Vec<Rows>, Failure> = self.ask("has_rows", text, &[]).await;
        rows.is_ok_and(|rows| rows.first().is_some_and(|found| found.rows == 0))
    }

    async fn one_by_one(&self, files: &[&SourceFile]) -> Result<HashMap<String, Found>, Failure> {
        let permits = Arc::new(Semaphore::new(DESCRIBED_AT_A_TIME));
        let is_few = self.only_names && has_names_in_header(&self.source.format);
        let is_many = files.len() > MANY_FILES || is_few;
        let mut running = JoinSet::new();
        for file in files {
            let (reader, file, permits) = (self.clone(), (*file).clone(), Arc::clone(&permits));
            running.spawn(async move {
                let _permit = permits.acquire().await;
                let found = reader.describe(&file, is_many).await;
                (file.path, found)
            });
        }
        let mut found = HashMap::with_capacity(files.len());
        let mut same: HashMap<Schema, Arc<Schema>> = HashMap::new();
        while let Some(done) = running.join_next().await {
            let (path, one) = done.map_err(|error| {
                Failure::reply("describe_file", format!("a look at a file ended: {error}"))
            })?;
            found.insert(path, share(one?, &mut same));
        }
        Ok(found)
    }

    async fn by_footers(&self, files: &[&SourceFile]) -> Result<HashMap<String, Found>, Failure> {
        let mut footers = Vec::with_capacity(files.len());
        let mut found = HashMap::with_capacity(files.len());
        // Halved until the files that cannot be read stand alone.
        let mut batches: Vec<&[&SourceFile]> = files.chunks(FOOTERS_A_STATEMENT).rev().collect();
        while let Some(batch) = batches.pop() {
            match (self.footers(batch).await, batch) {
                (Ok(read), _) => footers.extend(read),
                (Err(failure), _) if !says_broken(&failure) => return Err(failure),
                (Err(failure), [file]) => {
                    found.insert(file.path.clone(), Found::Broken(failure));
                }
                (Err(_), batch) => {
                    let (head, tail) = batch.split_at(batch.len() / 2);
                    batches.extend([tail, head]);
                }
            }
        }
        let mut alike: HashMap<(String, Vec<String>), Found> = HashMap::new();
        let mut same = HashMap::new();
        for footer in footers {
            let key = (footer.signature.clone(), hive_shapes(&footer.path));
            if !alike.contains_key(&key) {
                let file = files.iter().find(|file| file.path == footer.path);
                let Some(file) = file else { continue };
                alike.insert(key.clone(), self.describe(file, false).await?);
            }
            let one = with_footer(alike[&key].clone(), &footer);
            found.insert(footer.path, share(one, &mut same));
        }
        Ok(found)
    }

    async fn footers(&self, files: &[&SourceFile]) -> Result<Vec<Footer>, Failure> {
        let files: Vec<SourceFile> = files.iter().map(|file| (*file).clone()).collect();
        let selects: Vec<String> = reads(&self.source, &files, &self.keys, "ParquetMetadata", None)
            .iter()
            .map(|read| {
                format!(
                    "SELECT _path AS path, \
                     hex(sipHash128(toString(arrayMap(c -> (c.path, c.max_definition_level, \
                     c.max_repetition_level, c.physical_type, c.logical_type), columns)))) AS signature, \
                     toUInt64(num_rows) AS rows, \
                     arrayDistinct(arrayFlatten(arrayMap(g -> arrayMap((f, c) -> f.path, arrayFilter((f, c) -> \
                     f.max_definition_level > 0 AND ifNull(c.statistics.null_count, 1) > 0, columns, g.columns), \
                     arrayFilter((c, f) -> f.max_definition_level > 0 AND \
                     ifNull(c.statistics.null_count, 1) > 0, g.columns, columns)), row_groups))) AS may_be_null \
                     FROM {}{}",
                    read.table,
                    read.pin()
                )
            })
            .collect();
        self.ask("read_footers", selects.join(" UNION ALL "), &[]).await
    }

    async fn describe(&self, file: &SourceFile, is_one_of_many: bool) -> Result<Found, Failure> {
        let bare = FilesSource {
            structure: String::new(),
            outputs: Vec::new(),
            left_out: Vec::new(),
            ..self.source.clone()
        };
        let one = reads(&bare, std::slice::from_ref(file), &self.keys, &bare.format, None);
        let Some(one) = one.first() else { return Ok(Found::Empty) };
        let from = &one.table;
        let mut few = Vec::new();
        if is_one_of_many {
            few.push(("input_format_max_rows_to_read_for_schema_inference", ROWS_OF_MANY));
        }
        // A pattern may match neighbours, and the server describes the first file that it finds.
        if one.path.is_some() {
            few.push(("schema_inference_mode", "union"));
        }
        let mut asked: Result<Vec<Described>, Failure> =
            self.ask("describe_file", format!("DESCRIBE TABLE {from}"), &few).await;
        // Numbers too large for the types that the server guesses, and rows that differ, hide the names.
        for easier in EASIER {
            let fails = matches!(&asked, Err(failure) if failure.code() == Some(NO_STRUCTURE));
            if !fails || matches!(&asked, Err(failure) if says_empty(failure)) {
                break;
            }
            let few: Vec<_> = few.iter().chain(easier).copied().collect();
            asked = self.ask("describe_file", format!("DESCRIBE TABLE {from}"), &few).await;
        }
        let columns = match asked {
            Ok(columns) => columns,
            Err(failure) if failure.code() == Some(NO_STRUCTURE) && says_empty(&failure) => {
                return Ok(Found::Empty);
            }
            Err(failure) if says_broken(&failure) => return Ok(Found::Broken(failure)),
            Err(failure) => return Err(failure),
        };
        let hive = hive_keys(&file.path);
        let columns = columns
            .into_iter()
            .map(|column| {
                let kind = Type::parse(&column.r#type);
                FoundColumn {
                    may_be_null: holds_null(&kind),
                    is_hive: hive.iter().any(|key| *key == column.name),
                    name: column.name,
                    kind,
                }
            })
            .collect();
        Ok(Found::Schema(Arc::new(Schema { columns }), None))
    }

    async fn ask<T>(
        &self,
        name: &'static str,
        text: String,
        more: &[(&str, &str)],
    ) -> Result<Vec<T>, Failure>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let known = self.server.known_settings().await;
        let settings = read_settings(&self.source.settings, &self.settings);
        retry_idempotent(|| {
            let call = self.server.call_text(name, text.clone());
            let more = DESCRIBE_SETTINGS.iter().chain(more).filter(|(name, _)| known.has(name));
            let call = more.fold(call, |call, (name, value)| call.setting(name, value));
            call.settings(&settings, known)
                .setting("max_query_size", 64 * 1024 * 1024)
                .deadline(None)
                .fetch_all()
        })
        .await
    }
}

/// Does text begin with the names of its columns? Rows of JSON may have keys inside that a header lacks.
fn has_names_in_header(format: &str) -> bool {
    format.ends_with("WithNames") && !format.contains("JSON")
}

/// Does it say that there was nothing to read?
fn says_empty(failure: &Failure) -> bool {
    let message = failure.message.to_lowercase();
    // EMPTY_DATA_PASSED comes of rows of JSON without any key, too.
    ["empty", "no rows"].iter().any(|mark| message.contains(mark))
}

/// Is it the file that cannot be read? Of one that is of another format the names of its columns may be no text.
/// An error that passes says nothing of the file.
fn says_broken(failure: &Failure) -> bool {
    failure.is_not_text() || (failure.is_refusal() && !policy(failure).passes())
}

fn holds_null(kind: &Type) -> bool {
    match kind {
        Type::Nullable(_) => true,
        Type::LowCardinality(inner) | Type::Array(inner) => holds_null(inner),
        Type::Map(key, value) => holds_null(key) || holds_null(value),
        Type::Tuple(items) => items.iter().any(|(_, item)| holds_null(item)),
        Type::Plain { .. } => false,
    }
}

/// What the footer says beyond the types.
fn with_footer(found: Found, footer: &Footer) -> Found {
    let Found::Schema(schema, _) = found else { return found };
    let columns = schema.columns.iter().map(|column| {
        let inside = format!("{}.", column.name);
        let mut of = footer.may_be_null.iter();
        let may = of.any(|path| *path == column.name || path.starts_with(&inside));
        FoundColumn { may_be_null: column.may_be_null && (may || column.is_hive), ..column.clone() }
    });
    Found::Schema(Arc::new(Schema { columns: columns.collect() }), Some(footer.rows))
}

/// Equal schemas are kept once.
fn share(found: Found, same: &mut HashMap<Schema, Arc<Schema>>) -> Found {
    let Found::Schema(schema, rows) = found else { return found };
    let one = same.entry((*schema).clone()).or_insert(schema);
    Found::Schema(Arc::clone(one), rows)
}

/// The names before `=` in the folders of a path.
fn hive_keys(path: &str) -> Vec<&str> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').filter_map(|folder| Some(folder.split_once('=')?.0)).collect()
}

/// Names and looks of the values in folders: the server takes their types from the values.
fn hive_shapes(path: &str) -> Vec<String> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let shape = |value: &str| -> String {
        value
            .chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else if c.is_alphabetic() {
                    'a'
                } else {
                    c
                }
            })
            .collect()
    };
    folders
        .split('/')
        .filter_map(|folder| folder.split_once('='))
        .map(|(name, value)| format!("{name}={}", shape(value)))
        .collect()
}

#[cfg(test)]
#[path = "schemas_tests.rs"]
mod tests;
