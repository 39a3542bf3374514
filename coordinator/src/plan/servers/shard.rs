//! `--shard-by`: which server a row belongs to. Every row must belong to exactly one, whichever
//! server is asked, or it would be lost or doubled.

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use longshore_shared::schema::Column;
use longshore_shared::source::Reading;
use longshore_shared::sql::{quote_identifier, quote_list, quote_literal};
use longshore_shared::task::{ShardBy, ShardColumn};
use serde::Deserialize;

use super::endpoints::Fleet;
use crate::plan::target::columns::{check_syntax, types_of};
use crate::ui::error::{Error, Kind, Report};

/// Functions of such a server that give one value now and another later, or there.
const MOODY: [&str; 12] = [
    "rand",
    "generate",
    "now",
    "today",
    "yesterday",
    "dict",
    "join",
    "rownumber",
    "block",
    "host",
    "server",
    "current",
];

/// What a load gives: the source, the expressions, and the columns they fill.
pub(crate) struct Loaded<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) select: &'a str,
    pub(crate) columns: &'a [String],
    pub(crate) target: &'a [Column],
}

#[derive(Deserialize, Row)]
struct Named {
    name: String,
}

/// The rule of an expression, tried on every server.
pub(crate) async fn shard_by(
    fleet: &Fleet,
    expression: &str,
    loaded: &Loaded<'_>,
) -> Result<ShardBy, Error> {
    let home = fleet.first();
    check_syntax(home, Some(&format!("({expression})")), "").await?;
    // A column that an expression of --select makes must be the same on every server too.
    for text in [expression, loaded.select, loaded.reading.condition.as_str()] {
        refuse_moods(home, expression, text).await?;
    }
    fleet.one_time_zone()?;
    let settings = &loaded.reading.settings;
    let read =
        types_of(home, &format!("({})", loaded.reading.select(loaded.select)), settings).await?;
    let column = |name: &String| {
        let target = loaded.target.iter().find(|column| column.name == *name)?;
        let kind = inside(&target.r#type, "LowCardinality").to_owned();
        let source = read.iter().find(|(read, _)| read == name).map_or("", |(_, kind)| kind);
        let may_be_null = inside(source, "LowCardinality").starts_with("Nullable(")
            && !kind.starts_with("Nullable(");
        Some(ShardColumn { name: name.clone(), r#type: kind, may_be_null })
    };
    let columns: Vec<ShardColumn> = loaded
        .columns
        .iter()
        .filter(|name| expression.contains(*name))
        .filter_map(column)
        .collect();
    if columns.is_empty() {
        return Err(refused(expression, "it names no column that is loaded").into());
    }
    let mut unsigned = String::new();
    for server in fleet.servers() {
        unsigned = unsigned_of(server, expression, &columns).await?;
    }
    let first = Some((0, fleet.len()));
    let by = ShardBy { expression: expression.to_owned(), unsigned, columns, shard: first };
    let Some(share) = by.of_shard(loaded.reading, loaded.select, loaded.columns) else {
        return Err(refused(expression, "it has no server").into());
    };
    for server in fleet.servers() {
        let probe = format!("({})", share.select(&quote_list(loaded.columns)));
        types_of(server, &probe, settings)
            .await
            .map_err(|failure| unusable(expression, failure))?;
    }
    Ok(ShardBy { shard: None, ..by })
}

/// The same row must have the same number whenever and wherever it is asked for.
async fn refuse_moods(server: &Server, expression: &str, text: &str) -> Result<(), Error> {
    let called = called(text);
    if words(text).any(|(word, _)| word == "select") {
        return Err(refused(expression, "it holds a query of its own").into());
    }
    let query = "SELECT lower(name) AS name FROM system.functions \
                WHERE deterministic = 0 OR origin != 'System'";
    let found: Result<Vec<Named>, Failure> =
        retry_idempotent(|| server.call_text("moody_functions", query.to_owned()).fetch_all())
            .await;
    let moody = match found {
        Ok(found) => called.iter().find(|word| found.iter().any(|named| named.name == **word)),
        // An older server does not say which functions are deterministic.
        Err(failure) if failure.code() == Some(Code::UNKNOWN_IDENTIFIER) => {
            called.iter().find(|word| MOODY.iter().any(|mood| word.starts_with(mood)))
        }
        Err(failure) => return Err(failure.into()),
    };
    match moody {
        None => Ok(()),
        Some(word) => {
            let why =
                format!("{word}() may have another value at another time or on another server");
            Err(refused(expression, &why).into())
        }
    }
}

/// Names of what is called, in small letters.
fn called(expression: &str) -> Vec<String> {
    words(expression).filter(|(_, is_called)| *is_called).map(|(word, _)| word).collect()
}

/// Words in small letters; is a bracket next?
fn words(expression: &str) -> impl Iterator<Item = (String, bool)> {
    let is_word = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    let ends = expression.char_indices().filter(move |(at, symbol)| {
        let next = expression[at + symbol.len_utf8()..].chars().next();
        is_word(*symbol) && !next.is_some_and(is_word)
    });
    ends.map(move |(at, symbol)| {
        let end = at + symbol.len_utf8();
        let start = expression[..end].rfind(|symbol| !is_word(symbol)).map_or(0, |before| {
            before + expression[before..].chars().next().map_or(1, char::len_utf8)
        });
        let is_called =
            expression[end..].trim_start_matches([' ', '\n', '\t', '`', '"']).starts_with('(');
        (expression[start..end].to_lowercase(), is_called)
    })
}

/// The function that takes the expression's number as unsigned; refused when it is no integer.
async fn unsigned_of(
    server: &Server,
    expression: &str,
    columns: &[ShardColumn],
) -> Result<String, Error> {
    let value = |column: &ShardColumn| {
        let kind = quote_literal(&column.r#type);
        format!("defaultValueOfTypeName({kind}) AS {}", quote_identifier(&column.name))
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let text =
        format!("SELECT toTypeName(({expression})) AS name FROM (SELECT {})", values.join(", "));
    let call = || server.call_text("shard_type", text.clone()).fetch_one::<Named>();
    let kind = retry_idempotent(call).await.map_err(|failure| unusable(expression, failure))?.name;
    let plain = inside(inside(&kind, "LowCardinality"), "Nullable");
    match plain.strip_prefix('U').unwrap_or(plain) {
        "Int8" | "Int16" | "Int32" | "Int64" => {
            Ok(format!("toU{}", plain.strip_prefix('U').unwrap_or(plain)))
        }
        _ => {
            let why = format!("it is {kind}, and must be an integer of at most 64 bits");
            Err(refused(expression, &why).into())
        }
    }
}

/// `T` of `Wrapper(T)`.
fn inside<'a>(kind: &'a str, wrapper: &str) -> &'a str {
    let inner = kind.strip_prefix(wrapper).and_then(|rest| rest.strip_prefix('('));
    inner.and_then(|rest| rest.strip_suffix(')')).unwrap_or(kind)
}

fn refused(expression: &str, why: &str) -> Report {
    Report::new(Kind::Usage, format!("--shard-by {expression}: {why}"))
        .help("an integer of the row's own columns, as the sharding key of a Distributed table: cityHash64(user_id)")
}

fn unusable(expression: &str, failure: Failure) -> Error {
    if !failure.is_refusal() {
        return failure.into();
    }
    refused(expression, &failure.message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_called() {
        assert_eq!(called("cityHash64(a, Rand ( )) % b"), ["cityhash64", "rand"]);
        assert_eq!(called("`now`(x) + now"), ["now"]);
        assert!(words("a IN (SELECT 1)").any(|(word, _)| word == "select"));
        assert!(!words("selected + 1").any(|(word, _)| word == "select"));
        assert_eq!(called("ключ + f(é)"), ["f"]);
    }

    #[test]
    fn takes_wrappers_off_a_type() {
        assert_eq!(inside("LowCardinality(Nullable(Int8))", "LowCardinality"), "Nullable(Int8)");
        assert_eq!(inside("Int8", "Nullable"), "Int8");
    }
}
