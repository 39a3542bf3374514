//! `--validate`: the schema of every file against the target, before anything is written.

use std::collections::BTreeMap;

use longshore_shared::clickhouse::{Failure, retry_idempotent};
use longshore_shared::source::{Found, FoundColumn, Reading};
use longshore_shared::sql::quote_list;
use longshore_shared::task::SourceFile;
use longshore_shared::types::{Fit, Reader, fit};
use serde::Serialize;
use tokio::task::JoinSet;

use super::column::Target;
use super::formats::{Family, Format};
use super::merge::Schemas;
use super::notes::{LARGE_BYTES, first_words, large, missing_fails, why_broken};
use super::{Files, is_marker};
use crate::plan::target::columns::ColumnChoice;
use crate::ui::error::Error;
use crate::ui::output::{Side, table};
use crate::ui::text;

/// Files shown of one finding.
const FILES_SHOWN: usize = 5;
const PARSED_AT_A_TIME: usize = 4;

/// What is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A file cannot be read.
    Broken,
    /// Rows of a file do not parse.
    Parse,
    /// A column that the target lacks.
    Surplus,
    /// A type whose values may not fit.
    Type,
    /// A column may hold NULL, and the target's takes none and has no default.
    Nulls,
    /// A file lacks a column that others have.
    Missing,
    /// A file without rows.
    Empty,
    /// A file that one thread reads for long.
    Large,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Parse => "parse",
            Self::Surplus => "surplus",
            Self::Type => "type",
            Self::Nulls => "nulls",
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::Large => "large",
        }
    }

    /// Is it something to look at before the load?
    fn is_problem(self) -> bool {
        !matches!(self, Self::Empty | Self::Large)
    }
}

/// One finding, of all the files that have it.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    what: What,
    /// Column; none when it is the file.
    column: Option<String>,
    /// In words.
    detail: String,
    /// How many files have it.
    files: usize,
    /// The first of them.
    first: Vec<String>,
}

/// What `--validate` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    target: String,
    format: String,
    files: usize,
    /// The format names no columns, and no row was parsed: nothing but sizes was looked at.
    columns_unseen: bool,
    #[serde(rename = "findings")]
    list: Vec<Finding>,
}

impl Findings {
    /// Is there something to look at before the load?
    pub(crate) fn has_problems(&self) -> bool {
        self.list.iter().any(|finding| finding.what.is_problem())
    }

    /// As text.
    pub(crate) fn words(&self) -> String {
        let files = text::plural(self.files as u64, "file");
        let unseen = if self.columns_unseen {
            format!(
                "\nFiles of {} name no columns, so only their sizes were looked at; --validate=N parses N rows of each.",
                self.format
            )
        } else {
            String::new()
        };
        if self.list.is_empty() && self.columns_unseen {
            return format!("{files} for {}. Nothing was written.{unseen}", self.target);
        }
        if self.list.is_empty() {
            return format!("{files} fit {}. Nothing was written.", self.target);
        }
        let columns = [
            ("FINDING", Side::Left),
            ("COLUMN", Side::Left),
            ("FILES", Side::Right),
            ("FIRST", Side::Left),
            ("DETAIL", Side::Left),
        ];
        let rows = self.list.iter().map(|finding| {
            vec![
                finding.what.as_str().to_owned(),
                finding.column.clone().unwrap_or_default(),
                text::count(finding.files as u64),
                finding.first.first().cloned().unwrap_or_default(),
                text::line(&finding.detail, 160),
            ]
        });
        format!(
            "{}\n\n{files} were looked at for {}. Nothing was written.{unseen}",
            table(&columns, rows.collect()),
            self.target
        )
    }
}

/// Findings by what, column and detail.
#[derive(Default)]
struct Collected(BTreeMap<Key, (usize, Vec<String>)>);

/// What, column, detail.
type Key = (What, Option<String>, String);

impl Collected {
    fn add(&mut self, what: What, column: Option<&str>, detail: String, path: &str) {
        let key = (what, column.map(str::to_owned), detail);
        let (files, first) = self.0.entry(key).or_default();
        *files += 1;
        if first.len() < FILES_SHOWN {
            first.push(path.to_owned());
        }
    }

