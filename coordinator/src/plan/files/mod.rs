//! How files are read: the schemas of all of them against the target, column by column.
//!
//! The reader is given the type and the default of each column of the target, as a plain
//! `INSERT … SELECT` gives it. Only a column whose values may not fit is read in the type of the
//! files, and converted with a cast that fails.

mod column;
mod defaults;
mod endpoint;
mod findings;
mod formats;
mod layout;
mod look;
mod merge;
mod notes;
pub(crate) mod objects;
pub(crate) mod pack;
mod request;
mod select;
mod surplus;

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use longshore_shared::schema::{Column, names_in};
use longshore_shared::source::{
    Reading, SchemaReader, SourceKeys, VIRTUAL, is_pinned_by_path, raw_clause,
};
use longshore_shared::sql::{self, quote_list};
use longshore_shared::task::{FilesSource, Output, SourceFile, TableName, Unseen, Waived};
use longshore_shared::types::Type;
use serde::Deserialize;

use crate::plan::target::columns::{ColumnChoice, Query, SourceSchema};
use crate::plan::target::outputs::NullIs;
use crate::ui::error::{Error, Kind, Report};
use column::{How, Target};
pub(crate) use findings::{Findings, validate};
use formats::Format;
use request::{Layout, Request};

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
    pub(crate) list: &'a [SourceFile],
    pub(crate) keys: &'a SourceKeys,
    pub(crate) settings: &'a BTreeMap<String, String>,
    pub(crate) choice: &'a ColumnChoice,
    /// Files whose schemas are all read. Of more a sample is.
    pub(crate) schemas_max: usize,
}

#[derive(Debug, Deserialize, Row)]
struct Defaulted {
    name: String,
    r#type: String,
    default_kind: String,
    default_expression: String,
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
        if format.refuses_surplus() {
            let whole = whole && (format.has_late_keys() || self.choice.ignored.is_empty());
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
        let mut notes = notes::of_files(&schemas, self.looked_at(), self.list.len());
        notes.extend(notes::of_large(&self.source.format, self.list));
        let wants_all = self.choice.select.is_none() && self.choice.columns.is_empty();
        // Of a file that cannot be read now a worker sees the columns, unless the reader refuses what it was
        // not asked for.
        let broken = || schemas.broken.iter().map(|(path, _)| path.clone());
        self.source.waived = Waived { columns: !wants_all, types: self.choice.as_insert };
        let is_unread = !schemas.broken.is_empty() && !format.refuses_surplus();
        if is_sample || is_unread {
            self.source.unseen = Some(Unseen {
                columns: wants_all.then(Vec::new),
                types: !self.choice.as_insert && !format.is_text(),
                files: if is_sample { Vec::new() } else { broken().collect() },
                any_case: self.matches_any_case(format).await?,
            });
        }
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
        if let Some(Unseen { columns: Some(columns), .. }) = &mut self.source.unseen {
            columns.extend(layout.structure.iter().map(|read| read.name.clone()));
            columns.extend(layout.notes.folders.iter().chain(&self.choice.ignored).cloned());
        }
        self.refuse_hidden_paths()?;
        notes.splice(0..0, layout.notes.sentences());
        notes.extend(std::mem::take(&mut schema.notes));
        schema.notes = notes;
        schema.rows = schemas.rows;
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
        let mut schema = self.query(names, null_is).await?;
        self.refuse_hidden_paths()?;
        let bare = self.without_default(&schema.columns).await?;
        let skips = self.source.settings.get("input_format_skip_unknown_fields");
        let refuses = skips.is_some_and(|skips| skips == "0");
        schema.notes.extend(notes::of_structure(&bare, refuses));
        Ok((self.source, schema))
    }

    /// Columns whose DEFAULT in the table is not the one of `--structure`.
    async fn without_default(&self, columns: &[String]) -> Result<Vec<String>, Error> {
        let told = self.reader().asked_for(&self.list[0]).await?;
        // NULL becomes the DEFAULT of the table when it is inserted.
        let has_own = |name: &str| {
            told.iter().any(|(told, kind, has)| told == name && (*has || kind.is_nullable()))
        };
        let targets = self.targets().await?;
        let of_table = targets.into_iter().filter(Target::has_default).map(|target| target.name);
        Ok(of_table.filter(|name| columns.contains(name) && !has_own(name)).collect())
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
        Ok(SourceSchema {
            columns,
            select,
            outputs: Vec::new(),
            rows: HashMap::new(),
            notes: Vec::new(),
        })
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
        let first = &self.list[..1];
        Reading::files(&self.source, first, &self.choice.filter, self.settings, self.keys)
    }

    /// The columns that the reader gives for the structure of the source.
    async fn described(&self) -> Result<Vec<(String, String)>, Error> {
        let reading = self.reading();
        let from = raw_clause(&self.source, &self.list[..1], self.keys);
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
        let found = retry_idempotent(|| {
            self.server.call_text("date_rule", text.clone()).fetch_one::<Value>()
        });
        Ok(Some(found.await?.value))
    }

    fn reader(&self) -> SchemaReader {
        SchemaReader {
            server: self.server.clone(),
            source: self.source.clone(),
            keys: self.keys.clone(),
            settings: self.settings.clone(),
            // Expressions work on the types that the server guesses.
            only_names: self.choice.select.is_none(),
        }
    }

    /// A file that is known by its path alone must not have a column that hides it.
    fn refuse_hidden_paths(&self) -> Result<(), Error> {
        if !self.source.own.iter().any(|own| own == "_path") {
            return Ok(());
        }
        let mut files = self.list.iter();
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
        let found = retry_idempotent(call).await?;
        let target = |column: Defaulted| Target {
            kind: Type::parse(&column.r#type),
            default: if ["DEFAULT", "EPHEMERAL"].contains(&column.default_kind.as_str()) {
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
            Some(Code::UNKNOWN_FORMAT | Code::FORMAT_IS_NOT_SUITABLE_FOR_INPUT) => {
                Report::new(Kind::Usage, format!("the server knows no format `{format}` to read"))
                    .help("names are case-sensitive: Parquet, CSVWithNames, JSONEachRow, …")
                    .into()
            }
            // Errors of the store, of grants and of the connection are told as they are.
            Some(
                Code::S3_ERROR
                | Code::ACCESS_DENIED
                | Code::AUTHENTICATION_FAILED
                | Code::MEMORY_LIMIT_EXCEEDED,
            ) => failure.into(),
            _ if !failure.is_refusal() => failure.into(),
            _ => Report::new(
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
