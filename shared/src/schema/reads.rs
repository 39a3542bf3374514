//! What the text of a query or an engine reads: tables by name, and functions that reach tables.

use std::ops::Range;

use super::tokens::{Kind, Token, quoted, tokens};
use crate::task::TableName;

/// Table functions whose arguments name a table, or hold a query of their own. What they read is
/// the whole table, also inside a view, where a table that is named directly is the inserted block.
const FUNCTIONS: [&str; 12] = [
    "remote",
    "remoteSecure",
    "cluster",
    "clusterAllReplicas",
    "view",
    "viewIfPermitted",
    "viewExplain",
    "loop",
    "mergeTreeIndex",
    "mergeTreeProjection",
    "mergeTreeAnalyzeIndexes",
    "merge",
];
/// Those of them that may read another server.
const REMOTE: [&str; 4] = ["remote", "remoteSecure", "cluster", "clusterAllReplicas"];

/// One thing that a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// What is read.
    pub(super) what: What,
    /// The table function that reads it; none when the query names it itself.
    pub(super) function: Option<String>,
    /// Another server may be read: its `system.tables`, as a query reads it.
    pub(super) server: Option<String>,
}

/// See [`Read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A name that can be a table, view or dictionary.
    Name(TableName),
    /// Every table whose name matches, as `merge()` and the engine `Merge` read them.
    Pattern {
        /// A regular expression for databases; none when it is not known.
        database: Option<String>,
        /// A regular expression for tables.
        table: String,
    },
    /// A dictionary.
    Dictionary(TableName),
    /// A `Join` table, by `joinGet`.
    Join(TableName),
}

/// Everything that a text reads, as far as its names say so.
pub(super) fn reads(text: &str) -> Vec<Read> {
    let all = tokens(text);
    let solid: Vec<&Token<'_>> = all.iter().filter(|token| token.kind != Kind::Gap).collect();
    let mut found = Vec::new();
    // Where each call ends whose arguments are being looked at.
    let mut open: Vec<(usize, &str, Option<String>)> = Vec::new();
    for at in 0..solid.len() {
        open.retain(|(end, ..)| *end > at);
        let is_path = at > 0 && solid[at - 1].is_symbol('.');
        let (function, server) = open
            .last()
            .map(|(_, name, server)| (Some((*name).to_owned()), server.clone()))
            .unwrap_or_default();
        let mut add = |what| {
            let (function, server) = (function.clone(), server.clone());
            found.push(Read { what, function, server });
        };
        if let Some(name) = solid[at].name().filter(|_| !is_path)
            && let Some(end) = call_end(&solid, at)
        {
            let inside = arguments(&solid[at + 2..end]);
            if name == "merge" {
                found.extend(pattern(&inside).map(|what| Read {
                    what,
                    function: Some("merge".to_owned()),
                    server: server.clone(),
                }));
            } else if let Some(function) = FUNCTIONS.iter().find(|known| **known == name) {
                let own = REMOTE.contains(function).then(|| system_tables(name, &inside));
                open.push((end, function, own.or(server)));
                // Further names are found inside.
                let of = |what| Read {
                    what,
                    function: Some((*function).to_owned()),
                    server: open.last().and_then(|(.., server)| server.clone()),
                };
                found.extend(pairs(&inside).into_iter().map(|name| of(What::Name(name))));
            } else if is_dictionary_function(name) {
                add_named(&inside, What::Dictionary, &mut add);
            } else if name == "joinGet" || name == "joinGetOrNull" {
                add_named(&inside, What::Join, &mut add);
            } else if let Some(view) = split_name(name) {
                // A view with parameters: `db.view`(a = 1).
                add(What::Name(view));
            }
            continue;
        }
        if let (false, [first, dot, last, ..]) = (is_path, &solid[at..])
            && dot.is_symbol('.')
            && let (Some(database), Some(table)) = (first.name(), last.name())
        {
            let (database, table) = (database.to_owned(), table.to_owned());
            add(What::Name(TableName { database, table }));
        }
    }
    found
}