    fn findings(self) -> Vec<Finding> {
        let finding = |((what, column, detail), (files, first))| Finding {
            what,
            column,
            detail,
            files,
            first,
        };
        self.0.into_iter().map(finding).collect()
    }
}

/// Looks at every file, and names those in `left_out`, which hold no rows. `rows` of each are parsed, in the
/// columns of the load; none: schemas alone.
pub(crate) async fn validate(
    files: Files<'_>,
    left_out: &[SourceFile],
    rows: u64,
) -> Result<Findings, Error> {
    let format_name = files.source.format.clone();
    let format = Format::of(&format_name, files.settings);
    let targets = files.targets().await?;
    let mut collected = Collected::default();
    by_size(&files, left_out, &mut collected);
    let mut ignored = files.choice.ignored.clone();
    if format.has_schema() {
        let found = files.reader().read(files.list).await?;
        let any_case = files.takes_any_case(format, &found).await?;
        let found = if format.family == Family::Header {
            files.without_bare_headers(files.list, found, any_case).await
        } else {
            found
        };
        let rename = |schema: &_, name: &str| files.name_of(any_case, schema, name);
        let merged = Schemas::merge(files.list, &found, rename);
        let refuses_missing = format.refuses_missing(files.settings);
        let look = Look {
            targets: &targets,
            format,
            refuses_missing,
            choice: files.choice,
            merged: &merged,
        };
        for (file, found) in files.list.iter().zip(&found) {
            look.at(file, found, &rename, &mut collected);
        }
        let foreign = |name: &String| !targets.iter().any(|t| t.is_insertable() && t.name == *name);
        ignored.extend(merged.columns.iter().map(|c| c.name.clone()).filter(foreign));
    }
    let (target, all) = (files.target.to_string(), files.list.len() + left_out.len());
    let is_unseen = !format.has_schema() && rows == 0;
    if rows > 0 {
        parse(files, &ignored, rows, &mut collected).await?;
    }
    let list = collected.findings();
    Ok(Findings { target, format: format_name, files: all, columns_unseen: is_unseen, list })
}

/// Files that hold nothing, and files that one thread reads for long.
fn by_size(files: &Files<'_>, left_out: &[SourceFile], collected: &mut Collected) {
    for file in left_out {
        let what = if is_marker(&file.path) { "a marker of another tool" } else { "no rows" };
        collected.add(What::Empty, None, format!("{what}; it is left out"), &file.path);
    }
    for file in large(&files.source.format, files.list) {
        let detail = format!("more than {} that one thread reads", text::bytes(LARGE_BYTES));
        collected.add(What::Large, None, detail, &file.path);
    }
}

struct Look<'a> {
    targets: &'a [Target],
    format: Format<'a>,
    /// Its reader refuses a file that lacks a column.
    refuses_missing: bool,
    choice: &'a ColumnChoice,
    merged: &'a Schemas,
}

