//! Files of a source as SQL: the table function over explicit keys, never over a user's glob.
//!
//! The server lists once, at plan time; a load names its files. A key with a character that means
//! something to the server (`{ } * ?` are globs there, `#` and `%` break its URL, FAULTS F7) is
//! reached by a pattern with `?` in those places and pinned by `WHERE _path = …`.

mod described;
mod keys;
mod load;
mod location;
mod probe;
mod reading;
mod schemas;
mod settings;
mod shard;
mod slice;

use secrecy::ExposeSecret;

pub use described::Described;
pub use keys::{KeysError, SourceKeys};
pub use load::{Fit, LoadStatement};
pub use location::{Location, LocationError};
pub use probe::{ProbeError, ToRead, check_filter, index_of, rows_to_read};
pub use reading::{ForeignChunk, Reading, table_clause, window_where};
pub use schemas::{Found, FoundColumn, Schema, SchemaReader};
pub use settings::{
    DESCRIBE_SETTINGS, DIRECT_SETTINGS, LOAD_SETTINGS, READ_SETTINGS, RECENT_SETTINGS,
    is_protected, read_settings,
};
pub use slice::slice_where;

use crate::planted::{Bug, planted};
use crate::sql::{quote_identifier, quote_list, quote_literal};
use crate::task::{FilesSource, Output, SourceFile, SourceFunction, select_list};

/// What the server adds to the rows of a file, where the file has no column of that name.
pub const VIRTUAL: [&str; 4] = ["_path", "_file", "_size", "_time"];

/// Virtual columns that identify a file. Only stores with objects have an etag.
fn listing_columns(function: SourceFunction) -> &'static str {
    match function {
        SourceFunction::S3 | SourceFunction::Gcs | SourceFunction::Azure => {
            "_path AS path, toUInt64(ifNull(_size, 0)) AS size, trim(BOTH '\"' FROM toString(ifNull(_etag, ''))) AS etag"
        }
        SourceFunction::Url | SourceFunction::File | SourceFunction::Hdfs => {
            "_path AS path, toUInt64(ifNull(_size, 0)) AS size, toString(toUnixTimestamp(ifNull(_time, toDateTime(0)))) AS etag"
        }
    }
}

/// Does the server take this character of a key as it is, inside a brace list too?
fn is_plain(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || "/._-=+@:~!$()".contains(symbol)
}

/// Does this character of a key stand for itself in a pattern? Fewer do than outside of one: `$`
/// means something there, and `?versionId=` after a wildcard would be a version, not a name.
fn is_plain_in_pattern(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || "/._-".contains(symbol)
}

fn is_plain_key(key: &str) -> bool {
    key.chars().all(is_plain)
}

/// The SELECT that lists what a pattern of the user matches.
pub fn listing_query(location: &Location, collection: Option<&str>, keys: &SourceKeys) -> String {
    let table = table_function(
        location.function,
        collection,
        location.container.as_deref(),
        &location.pattern,
        keys,
        "One",
        None,
    );
    format!("SELECT {} FROM {table}", listing_columns(location.function))
}

/// The SELECT that lists keys given one by one, of the location's own function and base.
pub fn explicit_listing_query(
    location: &Location,
    relative: &[String],
    collection: Option<&str>,
    keys: &SourceKeys,
) -> String {
    let table = |key: &str| {
        table_function(
            location.function,
            collection,
            location.container.as_deref(),
            &format!("{}{key}{}", location.base, location.suffix),
            keys,
            "One",
            None,
        )
    };
    let columns = listing_columns(location.function);
    let has_patterns = location.function != SourceFunction::Url;
    let (plain, odd): (Vec<_>, Vec<_>) =
        relative.iter().cloned().partition(|key| !has_patterns || is_plain_key(key));
    let mut selects = Vec::with_capacity(1 + odd.len());
    if !plain.is_empty() {
        selects.push(format!("SELECT {columns} FROM {}", table(&brace_list(&plain))));
    }
    for key in odd {
        let pattern: String =
            key.chars().map(|c| if is_plain_in_pattern(c) { c } else { '?' }).collect();
        selects.push(format!(
            "SELECT {columns} FROM {} WHERE endsWith(_path, {})",
            table(&pattern),
            quote_literal(&key)
        ));
    }
    selects.join(" UNION ALL ")
}

/// The SELECT that looks at exactly these files again: path, size and etag now.
pub fn pin_query(source: &FilesSource, files: &[SourceFile], keys: &SourceKeys) -> String {
    let columns = listing_columns(source.function);
    reads(source, files, keys, "One", None)
        .iter()
        .map(|read| format!("SELECT {columns} FROM {}{}", read.table, read.pin()))
        .collect::<Vec<_>>()
        .join(" UNION ALL ")
}