/// The calls of table functions that read a whole table, or another server: places from the name to
/// the closing bracket.
pub(super) fn function_spans(solid: &[&Token<'_>]) -> Vec<Range<usize>> {
    (0..solid.len())
        .filter(|at| at.checked_sub(1).is_none_or(|before| !solid[before].is_symbol('.')))
        .filter(|at| solid[*at].name().is_some_and(|name| FUNCTIONS.contains(&name)))
        .filter_map(|at| Some(at..call_end(solid, at)?))
        .collect()
}

/// `dictGet…`, `dictHas`, … and the table function `dictionary`.
fn is_dictionary_function(name: &str) -> bool {
    name == "dictionary" || name.starts_with("dictGet") || ["dictHas", "dictIsIn"].contains(&name)
}

fn add_named(arguments: &[&[&Token<'_>]], kind: fn(TableName) -> What, add: &mut impl FnMut(What)) {
    let named = arguments.first().and_then(|first| match *first {
        [only] => split_name(&only.string()?),
        [database, dot, table] if dot.is_symbol('.') => {
            let (database, table) = (database.name()?.to_owned(), table.name()?.to_owned());
            Some(TableName { database, table })
        }
        _ => None,
    });
    if let Some(name) = named {
        add(kind(name));
    }
}

/// What a table of this engine reads, by the text of the engine.
pub(super) fn engine_reads(engine: &str, engine_full: &str, database: &str) -> Vec<Read> {
    let all = tokens(engine_full);
    let solid: Vec<&Token<'_>> = all.iter().filter(|token| token.kind != Kind::Gap).collect();
    let Some(end) = call_end(&solid, 0) else { return Vec::new() };
    let inside = arguments(&solid[2..end]);
    let here = |what| Read { what, function: None, server: None };
    let pair = |at: usize| {
        let (database, table) = (word(inside.get(at)?)?, word(inside.get(at + 1)?)?);
        Some(TableName { database, table })
    };
    match engine {
        "Merge" => pattern(&inside).into_iter().map(here).collect(),
        "Buffer" => pair(0).map(|name| here(What::Name(name))).into_iter().collect(),
        "Alias" if inside.len() == 1 => word(inside[0])
            .map(|table| here(What::Name(TableName { database: database.to_owned(), table })))
            .into_iter()
            .collect(),
        "Alias" => pair(0).map(|name| here(What::Name(name))).into_iter().collect(),
        "Dictionary" => inside
            .first()
            .and_then(|first| split_name(&word(first)?))
            .map(|name| here(What::Dictionary(name)))
            .into_iter()
            .collect(),
        "Distributed" => pair(1)
            .map(|name| Read {
                server: Some(system_tables("cluster", &inside)),
                ..here(What::Name(name))
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// What a dictionary with a ClickHouse source on a named host reads, by the text of its definition.
pub(super) fn dictionary_reads(definition: &str) -> Vec<Read> {
    let all = tokens(definition);
    let solid: Vec<&Token<'_>> = all.iter().filter(|token| token.kind != Kind::Gap).collect();
    let source = solid.iter().position(|token| token.is_keyword("CLICKHOUSE"));
    let Some((start, end)) = source.and_then(|at| Some((at + 2, call_end(&solid, at)?))) else {
        return Vec::new();
    };
    let value = |key: &str| {
        let at = solid[start..end].iter().position(|token| token.is_keyword(key))?;
        let next = solid.get(start + at + 1)?;
        next.string().or_else(|| Some(next.text.to_owned()))
    };
    let port = value("PORT").map(|port| format!(":{port}")).unwrap_or_default();
    let host = value("HOST").unwrap_or_default();
    let address = crate::sql::quote_literal(&format!("{host}{port}"));
    let server = (!host.is_empty()).then(|| format!("remote({address}, system.tables)"));
    let mut found: Vec<Read> = value("QUERY").map(|query| reads(&query)).unwrap_or_default();
    if let (Some(database), Some(table)) = (value("DB"), value("TABLE")) {
        let what = What::Name(TableName { database, table });
        found.push(Read { what, function: None, server: None });
    }
    for read in &mut found {
        read.server.clone_from(&server);
    }
    found
}

/// Where the call ends that begins at a name: the place of its closing bracket.
fn call_end(solid: &[&Token<'_>], at: usize) -> Option<usize> {
    solid.get(at + 1).filter(|token| token.is_symbol('('))?;
    let mut depth = 0;
    (at + 1..solid.len()).find(|place| {
        match solid[*place].kind {
            Kind::Symbol('(' | '[') => depth += 1,
            Kind::Symbol(')' | ']') => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// The arguments of a call, by its commas.
fn arguments<'a, 'b>(inside: &'a [&'b Token<'b>]) -> Vec<&'a [&'b Token<'b>]> {
    let mut depth = 0;
    inside
        .split(|token| {
            match token.kind {
                Kind::Symbol('(' | '[') => depth += 1,
                Kind::Symbol(')' | ']') => depth -= 1,
                _ => {}
            }
            depth == 0 && token.is_symbol(',')
        })
        .filter(|argument| !argument.is_empty())
        .collect()
}

/// A name or a string that stands alone.
fn word(argument: &[&Token<'_>]) -> Option<String> {
    match argument {
        [only] => only.string().or_else(|| only.name().map(str::to_owned)),
        _ => None,
    }
}

/// `'db.table'`; the first dot divides, as the server has it.
fn split_name(text: &str) -> Option<TableName> {
    let (database, table) = text.split_once('.')?;
    Some(TableName { database: database.to_owned(), table: table.to_owned() })
}

/// Names of tables that are written as two arguments, as one string, or by keys.
fn pairs(inside: &[&[&Token<'_>]]) -> Vec<TableName> {
    let words: Vec<Option<String>> = inside.iter().map(|argument| word(argument)).collect();
    let two = words
        .windows(2)
        .filter_map(|pair| Some(TableName { database: pair[0].clone()?, table: pair[1].clone()? }));
    let value = |keys: &[&str]| {
        inside.iter().find_map(|argument| match argument {
            [key, equals, value]
                if equals.is_symbol('=') && keys.iter().any(|word| key.is_keyword(word)) =>
            {
                word(&[value])
            }
            _ => None,
        })
    };
    let by_key = value(&["database", "db"]).zip(value(&["table"]));
    let by_key = by_key.map(|(database, table)| TableName { database, table });
    two.chain(words.iter().flatten().filter_map(|text| split_name(text))).chain(by_key).collect()
}

/// The arguments of `merge`: a database and a regular expression, or the latter alone.
fn pattern(inside: &[&[&Token<'_>]]) -> Option<What> {
    let (database, table) = match inside {
        [table] => (None, word(table)?),
        [database, table, ..] => (database_pattern(database), word(table)?),
        [] => return None,
    };
    Some(What::Pattern { database, table })
}

/// A database by its name or by `REGEXP('…')`; none when an expression says which.
fn database_pattern(argument: &[&Token<'_>]) -> Option<String> {
    if let Some(name) = word(argument) {
        return Some(format!("^{}$", escaped(&name)));
    }
    match argument {
        [function, open, text, _] if function.is_keyword("REGEXP") && open.is_symbol('(') => {
            text.string()
        }
        _ => None,
    }
}

/// A name as a regular expression that matches nothing else.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for symbol in name.chars() {
        if !symbol.is_alphanumeric() && symbol != '_' {
            text.push('\\');
        }
        text.push(symbol);
    }
    text
}

/// The table `system.tables` of the server that a call reads.
fn system_tables(function: &str, inside: &[&[&Token<'_>]]) -> String {
    let first = inside.first().copied().unwrap_or_default();
    let text: String = first.iter().map(|token| token.text).collect();
    let is_collection =
        function.starts_with("remote") && matches!(first, [only] if only.name().is_some());
    if is_collection {
        format!("{function}({text}, database = 'system', table = 'tables')")
    } else {
        format!("{function}({text}, system.tables)")
    }
}

impl Token<'_> {
    /// The text of a string literal.
    fn string(&self) -> Option<String> {
        (self.kind == Kind::Literal && self.text.starts_with('\''))
            .then(|| quoted(self.text, '\'').0)
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