impl Look<'_> {
    fn at(
        &self,
        file: &SourceFile,
        found: &Found,
        rename: &dyn Fn(&longshore_shared::source::Schema, &str) -> String,
        collected: &mut Collected,
    ) {
        let path = &file.path;
        let schema = match found {
            Found::Broken(failure) => {
                let detail = why_broken(failure).replace(path.as_str(), "the file");
                return collected.add(What::Broken, None, detail, path);
            }
            Found::Empty | Found::Schema(_, Some(0)) => {
                return collected.add(What::Empty, None, "no rows".to_owned(), path);
            }
            Found::Schema(schema, _) => schema,
        };
        let columns: Vec<FoundColumn> = schema
            .columns
            .iter()
            .map(|column| FoundColumn { name: rename(schema, &column.name), ..column.clone() })
            .collect();
        for column in &columns {
            self.column(column, path, collected);
        }
        for target in self.targets.iter().filter(|target| target.is_insertable()) {
            let is_here = columns.iter().any(|column| column.name == target.name);
            let is_elsewhere = self.merged.get(&target.name).is_some();
            if !is_here && is_elsewhere && !self.format.has_late_keys() {
                let detail = if self.refuses_missing {
                    format!("the file lacks it; {}", missing_fails())
                } else {
                    "the file lacks it; its default stands there".to_owned()
                };
                collected.add(What::Missing, Some(&target.name), detail, path);
            }
        }
    }

    fn column(&self, column: &FoundColumn, path: &str, collected: &mut Collected) {
        let name = column.name.as_str();
        let is_out = self.choice.ignored.iter().any(|ignored| ignored == name)
            || (!self.choice.columns.is_empty() && !self.choice.columns.iter().any(|c| c == name));
        if is_out {
            return;
        }
        let Some(target) = self.targets.iter().find(|t| t.is_insertable() && t.name == name) else {
            let is_nested = column.kind.nested().is_some_and(|elements| {
                elements.iter().all(|(element, _)| {
                    let full = format!("{name}.{}", element.as_deref().unwrap_or_default());
                    self.targets.iter().any(|target| target.name == full)
                })
            });
            if !is_nested && !column.is_hive && self.choice.select.is_none() {
                let detail = format!("{}; the target has no such column", column.kind);
                collected.add(What::Surplus, Some(name), detail, path);
            }
            return;
        };
        if self.format.is_text() {
            return;
        }
        let (from, to) = (column.kind.bare(), &target.kind);
        let words = |why: &str| format!("{} to {}: {why}", column.kind, target.text);
        let why = match fit(from, to, Reader::of(self.format.name)) {
            Fit::Exact => None,
            Fit::Nulls => column.may_be_null.then_some("it may hold NULL inside"),
            Fit::Range | Fit::Back | Fit::Text => Some("a value may not fit"),
            Fit::Rounded => Some("digits are rounded"),
            Fit::Overflow => Some("digits are rounded, and a number may be too large"),
            Fit::Unknown => Some("the reader converts it, if it can"),
        };
        if let Some(why) = why {
            collected.add(What::Type, Some(name), words(why), path);
        }
        let takes_null = target.kind.is_nullable() || !target.default.is_empty();
        if column.may_be_null && column.kind.is_nullable() && !takes_null {
            let detail = words("it may hold NULL, which the target does not take");
            collected.add(What::Nulls, Some(name), detail, path);
        }
    }
}

/// Parses rows of each file as the load would.
async fn parse(
    files: Files<'_>,
    ignored: &[String],
    rows: u64,
    collected: &mut Collected,
) -> Result<(), Error> {
    let choice = ColumnChoice { ignored: ignored.to_vec(), ..files.choice.clone() };
    let (server, keys, settings) =
        (files.server.clone(), files.keys.clone(), files.settings.clone());
    let all = files.list;
    let (source, schema) = Files { choice: &choice, ..files }.decide().await?;
    let mut paths = all.iter().filter(|file| file.size > 0 && !is_marker(&file.path));
    let mut running = JoinSet::new();
    loop {
        while running.len() < PARSED_AT_A_TIME {
            let Some(file) = paths.next().cloned() else { break };
            let files = std::slice::from_ref(&file);
            let reading = Reading::files(&source, files, &choice.filter, &settings, &keys);
            let select = reading.select(&schema.select);
            let columns = quote_list(&schema.columns);
            let text = format!(
                "SELECT sum(cityHash64({columns})) FROM (SELECT * FROM ({select}) LIMIT {rows})"
            );
            let server = server.clone();
            running.spawn(async move {
                let known = server.known_settings().await;
                let call = || {
                    let call = server.call_text("parse_rows", text.clone());
                    let call = call.settings(&reading.settings, known);
                    // No more rows than asked for: a block is parsed whole.
                    let call = call.setting("max_block_size", rows).setting("max_threads", 1);
                    call.setting("input_format_parallel_parsing", 0).deadline(None).execute()
                };
                (file.path, retry_idempotent(call).await.map(drop))
            });
        }
        let Some(done) = running.join_next().await else { return Ok(()) };
        let Ok((path, parsed)) = done else { continue };
        match parsed {
            Err(failure) if failure.is_refusal() => {
                let detail = first_words(&failure.message).replace(&path, "the file");
                collected.add(What::Parse, None, detail, &path);
            }
            Err(failure) => return Err(Failure::into(failure)),
            Ok(()) => {}
        }
    }
}
