//! Lists the files of a source, once, by the server.

use std::collections::BTreeMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{
    Code, Failure, Server, refuses_keys, retry_idempotent, says_odd_address,
};
use longshore_shared::source::{
    Location, LocationError, SourceKeys, explicit_listing_query, listing_query, read_settings,
};
use longshore_shared::task::{SourceFile, SourceFunction};
use serde::Deserialize;

use super::endpoint::S3Endpoint;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Keys asked for in one statement: the server looks at each by a request of its own.
const KEYS_A_STATEMENT: usize = 500;
/// The pattern matched nothing.
const NOTHING_MATCHED: Code = Code::FILE_DOESNT_EXIST;

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
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

#[derive(Deserialize, Row)]
struct Listed {
    /// A name of a file may be any bytes.
    #[serde(with = "serde_bytes")]
    path: Vec<u8>,
    size: u64,
    etag: String,
}

/// Lists what the request names.
pub(crate) async fn list(
    server: &Server,
    request: &ListingRequest<'_>,
    keys: &SourceKeys,
) -> Result<Listing, Error> {
    let mut notes = Vec::new();
    let locations = locate(request, &mut notes).map_err(|error| {
        let field = if request.literal { "--files" } else { "--url" };
        let message = match &error {
            LocationError::Endpoint { .. } => error.to_string(),
            error => format!("{field}: {error}"),
        };
        Report::new(Kind::Usage, message).help(location_help(&error))
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
        ask(server, text, request).await.map_err(|failure| no_match(failure, &location))?
    };
    let listed = listed.into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
    let mut files = listed;
    // Folder markers of browsers and older tools.
    files.retain(|file| !(file.path.ends_with('/') && file.size == 0));
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
    if location.function == SourceFunction::Url {
        // An older server sends the pattern as it is.
        if location.pattern.contains('*') && files.iter().any(|file| file.path.contains('*')) {
            return Err(no_list_of_the_web(&location.pattern).into());
        }
        notes.extend(unpinned(&files));
    }
    Ok(Listing { location, strip, files, notes })
}

/// Takes the addresses apart; notes where `s3://` leads to.
fn locate(
    request: &ListingRequest<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Location>, LocationError> {
    let endpoint = S3Endpoint::load(|name| std::env::var(name).ok());
    let mut locations = Vec::with_capacity(request.addresses.len());
    for address in request.addresses {
        let resolved = endpoint.resolve(address)?;
        if let (Some((full, variable)), true) = (&resolved, locations.is_empty()) {
            notes.push(format!("{address} is read at {full}, as {variable} says"));
        }
        // What an S3 address was made of may look like one of the web.
        let function = request.function.or_else(|| resolved.as_ref().map(|_| SourceFunction::S3));
        let address = resolved.as_ref().map_or(address, |(full, _)| full);
        let collection = request.collection.is_some();
        let location = Location::parse(address, function, collection, request.container)?;
        // Keys of a list are reached by patterns that hold no odd sign; those of the web are not.
        if !request.literal || location.function == SourceFunction::Url {
            location.check_signs()?;
        }
        locations.push(location);
    }
    Ok(locations)
}

fn location_help(error: &LocationError) -> &'static str {
    match error {
        LocationError::Sign { .. } => {
            "an address is percent-encoded: a blank is %20, a % is %25. Keys alone, with \
             --named-collection, and the lines of --files of a store are taken as they are"
        }
        LocationError::Endpoint { .. } => "as AWS_ENDPOINT_URL=http://host:9000; or unset it",
        LocationError::NoHost(_) => "as s3://BUCKET/KEY or http://HOST/PATH",
        LocationError::FileHost(_) => "as file:///FOLDER/*.csv",
        LocationError::Credentials => "put them into a named collection or the environment",
        LocationError::UnknownScheme(_) | LocationError::Mismatch { .. } => {
            "for a key inside a named collection give --named-collection too"
        }
    }
}

/// The file of a listed row, if its name is text: what cannot be written down cannot be asked for.
fn named(listed: Listed) -> Result<SourceFile, Report> {
    let Listed { path, size, etag } = listed;
    let path = String::from_utf8(path).map_err(|error| {
        let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let message = format!("the name of a file is not UTF-8: {shown:?}");
        Report::new(Kind::Usage, message).help("rename the file in the store")
    })?;
    Ok(SourceFile::listed(path, size, etag))
}

/// Files of the web of which nothing is known that would change with them.
fn unpinned(files: &[SourceFile]) -> Option<String> {
    let no_time: Vec<&SourceFile> = files.iter().filter(|file| file.etag == "0").collect();
    let first = no_time.first()?;
    let of = |count: usize| text::plural(count as u64, "file");
    let no_size = no_time.iter().filter(|file| file.size == 0).count();
    let more = match no_size {
        0 => String::new(),
        count => format!(" and no size for {count} of them, which may not be there at all"),
    };
    Some(format!(
        "the web server tells no time of change for {}, as {}{more}: if one changes between plan and load, \
         nobody notices",
        of(no_time.len()),
        first.path
    ))
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
        let lost =
            page.iter().find(|key| !found.iter().any(|file| file.path.ends_with(key.as_bytes())));
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
    retry_idempotent(|| {
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

fn no_match(failure: Failure, location: &Location) -> Error {
    let pattern = &location.pattern;
    if failure.code() == Some(NOTHING_MATCHED) || says_missing(&failure) {
        return nothing(pattern).into();
    }
    if location.function == SourceFunction::Url
        && failure.code() == Some(Code::SUPPORT_IS_DISABLED)
        && pattern.contains('*')
    {
        return no_list_of_the_web(pattern).into();
    }
    refused(failure, pattern)
}

/// What the server says of an address, in the words of the command.
fn refused(failure: Failure, address: &str) -> Error {
    let words = &failure.message;
    match failure.code() {
        Some(Code::POCO_EXCEPTION) if says_odd_address(words) => {
            let message = format!("`{address}` is no address: {words}");
            Report::new(Kind::Usage, message)
                .help("check host, port and signs; a blank is written as %20, a % as %25")
                .into()
        }
        // The network between the server and the store.
        Some(Code::POCO_EXCEPTION) => {
            let message = format!("ClickHouse cannot reach the store of `{address}`: {words}");
            Report::new(Kind::Error, message)
                .help("check host and port, and that the server of ClickHouse reaches them")
                .into()
        }
        // A file of the server outside of its folder for users.
        Some(Code::DATABASE_ACCESS_DENIED) => Report::new(Kind::Usage, words.clone())
            .help(
                "file() reads below the folder user_files of the server only: put the files there",
            )
            .into(),
        _ => failure.into(),
    }
}

/// HTTP has no way to list a folder; S3 has.
fn no_list_of_the_web(pattern: &str) -> Report {
    Report::new(Kind::Usage, format!("url() cannot list `{pattern}`: HTTP knows no `*`")).help(
        "if the address belongs to an S3-compatible store: --source-function s3\n\
         else name the files: {a,b} or {1..9} in the address, or --files LIST",
    )
}

fn missing(failure: Failure, keys: &[String]) -> Error {
    if !says_missing(&failure) && failure.code() != Some(NOTHING_MATCHED) {
        return refused(failure, keys.first().map_or("", String::as_str));
    }
    let named = keys.iter().find(|key| failure.message.contains(&format!("'{key}'")));
    let message = named.map_or_else(
        || format!("a file of the list is not there: {}", failure.message),
        |key| format!("there is no file `{key}`"),
    );
    Report::new(Kind::Usage, message).help("check the list given by --files").into()
}

fn says_missing(failure: &Failure) -> bool {
    failure.code() == Some(Code::S3_ERROR)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_is_refused_by_what_can_be_read_of_it() {
        let listed = |path: &[u8]| Listed { path: path.to_vec(), size: 1, etag: "e".into() };
        assert_eq!(named(listed("b/ü.csv".as_bytes())).unwrap().path, "b/ü.csv");
        let refused = named(listed(b"b/odd-\xff.csv")).unwrap_err();
        assert!(refused.message.contains("odd-\u{fffd}.csv"), "{refused}");
    }

    #[test]
    fn files_of_the_web_without_a_time_are_told_apart_from_those_without_anything() {
        let file = |path: &str, size, etag: &str| SourceFile::listed(path, size, etag);
        assert_eq!(unpinned(&[file("/a", 3, "1445412480")]), None);
        let note = unpinned(&[file("/a", 3, "1"), file("/b", 3, "0"), file("/c", 0, "0")]).unwrap();
        assert!(note.contains("for 2 files, as /b and no size for 1 of them"), "{note}");
    }
}
