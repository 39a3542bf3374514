//! Which columns of the files go into which columns of the target, by name.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, read};
use longshore_shared::schema::Column;
use longshore_shared::sql::{self, quote_identifier, quote_list};
use serde::Deserialize;

use crate::exit::{Error, Kind, Report};

/// Formats that do not name their columns: they are read by the target's own columns, in order.
const NAMELESS: [&str; 13] = [
    "CSV",
    "TSV",
    "TabSeparated",
    "TSVRaw",
    "TabSeparatedRaw",
    "Values",
    "CustomSeparated",
    "RowBinary",
    "JSONCompactEachRow",
    "JSONCompactStringsEachRow",
    "MsgPack",
    "JSONCompactColumns",
    "Template",
];
/// Formats with types of their own; others are text and are read by the target's types.
const TYPED: [&str; 7] =
    ["Parquet", "ORC", "Arrow", "ArrowStream", "Avro", "Native", "RowBinaryWithNamesAndTypes"];

/// Parse errors of the user's own expressions, unknown columns, unreadable files.
const UNREADABLE: [i32; 11] = [62, 47, 46, 43, 42, 53, 636, 1001, 117, 27, 36];
const SYNTAX_ERROR: i32 = 62;
const UNKNOWN_FUNCTION: i32 = 46;

/// What the server adds to the rows of a file. A file with an odd name is read by a SELECT that
/// carries them along; they are no columns of the file.
const VIRTUAL: [&str; 4] = ["_path", "_file", "_size", "_time"];

/// What the user said of the columns.
#[derive(Debug, Default)]
pub(crate) struct ColumnChoice {
    pub(crate) structure: Option<String>,
    pub(crate) select: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) filter: String,
}

/// The columns of a load.
#[derive(Debug)]
pub(crate) struct SourceSchema {
    /// `name Type, …` of the files.
    pub(crate) structure: String,
    /// Column list of the INSERT.
    pub(crate) columns: Vec<String>,
    /// Expressions of the SELECT.
    pub(crate) select: String,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Deserialize, Row)]
