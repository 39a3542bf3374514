//! Which columns of a query go into which columns of the target, by name.

use std::collections::HashMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use longshore_shared::schema::Column;
use longshore_shared::source::{DESCRIBE_SETTINGS, Described};
use longshore_shared::sql::{self, quote_list};
use longshore_shared::task::Output;
use serde::Deserialize;

use super::outputs::{NullIs, outputs};
use crate::ui::error::{Error, Kind, Report};

/// Parse errors of the user's own expressions, unknown columns, unreadable files.
const UNREADABLE: [Code; 12] = [
    Code::SYNTAX_ERROR,
    Code::UNKNOWN_IDENTIFIER,
    Code::UNKNOWN_FUNCTION,
    Code::ILLEGAL_TYPE_OF_ARGUMENT,
    Code::NUMBER_OF_ARGUMENTS_DOESNT_MATCH,
    Code::TYPE_MISMATCH,
    Code::CANNOT_EXTRACT_TABLE_STRUCTURE,
    Code::STD_EXCEPTION,
    Code::INCORRECT_DATA,
    Code::CANNOT_PARSE_INPUT_ASSERTION_FAILED,
    Code::BAD_ARGUMENTS,
    Code::NO_COMMON_TYPE,
];

/// What a piece of a table is found by. A column of such a name hides it.
const PIECES: [&str; 3] = ["_partition_id", "_part", "_part_offset"];

/// What the user said of the columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnChoice {
    pub(crate) structure: Option<String>,
    pub(crate) select: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) ignored: Vec<String>,
    pub(crate) filter: String,
    /// What a plain INSERT makes of values that do not fit is accepted.
    pub(crate) as_insert: bool,
}

/// The columns of a load.
#[derive(Debug)]
pub(crate) struct SourceSchema {
    /// Column list of the INSERT.
    pub(crate) columns: Vec<String>,
    /// Expressions of the SELECT.
    pub(crate) select: String,
    /// Those that are converted on their way; empty for none.
    pub(crate) outputs: Vec<Output>,
    /// Rows of files whose footers say them, by path.
    pub(crate) rows: HashMap<String, u64>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Deserialize, Row)]
struct Formatted {
    #[allow(dead_code)]
    text: String,
}

