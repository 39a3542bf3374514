//! How files are read: the schemas of all of them against the target, column by column.
//!
//! The reader is given the type and the default of each column of the target, as a plain
//! `INSERT … SELECT` gives it. Only a column whose values may not fit is read in the type of the
//! files, and converted with a cast that fails.

mod column;
mod findings;
mod formats;
mod layout;
mod merge;
mod notes;
mod select;
mod surplus;

use std::collections::BTreeMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, read};
use longshore_shared::schema::{Column, names_in};
use longshore_shared::source::{
    Found, Reading, Schema, SchemaReader, SourceKeys, VIRTUAL, is_pinned_by_path, raw_clause,
};
use longshore_shared::sql::{self, quote_list};
use longshore_shared::task::{FilesSource, Output, SourceFile, TableName};
use longshore_shared::types::Type;
use serde::Deserialize;

use column::{How, Target};
pub(crate) use findings::{Findings, validate};
use formats::Format;
use layout::{Layout, Request};
use merge::Schemas;

use super::columns::{ColumnChoice, Query, SourceSchema};
use super::outputs::NullIs;
use crate::exit::{Error, Kind, Report};

/// Files whose schemas are all read when a plan is made. Of more a sample is.
const SCHEMAS_MAX: usize = 10_000;
/// Files of such a sample.
const SAMPLE_FILES: usize = 1_000;
/// UNKNOWN_FORMAT, FORMAT_IS_NOT_SUITABLE_FOR_INPUT
const NO_FORMAT: [i32; 2] = [73, 78];

/// Keys of files that only tools that wrote them need.
const MARKERS: [&str; 5] =
    ["_SUCCESS", "_started_", "_committed_", "_metadata", "_common_metadata"];

/// What is known of the files and the target before columns are decided.
pub(crate) struct Files<'a> {
    pub(crate) server: &'a Server,
    pub(crate) target: &'a TableName,
    pub(crate) columns: &'a [Column],
    /// Address and format; the rest is decided here.
    pub(crate) source: FilesSource,
    pub(crate) files: &'a [SourceFile],
    pub(crate) keys: &'a SourceKeys,
    pub(crate) settings: &'a BTreeMap<String, String>,
    pub(crate) choice: &'a ColumnChoice,
}

#[derive(Debug, Deserialize, Row)]
struct Defaulted {
    name: String,
    r#type: String,
    default_kind: String,
    default_expression: String,
}

#[derive(Deserialize, Row)]
struct Probe {
    a: u8,
}

/// Does the name say that the file holds no rows of the table?
pub(crate) fn is_marker(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    MARKERS.iter().any(|marker| name.starts_with(marker))
}

