//! Lists the files of a source, once, by the server.

use std::collections::BTreeMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, read, refuses_keys};
use longshore_shared::source::{
    Location, SourceKeys, explicit_listing_query, listing_query, read_settings,
};
use longshore_shared::task::{SourceFile, SourceFunction};
use serde::Deserialize;

use crate::exit::{Error, Kind, Report};

/// Keys asked for in one statement: the server looks at each by a request of its own.
const KEYS_A_STATEMENT: usize = 500;
/// FILE_DOESNT_EXIST: the pattern matched nothing.
const NOTHING_MATCHED: i32 = 107;
/// S3_ERROR.
const STORE_ERROR: i32 = 499;

/// What to list.
pub(crate) struct ListingRequest<'a> {
    /// Pattern, or one address a line.
    pub(crate) addresses: &'a [String],
    /// The addresses are a list of files, not patterns.
    pub(crate) literal: bool,
    pub(crate) function: Option<SourceFunction>,
    pub(crate) collection: Option<&'a str>,
    pub(crate) container: Option<&'a str>,
    /// Settings of the user, for whatever opens files.
    pub(crate) settings: &'a BTreeMap<String, String>,
}

/// The files, in order of their path, and how their addresses are made.
pub(crate) struct Listing {
    pub(crate) location: Location,
    /// What the server's paths begin with and the addresses do not.
    pub(crate) strip: String,
    pub(crate) files: Vec<SourceFile>,
}

#[derive(Deserialize, Row)]
struct Listed {
    path: String,
    size: u64,
    etag: String,
}

/// Lists what the request names.
pub(crate) async fn list(
    server: &Server,
    request: &ListingRequest<'_>,
    keys: &SourceKeys,
) -> Result<Listing, Error> {
    let locations = request
        .addresses
        .iter()
        .map(|address| {
            let collection = request.collection.is_some();
            Location::parse(address, request.function, collection, request.container)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            Report::new(Kind::Usage, error.to_string())
                .help("for a key inside a named collection give --named-collection too")
        })?;
    let Some(location) = locations.first().cloned() else {
        return Err(Report::new(Kind::Usage, "the list of files is empty").into());
    };
    if let Some(other) =
        locations.iter().find(|l| l.base != location.base || l.function != location.function)
    {
        let message = format!("one plan reads one place: `{}` and `{}`", location.base, other.base);
        return Err(Report::new(Kind::Usage, message).help("make a plan for each").into());
    }
    let listed = if request.literal {
        list_literal(server, &location, &locations, request, keys).await?
    } else {
        let text = listing_query(&location, request.collection, keys);
        ask(server, text, request).await.map_err(|failure| no_match(failure, &location.pattern))?
    };
    let mut files: Vec<SourceFile> = listed
        .into_iter()
        // Folder markers of browsers and older tools.
        .filter(|listed| !(listed.path.ends_with('/') && listed.size == 0))
        .map(|listed| SourceFile { path: listed.path, size: listed.size, etag: listed.etag })
        .collect();
    files.sort();
    files.dedup_by(|a, b| a.path == b.path);
    refuse_newlines(&files)?;
    let Some(first) = files.first() else {
        return Err(nothing(&location.pattern).into());
    };
    let strip =
        location.strip_of(&first.path).map_err(|e| Report::new(Kind::Usage, e.to_string()))?;
    if let Some(odd) = files.iter().find(|file| !file.path.starts_with(&strip)) {
        let message = format!("`{}` and `{}` are not below the same address", first.path, odd.path);
        return Err(Report::new(Kind::Usage, message).help("give the address in full").into());
    }
    Ok(Listing { location, strip, files })
}

async fn list_literal(
    server: &Server,
    location: &Location,
    locations: &[Location],
    request: &ListingRequest<'_>,
    keys: &SourceKeys,
) -> Result<Vec<Listed>, Error> {
    let mut relative: Vec<String> = locations
        .iter()
        .map(|l| l.pattern[l.base.len()..l.pattern.len() - l.suffix.len()].to_owned())
        .collect();
    relative.sort();
    relative.dedup();
    let mut listed = Vec::with_capacity(relative.len());
    for page in relative.chunks(KEYS_A_STATEMENT) {
        let text = explicit_listing_query(location, page, request.collection, keys);
        let found = ask(server, text, request).await.map_err(|failure| missing(failure, page))?;
        let lost = page.iter().find(|key| !found.iter().any(|file| file.path.ends_with(*key)));
        if let Some(key) = lost {
            return Err(Report::new(Kind::Usage, format!("there is no file `{key}`")).into());
        }
        listed.extend(found);
    }
    Ok(listed)
}

async fn ask(
    server: &Server,
    text: String,
    request: &ListingRequest<'_>,
) -> Result<Vec<Listed>, Failure> {
    let settings = read_settings(&BTreeMap::new(), request.settings);
    let known = server.known_settings().await;
    read(|| {
        server
            .call_text("list_files", text.clone())
            .settings(&settings, known)
            // Of an empty file the size is what is asked for.
            .setting("s3_skip_empty_files", 0)
            .setting("engine_file_skip_empty_files", 0)
            .setting("engine_url_skip_empty_files", 0)
            .setting("max_query_size", 64 * 1024 * 1024)
            .setting("s3_throw_on_zero_files_match", 1)
            .deadline(None)
            .fetch_all()
    })
    .await
}

fn no_match(failure: Failure, pattern: &str) -> Error {
    if failure.code() == Some(NOTHING_MATCHED) || says_missing(&failure) {
        return nothing(pattern).into();
    }
    failure.into()
}

fn missing(failure: Failure, keys: &[String]) -> Error {
    if !says_missing(&failure) && failure.code() != Some(NOTHING_MATCHED) {
        return failure.into();
    }
    let named = keys.iter().find(|key| failure.message.contains(&format!("'{key}'")));
    let message = named.map_or_else(
        || format!("a file of the list is not there: {}", failure.message),
        |key| format!("there is no file `{key}`"),
    );
    Report::new(Kind::Usage, message).help("check the list given by --files").into()
}

fn says_missing(failure: &Failure) -> bool {
    failure.code() == Some(STORE_ERROR)
        && !refuses_keys(&failure.message)
        && (failure.message.contains("404") || failure.message.contains("does not exist"))
}

fn nothing(pattern: &str) -> Report {
    Report::new(Kind::Usage, format!("no file matches `{pattern}`"))
        .help("check the address; `*` stops at a slash, `**` does not")
}

fn refuse_newlines(files: &[SourceFile]) -> Result<(), Error> {
    match files.iter().find(|file| file.path.contains(['\n', '\r', '\0'])) {
        None => Ok(()),
        Some(file) => {
            let message =
                format!("the key {:?} holds a line break, which cannot be loaded", file.path);
            Err(Report::new(Kind::Usage, message).help("rename the file in the store").into())
        }
    }
}