/// What stands after FROM to read these files: the columns that the plan makes of them.
pub fn from_clause(source: &FilesSource, files: &[SourceFile], keys: &SourceKeys) -> String {
    let files = raw_clause(source, files, keys);
    if source.left_out.is_empty() && source.outputs.iter().all(Output::is_plain) {
        return files;
    }
    // A reader that refuses keys it was not asked for must be asked for those too.
    let left_out = if source.left_out.is_empty() {
        String::new()
    } else {
        format!(" WHERE NOT ignore({})", quote_list(&source.left_out))
    };
    format!("(SELECT {} FROM {files}{left_out})", select_list(&source.outputs))
}

/// What stands after FROM to read these files as the reader gives them, before any conversion.
pub fn raw_clause(source: &FilesSource, files: &[SourceFile], keys: &SourceKeys) -> String {
    let structure = (!source.structure.is_empty()).then_some(source.structure.as_str());
    let reads = reads(source, files, keys, &source.format, structure);
    match reads.as_slice() {
        [read] if read.path.is_none() => read.table.clone(),
        reads => {
            let parts: Vec<String> = reads
                .iter()
                .map(|read| {
                    let added =
                        VIRTUAL.iter().filter(|name| !source.own.iter().any(|own| own == *name));
                    let added: String = added.flat_map(|name| [", ", name]).collect();
                    format!("SELECT *{added} FROM {}{}", read.table, read.pin())
                })
                .collect();
            format!("({})", parts.join(" UNION ALL "))
        }
    }
}

/// Can these files be told from their neighbours? A key that only a pattern reaches is known by
/// its path, which a column of that name hides.
pub fn is_pinned_by_path(source: &FilesSource, file: &SourceFile, keys: &SourceKeys) -> bool {
    let one = std::slice::from_ref(file);
    reads(source, one, keys, "One", None).iter().any(|read| read.path.is_some())
}

struct Read {
    table: String,
    /// Set when the key in `table` is a pattern that may match neighbours.
    path: Option<String>,
}

impl Read {
    fn pin(&self) -> String {
        if planted(Bug::DropPathFilter) {
            return String::new();
        }
        self.path
            .as_ref()
            .map(|path| format!(" WHERE _path = {}", quote_literal(path)))
            .unwrap_or_default()
    }
}

fn reads(
    source: &FilesSource,
    files: &[SourceFile],
    keys: &SourceKeys,
    format: &str,
    structure: Option<&str>,
) -> Vec<Read> {
    let relative = |file: &SourceFile| source.key(file).to_owned();
    let function = |key: &str| {
        let address = format!("{}{key}{}", source.base, source.suffix);
        table_function(
            source.function,
            source.named_collection.as_deref(),
            source.container.as_deref(),
            &address,
            keys,
            format,
            structure,
        )
    };
    // An address given to url() is sent as it is; only stores are listed by pattern.
    let has_patterns = source.function != SourceFunction::Url;
    let (plain, odd): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| !has_patterns || is_plain_key(&relative(file)));
    let mut reads = Vec::with_capacity(1 + odd.len());
    if !plain.is_empty() {
        let keys: Vec<String> = plain.iter().map(|file| relative(file)).collect();
        reads.push(Read { table: function(&brace_list(&keys)), path: None });
    }
    reads.extend(odd.into_iter().map(|file| {
        let pattern: String =
            relative(file).chars().map(|c| if is_plain_in_pattern(c) { c } else { '?' }).collect();
        Read { table: function(&pattern), path: Some(file.path.clone()) }
    }));
    reads
}

/// `{a,b}` with what all keys begin and end with outside the braces; a single key as it is.
fn brace_list(keys: &[String]) -> String {
    let [first, rest @ ..] = keys else { return String::new() };
    if rest.is_empty() {
        return first.clone();
    }
    let head = rest.iter().fold(first.len(), |length, key| {
        let same = first.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
        length.min(same)
    });
    let shortest = keys.iter().map(String::len).min().unwrap_or(0);
    let mut head = head;
    let mut tail = rest
        .iter()
        .fold(first.len(), |length, key| {
            let same =
                first.bytes().rev().zip(key.bytes().rev()).take_while(|(a, b)| a == b).count();
            length.min(same)
        })
        .min(shortest - head.min(shortest));
    // An empty alternative is no key to the server.
    if head + tail == shortest {
        if tail > 0 { tail -= 1 } else { head -= 1 }
    }
    // Plain keys are ASCII, so any byte is a place to cut.
    let middles: Vec<&str> = keys.iter().map(|key| &key[head..key.len() - tail]).collect();
    format!("{}{{{}}}{}", &first[..head], middles.join(","), &first[first.len() - tail..])
}