impl Files<'_> {
    /// Decides how the files are read.
    ///
    /// # Errors
    /// What cannot be read, and columns that would be lost.
    pub(crate) async fn decide(mut self) -> Result<(FilesSource, SourceSchema), Error> {
        let format_name = self.source.format.clone();
        let format = Format::of(&format_name, self.settings);
        self.source.settings.extend(format.settings());
        let whole = self.choice.select.is_none() && self.choice.columns.is_empty();
        if format.has_late_keys() {
            let skips = if whole { "0" } else { "1" };
            let skips = ("input_format_skip_unknown_fields".to_owned(), skips.to_owned());
            self.source.settings.extend([skips]);
        }
        // Text of moments is read by the rule that the reader would follow.
        if let Some(rule) = self.date_rule().await? {
            self.source.settings.insert("cast_string_to_date_time_mode".to_owned(), rule);
        }
        if self.choice.structure.is_some() {
            return self.told(format).await;
        }
        let (schemas, is_sample) = self.schemas(format).await?;
        let mut notes = notes::of_files(&schemas, self.looked_at(), self.files.len());
        self.source.is_sample = is_sample;
        let targets = self.targets().await?;
        let (layout, mut schema) = if self.choice.select.is_some() {
            self.by_select(format, &targets, &schemas).await?
        } else {
            let how = How { format, as_insert: self.choice.as_insert, is_under_select: false };
            let choice = self.choice;
            let request =
                Request { targets: &targets, schemas: &schemas, how: &how, choice, is_sample };
            let mut layout = request.lay_out()?;
            layout.notes.refuses_missing = format.refuses_missing(self.settings);
            self.apply(&layout);
            let schema = self.by_name(&layout).await?;
            (layout, schema)
        };
        self.refuse_hidden_paths()?;
        notes.splice(0..0, layout.notes.sentences());
        notes.extend(std::mem::take(&mut schema.notes));
        schema.notes = notes;
        Ok((self.source, schema))
    }

    /// What the user says the files hold.
    async fn told(mut self, format: Format<'_>) -> Result<(FilesSource, SourceSchema), Error> {
        self.source.structure = self.choice.structure.clone().unwrap_or_default();
        let columns = self.described().await?;
        self.source.own = owned(columns.iter().map(|(name, _)| name.as_str()));
        let chosen = if self.choice.columns.is_empty() {
            columns.into_iter().map(|(name, _)| name).collect()
        } else {
            self.choice.columns.clone()
        };
        let names = chosen.into_iter().filter(|name| !self.choice.ignored.contains(name)).collect();
        let null_is = if format.is_text() { NullIs::Absence } else { NullIs::Value };
        let schema = self.query(names, null_is).await?;
        self.refuse_hidden_paths()?;
        Ok((self.source, schema))
    }

    /// Columns by name: each goes where the layout says.
    async fn by_name(&self, layout: &Layout) -> Result<SourceSchema, Error> {
        let columns: Vec<String> =
            layout.outputs.iter().map(|output| output.name.clone()).collect();
        // The server takes the condition and the casts as they are, or says why not.
        let reading = self.reading();
        let from = format!("({})", reading.select(&quote_list(&columns)));
        let query =
            Query { from: &from, what: "files", is_table: false, settings: &reading.settings };
        query.types(self.server, &from).await.map_err(|failure| self.unreadable(failure))?;
        let select = quote_list(&columns);
        Ok(SourceSchema { columns, select, outputs: Vec::new(), notes: Vec::new() })
    }

    /// The columns of a query over the files, converted on their way into the target.
    async fn query(&self, names: Vec<String>, null_is: NullIs) -> Result<SourceSchema, Error> {
        let reading = self.reading();
        let query = Query {
            from: &reading.from,
            what: "files",
            is_table: false,
            settings: &reading.settings,
        };
        query.decide(self.server, self.columns, self.choice, names, null_is).await
    }

    /// How a file is read as the source is now.
    fn reading(&self) -> Reading {
        let first = &self.files[..1];
        Reading::files(&self.source, first, &self.choice.filter, self.settings, self.keys)
    }

    /// The columns that the reader gives for the structure of the source.
    async fn described(&self) -> Result<Vec<(String, String)>, Error> {
        let reading = self.reading();
        let from = raw_clause(&self.source, &self.files[..1], self.keys);
        let query =
            Query { from: &from, what: "files", is_table: false, settings: &reading.settings };
        let found = query.types(self.server, &from).await;
        let found = found.map_err(|failure| self.unreadable(failure))?;
        let added = |name: &str| from.starts_with('(') && VIRTUAL.contains(&name);
        Ok(found.into_iter().filter(|(name, _)| !added(name)).collect())
    }

    fn apply(&mut self, layout: &Layout) {
        let structure: Vec<String> =
            layout.structure.iter().map(column::ReadAs::structure).collect();
        self.source.structure = structure.join(", ");
        self.source.left_out.clone_from(&layout.left_out);
        self.source.own.clone_from(&layout.own);
        let is_plain = layout.left_out.is_empty() && layout.outputs.iter().all(Output::is_plain);
        self.source.outputs = if is_plain { Vec::new() } else { layout.outputs.clone() };
        if is_plain {
            return;
        }
        // Expressions of the user may name what the server knows of a file.
        let select = self.choice.select.as_deref().unwrap_or_default();
        let named = names_in(&format!("{select} {}", self.choice.filter));
        let virtuals = VIRTUAL.iter().filter(|name| named.contains(**name));
        let virtuals: Vec<&&str> =
            virtuals.filter(|name| !layout.own.iter().any(|own| own == **name)).collect();
        self.source.outputs.extend(virtuals.into_iter().map(|name| Output::plain(name)));
    }

    /// The rule by which text of dates and times is read.
    async fn date_rule(&self) -> Result<Option<String>, Error> {
        const RULE: &str = "date_time_input_format";
        if let Some(rule) = self.settings.get(RULE) {
            return Ok(Some(rule.clone()));
        }
        #[derive(Deserialize, Row)]
        struct Value {
            value: String,
        }
        let text = format!("SELECT toString(getSetting('{RULE}')) AS value");
        let found = read(|| self.server.call_text("date_rule", text.clone()).fetch_one::<Value>());
        Ok(Some(found.await?.value))
    }

    fn looked_at(&self) -> usize {
        if self.files.len() > SCHEMAS_MAX { SAMPLE_FILES } else { self.files.len() }
    }

    fn reader(&self) -> SchemaReader {
        SchemaReader {
            server: self.server.clone(),
            source: self.source.clone(),
            keys: self.keys.clone(),
            settings: self.settings.clone(),
        }
    }

    /// The schemas of all files, or of a sample.
    async fn schemas(&self, format: Format<'_>) -> Result<(Schemas, bool), Error> {
        if !format.has_schema() {
            return Ok((Schemas::default(), false));
        }
        let is_sample = self.files.len() > SCHEMAS_MAX;
        let sample: Vec<SourceFile>;
        let files = if is_sample {
            let step = self.files.len() / SAMPLE_FILES;
            sample = self.files.iter().step_by(step).take(SAMPLE_FILES).cloned().collect();
            &sample
        } else {
            self.files
        };
        let found = self.reader().read(files).await?;
        self.refuse_format(&found)?;
        let any_case = self.takes_any_case(format, &found).await?;
        let mut merged =
            Schemas::merge(files, &found, |schema, name| self.name_of(any_case, schema, name));
        // A header may stand alone: such a file decides nothing.
        let is_doubtful =
            |merged: &merge::Merged| self.columns.iter().all(|column| column.name != merged.name);
        if format.family == formats::Family::Header && merged.columns.iter().any(is_doubtful) {
            let found = self.without_bare_headers(files, found, any_case).await?;
            merged =
                Schemas::merge(files, &found, |schema, name| self.name_of(any_case, schema, name));
        }
        Ok((merged, is_sample))
    }

    /// The name under which a column of a file is read.
    fn name_of(&self, any_case: bool, schema: &Schema, name: &str) -> String {
        let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
        let is_target = |name: &str| self.columns.iter().any(|column| column.name == name);
        if !any_case || is_target(name) {
            return name.to_owned();
        }
        let mut like = self.columns.iter().filter(|column| column.name.eq_ignore_ascii_case(name));
        match (like.next(), like.next()) {
            (Some(column), None) if !has(&column.name) => column.name.clone(),
            _ => name.to_owned(),
        }
    }

    /// Does the reader of this format match names in any case? Newer servers do for text.
    async fn takes_any_case(&self, format: Format<'_>, found: &[Found]) -> Result<bool, Error> {
        let differs = |name: &str| {
            !self.columns.iter().any(|column| column.name == name)
                && self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let mut schemas = found.iter().filter_map(|found| match found {
            Found::Schema(schema, _) => Some(schema),
            _ => None,
        });
        if !format.is_text()
            || !schemas.any(|schema| schema.columns.iter().any(|c| differs(&c.name)))
        {
            return Ok(false);
        }
        let text = match format.family {
            formats::Family::Keys => "format(JSONEachRow, 'a UInt8', '{\"A\":1}')",
            _ => "format(CSVWithNames, 'a UInt8', 'A\n1\n')",
        };
        let text = format!("SELECT a FROM {text}");
        let found = read(|| self.server.call_text("any_case", text.clone()).fetch_all::<Probe>());
        // A server that refuses the key does not match it.
        Ok(found.await.is_ok_and(|rows| rows.first().is_some_and(|row| row.a == 1)))
    }

    /// Files with columns that the target lacks count only if they have a row.
    async fn without_bare_headers(
        &self,
        files: &[SourceFile],
        mut found: Vec<Found>,
        any_case: bool,
    ) -> Result<Vec<Found>, Error> {
        #[derive(Deserialize, Row)]
        struct Rows {
            rows: u64,
        }
        /// A larger file has more than its header.
        const HEADER_BYTES_MAX: u64 = 64 << 10;
        let is_known = |schema: &Schema, name: &str| {
            let name = self.name_of(any_case, schema, name);
            self.columns.iter().any(|column| column.name == name)
        };
        for (file, found) in files.iter().zip(&mut found) {
            let Found::Schema(schema, None) = &*found else { continue };
            let is_doubtful = schema.columns.iter().any(|column| !is_known(schema, &column.name));
            if !is_doubtful || file.size > HEADER_BYTES_MAX {
                continue;
            }
            let from = raw_clause(&self.source, std::slice::from_ref(file), self.keys);
            let text = format!("SELECT count() AS rows FROM (SELECT * FROM {from} LIMIT 1)");
            let settings = self.reading().settings;
            let known = self.server.known_settings().await;
            let rows = read(|| {
                let call =
                    self.server.call_text("has_rows", text.clone()).settings(&settings, known);
                call.deadline(None).fetch_one::<Rows>()
            });
            // What cannot be read is found by its own load.
            if rows.await.is_ok_and(|rows| rows.rows == 0) {
                *found = Found::Empty;
            }
        }
        Ok(found)
    }

    /// When no file can be read the format is wrong, or the keys are.
    fn refuse_format(&self, found: &[Found]) -> Result<(), Error> {
        let broken = |found: &Found| match found {
            Found::Broken(failure) => Some(failure.clone()),
            _ => None,
        };
        let all: Option<Vec<Failure>> =
            found.iter().filter(|found| !matches!(found, Found::Empty)).map(broken).collect();
        match all.unwrap_or_default().into_iter().next() {
            Some(failure) => Err(self.unreadable(failure)),
            None => Ok(()),
        }
    }

    /// A file that is known by its path alone must not have a column that hides it.
    fn refuse_hidden_paths(&self) -> Result<(), Error> {
        if !self.source.own.iter().any(|own| own == "_path") {
            return Ok(());
        }
        let mut files = self.files.iter();
        match files.find(|file| is_pinned_by_path(&self.source, file, self.keys)) {
            None => Ok(()),
            Some(file) => {
                let message = format!(
                    "the files have a column `_path`, and the key {:?} can only be told from its neighbours by \
                     the path that the server shows under this name",
                    file.path
                );
                let help = "rename the file in the store, so that its key has letters, digits and -._/ only";
                Err(Report::new(Kind::Usage, message).help(help).into())
            }
        }
    }

    async fn targets(&self) -> Result<Vec<Target>, Error> {
        let call = || {
            let call = self.server.call(sql::LIST_DEFAULTS);
            let call = call.param("database", &self.target.database);
            call.param("table", &self.target.table).fetch_all::<Defaulted>()
        };
        let found = read(call).await?;
        let names_of = |column: &Defaulted| match column.default_kind.as_str() {
            "DEFAULT" => names_in(&column.default_expression),
            _ => std::collections::BTreeSet::new(),
        };
        let used: std::collections::BTreeSet<String> = found.iter().flat_map(names_of).collect();
        let target = |column: Defaulted| Target {
            kind: Type::parse(&column.r#type),
            is_referenced: used.contains(&column.name),
            default: if column.default_kind == "DEFAULT" {
                column.default_expression
            } else {
                String::new()
            },
            name: column.name,
            text: column.r#type,
            default_kind: column.default_kind,
        };
        Ok(found.into_iter().map(target).collect())
    }

    fn unreadable(&self, failure: Failure) -> Error {
        let format = &self.source.format;
        match failure.code() {
            Some(code) if NO_FORMAT.contains(&code) => {
                Report::new(Kind::Usage, format!("the server knows no format `{format}` to read"))
                    .help("names are case-sensitive: Parquet, CSVWithNames, JSONEachRow, …")
                    .into()
            }
            // Errors of the store, of grants and of the connection are told as they are.
            Some(499 | 497 | 516 | 241) | None => failure.into(),
            Some(_) => Report::new(
                Kind::Usage,
                format!("the files cannot be read so: {}", failure.message),
            )
            .help("check --format, --settings, --structure, --select and --where")
            .into(),
        }
    }
}

/// Names of virtual columns that the files have as their own.
fn owned<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    names.filter(|name| VIRTUAL.contains(name)).map(str::to_owned).collect()
}