/// The user's expressions are SQL as they stand between other text.
///
/// Asked before any statement that holds keys: of a statement that it cannot parse, the server
/// writes the whole text into its log and `query_log`, keys included.
pub(crate) async fn check_syntax(
    server: &Server,
    select: Option<&str>,
    filter: &str,
) -> Result<(), Error> {
    let select = select.unwrap_or("*");
    let condition = if filter.is_empty() { "1" } else { filter };
    // As a part of a longer statement, so that nothing in it can be the statement's end.
    let text = format!("SELECT * FROM (SELECT {select} FROM t WHERE {condition})");
    let call = || server.call(sql::CHECK_SYNTAX).param("text", &text).fetch_one::<Formatted>();
    match retry_idempotent(call).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some(Code::SYNTAX_ERROR) => {
            let message =
                format!("--select, --where or --shard-by is not SQL: {}", failure.message);
            Err(Report::new(Kind::Usage, message).into())
        }
        // Another release may not have the function; it is a check before the real one.
        Err(failure) if failure.code() == Some(Code::UNKNOWN_FUNCTION) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Decides the columns of a load from a table, or from the query of a view (in brackets).
pub(crate) async fn decide_table(
    server: &Server,
    target: &[Column],
    choice: &ColumnChoice,
    from: &str,
) -> Result<SourceSchema, Error> {
    let is_view = from.starts_with('(');
    let found = describe(server, from, &[]).await.map_err(unreadable)?;
    if let Some(hidden) = found.iter().find(|column| PIECES.contains(&column.name.as_str()))
        && !is_view
    {
        let message = format!(
            "the source has a column `{}`: the server finds pieces of a table by a column of its own that \
             is called so",
            hidden.name
        );
        let help = format!("ALTER TABLE … RENAME COLUMN `{}` TO …, then plan again", hidden.name);
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    let query = Query { from, what: "source", is_table: !is_view, settings: &[] };
    let names = match &choice.select {
        Some(_) => Vec::new(),
        None => of_table(&found, target, choice)?,
    };
    // A view converts as the server does when it fires: its columns are not looked at.
    let as_insert = ColumnChoice { as_insert: choice.as_insert || is_view, ..choice.clone() };
    query.decide(server, target, &as_insert, names, NullIs::Value).await
}

/// The columns that a table gives: those of `SELECT *`, and computed ones that the target stores.
fn of_table(
    found: &[Described],
    target: &[Column],
    choice: &ColumnChoice,
) -> Result<Vec<String>, Error> {
    let is_stored = |name: &str| target.iter().any(|c| c.is_insertable() && c.name == name);
    let given = found.iter().filter(|column| match column.default_type.as_str() {
        "" | "DEFAULT" => true,
        "MATERIALIZED" | "ALIAS" => is_stored(&column.name),
        // It is not stored anywhere.
        _ => false,
    });
    let names: Vec<String> = given
        .map(|column| column.name.clone())
        .filter(|name| !choice.ignored.contains(name))
        .collect();
    if choice.columns.is_empty() {
        return Ok(names);
    }
    let is_there =
        |name: &String| found.iter().any(|c| c.name == *name && c.default_type != "EPHEMERAL");
    if let Some(unknown) = choice.columns.iter().find(|name| !is_there(name)) {
        let message = format!("the source has no column `{unknown}` (--columns)");
        let help = format!("its columns: {}", names.join(", "));
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    Ok(choice.columns.clone())
}

/// A query that gives the rows of a load.
pub(crate) struct Query<'a> {
    /// After FROM.
    pub(crate) from: &'a str,
    /// For messages: `files` or `source`.
    pub(crate) what: &'a str,
    /// A column wins over an alias of its name.
    pub(crate) is_table: bool,
    /// Settings of what is read.
    pub(crate) settings: &'a [(String, String)],
}

impl Query<'_> {
    /// Which of the target's columns the query fills, and how. `names` are the columns where the user
    /// gives no expressions.
    pub(crate) async fn decide(
        &self,
        server: &Server,
        target: &[Column],
        choice: &ColumnChoice,
        names: Vec<String>,
        null_is: NullIs,
    ) -> Result<SourceSchema, Error> {
        let select = choice.select.clone().unwrap_or_else(|| quote_list(&names));
        let filter = if choice.filter.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", choice.filter)
        };
        let query = format!("(SELECT {select} FROM {}{filter})", self.from);
        let read: Vec<(String, String)> =
            self.types(server, &query).await.map_err(unreadable)?.into_iter().collect();
        let insertable: Vec<&Column> =
            target.iter().filter(|column| column.is_insertable()).collect();
        let names: Vec<String> = read.iter().map(|(name, _)| name.clone()).collect();
        if let Some(foreign) =
            names.iter().find(|name| !insertable.iter().any(|c| c.name == **name))
        {
            return Err(foreign_column(foreign, &names, target, choice).into());
        }
        let mut notes = missing_notes(&insertable, &names, self.what);
        let (outputs, converted) = outputs(&read, target, null_is, choice.as_insert);
        notes.extend(converted);
        Ok(SourceSchema { columns: names, select, outputs, rows: HashMap::new(), notes })
    }

    /// Names and types of what a query over this source gives.
    pub(crate) async fn types(
        &self,
        server: &Server,
        query: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let value = if self.is_table { "1" } else { "0" };
        let mut settings = vec![("prefer_column_name_to_alias".to_owned(), value.to_owned())];
        settings.extend_from_slice(self.settings);
        let found = describe(server, query, &settings).await?;
        Ok(found.into_iter().map(|column| (column.name, column.r#type)).collect())
    }
}

fn foreign_column(
    foreign: &str,
    names: &[String],
    target: &[Column],
    choice: &ColumnChoice,
) -> Report {
    let computed = target.iter().find(|c| c.name == foreign);
    let message = match computed {
        Some(column) => format!(
            "column `{foreign}` of the target is {} and cannot be inserted",
            column.default_kind
        ),
        None => format!("the target has no column `{foreign}`, which would be lost"),
    };
    let kept: Vec<&str> = names
        .iter()
        .filter(|name| target.iter().any(|c| c.is_insertable() && c.name == **name))
        .map(String::as_str)
        .collect();
    let help = if choice.select.is_some() {
        "give every expression of --select the name of a target column: `… AS name`".to_owned()
    } else if kept.is_empty() {
        format!("name the column that it fills: --select '{foreign} AS COLUMN'")
    } else {
        let kept = kept.join(",");
        format!("to leave it out on purpose: --ignore-columns {foreign}, or --columns '{kept}'")
    };
    Report::new(Kind::Usage, message).help(help)
}

/// Names and types of what a query gives.
pub(crate) async fn types_of(
    server: &Server,
    query: &str,
    settings: &[(String, String)],
) -> Result<Vec<(String, String)>, Failure> {
    let found = describe(server, query, settings).await?;
    Ok(found.into_iter().map(|column| (column.name, column.r#type)).collect())
}

async fn describe(
    server: &Server,
    what: &str,
    settings: &[(String, String)],
) -> Result<Vec<Described>, Failure> {
    let known = server.known_settings().await;
    retry_idempotent(|| {
        let call = server.call_text("describe_source", format!("DESCRIBE TABLE {what}"));
        let own = DESCRIBE_SETTINGS.iter().filter(|(name, _)| known.has(name));
        own.fold(call, |call, (name, value)| call.setting(name, value))
            .settings(settings, known)
            .fetch_all()
    })
    .await
}

/// Is it the source, or an expression over it, that cannot be read?
pub(crate) fn is_unreadable(failure: &Failure) -> bool {
    failure.code().is_some_and(|code| UNREADABLE.contains(&code))
}

fn unreadable(failure: Failure) -> Error {
    if is_unreadable(&failure) {
        let message = format!("the source cannot be read so: {}", failure.message);
        return Report::new(Kind::Usage, message)
            .help("check --select, --where, --columns and --structure")
            .into();
    }
    failure.into()
}

fn missing_notes(insertable: &[&Column], names: &[String], what: &str) -> Vec<String> {
    let missing: Vec<&str> = insertable
        .iter()
        .filter(|column| column.default_kind.is_empty() && !names.contains(&column.name))
        .map(|column| column.name.as_str())
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "not in the {what}, so filled with the default of their type: {}",
        missing.join(", ")
    )]
}