fn table_function(
    function: SourceFunction,
    collection: Option<&str>,
    container: Option<&str>,
    address: &str,
    keys: &SourceKeys,
    format: &str,
    structure: Option<&str>,
) -> String {
    let mut arguments = Vec::new();
    if let Some(collection) = collection {
        arguments.push(quote_identifier(collection));
        let absolute = address.contains("://");
        let key = match function {
            SourceFunction::Azure => "blob_path",
            SourceFunction::File => "path",
            _ if absolute => "url",
            _ => "filename",
        };
        if let Some(container) = container {
            arguments.push(format!("container = {}", quote_literal(container)));
        }
        arguments.push(format!("{key} = {}", quote_literal(address)));
        arguments.push(format!("format = {}", quote_literal(format)));
        arguments.extend(structure.map(|text| format!("structure = {}", quote_literal(text))));
    } else {
        match function {
            SourceFunction::Azure => {
                let connection = keys.azure_connection.as_ref();
                let connection = connection.map_or("", |secret| secret.expose_secret());
                arguments.push(quote_literal(connection));
                arguments.push(quote_literal(container.unwrap_or_default()));
                arguments.push(quote_literal(address));
            }
            SourceFunction::S3 | SourceFunction::Gcs => {
                arguments.push(quote_literal(address));
                if let Some((id, secret)) = &keys.pair {
                    arguments.push(quote_literal(id.expose_secret()));
                    arguments.push(quote_literal(secret.expose_secret()));
                    if let (SourceFunction::S3, Some(token)) = (function, &keys.session_token) {
                        arguments.push(quote_literal(token.expose_secret()));
                    }
                }
            }
            SourceFunction::Url | SourceFunction::File | SourceFunction::Hdfs => {
                arguments.push(quote_literal(address));
            }
        }
        arguments.push(quote_literal(format));
        if function == SourceFunction::Azure && structure.is_some() {
            // azureBlobStorage takes the compression before the structure.
            arguments.push(quote_literal("auto"));
        }
        arguments.extend(structure.map(quote_literal));
    }
    format!("{}({})", function.as_str(), arguments.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Waived;

    fn source() -> FilesSource {
        FilesSource {
            function: SourceFunction::S3,
            base: String::new(),
            strip: "bucket/".into(),
            suffix: String::new(),
            named_collection: Some("lake".into()),
            container: None,
            format: "Parquet".into(),
            structure: "x UInt64".into(),
            outputs: Vec::new(),
            left_out: Vec::new(),
            own: Vec::new(),
            settings: std::collections::BTreeMap::new(),
            unseen: None,
            waived: Waived::default(),
        }
    }

    fn files(paths: &[&str]) -> Vec<SourceFile> {
        let file = |path: &&str| SourceFile::listed(*path, 1, "e");
        paths.iter().map(file).collect()
    }

    #[test]
    fn plain_keys_become_one_brace_list() {
        let files = files(&["bucket/a/1.parquet", "bucket/a/22.parquet", "bucket/b/1.parquet"]);
        assert_eq!(
            from_clause(&source(), &files, &SourceKeys::default()),
            "s3(`lake`, filename = '{a/1,a/22,b/1}.parquet', format = 'Parquet', structure = 'x UInt64')"
        );
    }

    #[test]
    fn one_key_needs_no_braces_and_equal_ends_never_overlap() {
        assert_eq!(brace_list(&["a/b.x".into()]), "a/b.x");
        assert_eq!(brace_list(&["aa".into(), "aaa".into()]), "a{a,aa}");
        assert_eq!(brace_list(&["ab.c".into(), "ab.b.c".into()]), "ab.{c,b.c}");
    }

    #[test]
    fn odd_keys_are_reached_by_a_pattern_and_pinned() {
        let files = files(&["bucket/br{a,b}.csv", "bucket/it's ünï#.csv", "bucket/ok.csv"]);
        insta::assert_snapshot!(
            from_clause(&source(), &files, &SourceKeys::default()),
            @r"(SELECT *, _path, _file, _size, _time FROM s3(`lake`, filename = 'ok.csv', format = 'Parquet', structure = 'x UInt64') UNION ALL SELECT *, _path, _file, _size, _time FROM s3(`lake`, filename = 'br?a?b?.csv', format = 'Parquet', structure = 'x UInt64') WHERE _path = 'bucket/br{a,b}.csv' UNION ALL SELECT *, _path, _file, _size, _time FROM s3(`lake`, filename = 'it?s??n??.csv', format = 'Parquet', structure = 'x UInt64') WHERE _path = 'bucket/it\'s ünï#.csv')"
        );
    }

    #[test]
    fn keys_of_the_environment_stand_in_their_places() {
        let keys = SourceKeys::pair("id".into(), "se'cret".into());
        let source = FilesSource { named_collection: None, base: "http://h/".into(), ..source() };
        assert_eq!(
            from_clause(&source, &files(&["bucket/a"]), &keys),
            r"s3('http://h/a', 'id', 'se\'cret', 'Parquet', 'x UInt64')"
        );
    }
}