struct Described {
    name: String,
    r#type: String,
    #[allow(dead_code)]
    default_type: String,
    #[allow(dead_code)]
    default_expression: String,
    #[allow(dead_code)]
    comment: String,
    #[allow(dead_code)]
    codec_expression: String,
    #[allow(dead_code)]
    ttl_expression: String,
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
    match read(call).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some(SYNTAX_ERROR) => {
            let message =
                format!("--select, --where or --shard-by is not SQL: {}", failure.message);
            Err(Report::new(Kind::Usage, message).into())
        }
        // Another release may not have the function; it is a check before the real one.
        Err(failure) if failure.code() == Some(UNKNOWN_FUNCTION) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Decides the columns. `from` makes the FROM clause of the first file for a structure.
pub(crate) async fn decide(
    server: &Server,
    target: &[Column],
    format: &str,
    choice: &ColumnChoice,
    from: impl Fn(Option<&str>) -> String,
) -> Result<SourceSchema, Error> {
    let insertable: Vec<&Column> = target.iter().filter(|column| column.is_insertable()).collect();
    let structure = match &choice.structure {
        Some(structure) => structure.clone(),
        None if NAMELESS.contains(&format) => {
            let wanted =
                |c: &&&Column| choice.columns.is_empty() || choice.columns.contains(&c.name);
            let plain = insertable.iter().filter(|c| c.default_kind != "EPHEMERAL").filter(wanted);
            structure_of(plain.map(|c| (c.name.as_str(), c.r#type.as_str())))
        }
        None => {
            let found = describe(server, &from(None), false)
                .await
                .map_err(|failure| unreadable(failure, format))?;
            let typed = TYPED.contains(&format);
            structure_of(found.iter().filter(|file| !is_virtual(&file.name)).map(|file| {
                let own = insertable.iter().find(|c| c.name == file.name && !typed);
                (file.name.as_str(), own.map_or(file.r#type.as_str(), |c| c.r#type.as_str()))
            }))
        }
    };
    let chosen = choose(server, target, choice, &from(Some(&structure)), "files").await.map_err(
        |problem| match problem {
            Problem::Unreadable(failure) => unreadable(failure, format),
            Problem::Told(error) => error,
        },
    )?;
    Ok(SourceSchema { structure, ..chosen })
}

/// Decides the columns of a load from a table or any other query.
pub(crate) async fn decide_table(
    server: &Server,
    target: &[Column],
    choice: &ColumnChoice,
    from: &str,
) -> Result<SourceSchema, Error> {
    choose(server, target, choice, from, "source").await.map_err(|problem| match problem {
        Problem::Unreadable(failure) if UNREADABLE.contains(&failure.code().unwrap_or(0)) => {
            let message = format!("the source cannot be read so: {}", failure.message);
            Report::new(Kind::Usage, message).help("check --select, --where and --columns").into()
        }
        Problem::Unreadable(failure) => failure.into(),
        Problem::Told(error) => error,
    })
}

enum Problem {
    /// The server cannot read the source so.
    Unreadable(Failure),
    /// Said already.
    Told(Error),
}

/// Which columns a query gives and which of the target they fill. `what` is plural for messages.
async fn choose(
    server: &Server,
    target: &[Column],
    choice: &ColumnChoice,
    from: &str,
    what: &str,
) -> Result<SourceSchema, Problem> {
    let insertable: Vec<&Column> = target.iter().filter(|column| column.is_insertable()).collect();
    let given = choice.select.as_deref().unwrap_or("*");
    let filter =
        if choice.filter.is_empty() { String::new() } else { format!(" WHERE {}", choice.filter) };
    let query = format!("(SELECT {given} FROM {from}{filter})");
    // As a load reads a table. The query of a view is read as the view does.
    let is_table = what == "source" && !from.starts_with('(');
    let read = describe(server, &query, is_table).await.map_err(Problem::Unreadable)?;
    let mut names: Vec<String> = read.iter().map(|column| column.name.clone()).collect();
    if choice.select.is_none() {
        names.retain(|name| !is_virtual(name));
    }
    let mut select = choice.select.clone();
    if choice.select.is_none() {
        if !choice.columns.is_empty() {
            if let Some(unknown) = choice.columns.iter().find(|name| !names.contains(name)) {
                let message = format!("the {what} have no column `{unknown}` (--columns)");
                let help = format!("their columns: {}", names.join(", "));
                return Err(Problem::Told(Report::new(Kind::Usage, message).help(help).into()));
            }
            names.clone_from(&choice.columns);
        }
        select = Some(quote_list(&names));
    }
    if let Some(foreign) = names.iter().find(|name| !insertable.iter().any(|c| c.name == **name)) {
        return Err(Problem::Told(foreign_column(foreign, &names, target, choice).into()));
    }
    let mut notes = missing_notes(&insertable, &names, what);
    notes.extend(converted_note(&insertable, &read, &names).filter(|_| what == "source"));
    Ok(SourceSchema {
        structure: String::new(),
        select: select.unwrap_or_default(),
        notes,
        columns: names,
    })
}

fn is_virtual(name: &str) -> bool {
    VIRTUAL.contains(&name)
}

fn structure_of<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    columns
        .map(|(name, r#type)| format!("{} {type}", quote_identifier(name)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `is_table`: the text stands in a load of a table, where a column wins over an alias of its name.
/// Names and types of what a query gives.
pub(super) async fn types_of(
    server: &Server,
    query: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let found = describe(server, query, false).await?;
    Ok(found.into_iter().map(|column| (column.name, column.r#type)).collect())
}

async fn describe(server: &Server, what: &str, is_table: bool) -> Result<Vec<Described>, Failure> {
    read(|| {
        server
            .call_text("describe_source", format!("DESCRIBE TABLE {what}"))
            .setting("describe_include_subcolumns", 0)
            .setting("prefer_column_name_to_alias", u8::from(is_table))
            .fetch_all()
    })
    .await
}

fn unreadable(failure: Failure, format: &str) -> Error {
    match failure.code() {
        // UNKNOWN_FORMAT, FORMAT_IS_NOT_SUITABLE_FOR_INPUT
        Some(73 | 117_000) => {
            Report::new(Kind::Usage, format!("the server knows no format `{format}`"))
                .help("names are case-sensitive: Parquet, CSVWithNames, JSONEachRow, …")
                .into()
        }
        Some(code) if UNREADABLE.contains(&code) => {
            Report::new(Kind::Usage, format!("the files cannot be read so: {}", failure.message))
                .help("check --format, --structure, --select and --where")
                .into()
        }
        _ => failure.into(),
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
    } else {
        format!("to leave it out on purpose: --columns '{}'", kept.join(","))
    };
    Report::new(Kind::Usage, message).help(help)
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

/// Columns whose values may not fit into the type of the target: the server cuts them off.
fn converted_note(insertable: &[&Column], read: &[Described], names: &[String]) -> Option<String> {
    let changed: Vec<String> = read
        .iter()
        .filter(|column| names.contains(&column.name))
        .filter_map(|column| {
            let target = insertable.iter().find(|target| target.name == column.name)?;
            (!keeps_values(&column.r#type, &target.r#type))
                .then(|| format!("{} ({} to {})", column.name, column.r#type, target.r#type))
        })
        .collect();
    (!changed.is_empty()).then(|| {
        format!(
            "converted to another type: {}; the server may cut a value that does not fit without \
             an error; --select \"accurateCast(column, 'Type') AS column, …\" fails instead",
            changed.join(", ")
        )
    })
}

/// Does every value of one type have its like in the other?
fn keeps_values(from: &str, to: &str) -> bool {
    let (from, to) = (plain(from), plain(to));
    if from == to {
        return true;
    }
    let integer = |name: &str| -> Option<(bool, u32)> {
        let (signed, bits) = match name.strip_prefix('U') {
            Some(rest) => (false, rest.strip_prefix("Int")?),
            None => (true, name.strip_prefix("Int")?),
        };
        Some((signed, bits.parse().ok()?))
    };
    match (integer(&from), integer(&to)) {
        (Some((signed, bits)), Some((to_signed, to_bits))) if signed == to_signed => {
            bits <= to_bits
        }
        (Some((false, bits)), Some((true, to_bits))) => bits < to_bits,
        _ => matches!((from.as_str(), to.as_str()), ("Float32", "Float64") | ("Date", "Date32")),
    }
}

/// A type without what says only how it is stored. `Nullable` stays where it matters: in the source.
fn plain(name: &str) -> String {
    let inner = |name: &str, wrapper: &str| {
        name.strip_prefix(wrapper)?.strip_suffix(')').map(str::to_owned)
    };
    let name = inner(name, "LowCardinality(").unwrap_or_else(|| name.to_owned());
    inner(&name, "Nullable(").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::keeps_values;

    #[test]
    fn a_wider_type_keeps_every_value_and_a_narrower_does_not() {
        for (from, to) in [
            ("UInt8", "UInt64"),
            ("UInt32", "Int64"),
            ("String", "LowCardinality(Nullable(String))"),
            ("Date", "Date32"),
        ] {
            assert!(keeps_values(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("UInt64", "UInt32"),
            ("Int8", "UInt64"),
            ("UInt32", "Int32"),
            ("DateTime64(6)", "DateTime64(3)"),
            ("String", "UInt64"),
        ] {
            assert!(!keeps_values(from, to), "{from} {to}");
        }
    }
}
