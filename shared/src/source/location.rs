//! An address given by a user, taken apart so that a file's `_path` leads back to its address.

use crate::task::SourceFunction;

/// Where a pattern of files is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The table function.
    pub function: SourceFunction,
    /// Azure container.
    pub container: Option<String>,
    /// The pattern as it is given to the table function.
    pub pattern: String,
    /// The part of the pattern that is an address and not a key (`http://host/`).
    pub base: String,
    /// What follows the key (`?query` of a web address).
    pub suffix: String,
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// No table function can be guessed.
    #[error("cannot tell from `{0}` which table function reads it; give --source-function")]
    UnknownScheme(String),
    /// Nothing stands where the host, or the bucket, belongs.
    #[error("the address `{0}` names no host or bucket")]
    NoHost(String),
    /// A file of the machine that the command runs on, or of another.
    #[error(
        "`{0}` names a machine; file:///FOLDER/FILE is a file of the machine that ClickHouse runs on, below its user_files"
    )]
    FileHost(String),
    /// A sign that no address may hold as it is.
    #[error("the address `{address}` holds {what}, which must be written as {encoded}")]
    Sign {
        /// The user's address.
        address: String,
        /// The sign, in words.
        what: String,
        /// As it must be written.
        encoded: String,
    },
    /// A variable that names no address.
    #[error("{name} is `{value}`, which is no address: it begins with http:// or https://")]
    Endpoint {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// Credentials stand in the address.
    #[error("the address holds credentials; give them by --named-collection or the environment")]
    Credentials,
    /// The server's path of a file does not end like its address.
    #[error(
        "the server calls a file `{path}`, which does not fit the pattern `{pattern}`; give the address in full"
    )]
    Mismatch {
        /// The server's path.
        path: String,
        /// The user's pattern.
        pattern: String,
    },
}

impl Location {
    /// Takes an address apart. `function` overrides what the scheme says.
    ///
    /// # Errors
    /// [`LocationError`].
    pub fn parse(
        address: &str,
        function: Option<SourceFunction>,
        collection: bool,
        container: Option<&str>,
    ) -> Result<Self, LocationError> {
        let function = match function.or_else(|| guess(address)) {
            Some(function) => function,
            None if collection => SourceFunction::S3,
            None => return Err(LocationError::UnknownScheme(address.to_owned())),
        };
        let address = match address.strip_prefix("file://") {
            Some(path) if function == SourceFunction::File && path.starts_with('/') => path,
            Some(_) if function == SourceFunction::File => {
                return Err(LocationError::FileHost(address.to_owned()));
            }
            _ => address,
        };
        let base_length = match address.find("://") {
            Some(scheme) => {
                let host = scheme + "://".len();
                let path = address[host..].find('/').map_or(address.len(), |at| host + at + 1);
                if address[host..path].contains('@') {
                    return Err(LocationError::Credentials);
                }
                let names_none = address[host..path].trim_end_matches('/').is_empty();
                if names_none && address.starts_with("http") {
                    return Err(LocationError::NoHost(address.to_owned()));
                }
                path
            }
            None => 0,
        };
        let query = if function == SourceFunction::Url { address.find('?') } else { None };
        let suffix = query.map(|at| address[at..].to_owned()).unwrap_or_default();
        Ok(Self {
            function,
            container: container.map(str::to_owned),
            pattern: address.to_owned(),
            base: address[..base_length].to_owned(),
            suffix,
        })
    }

    /// Refuses an address that the server would not take, or take for another one.
    ///
    /// Only for addresses that are given to the server as they are: the keys of a list are reached
    /// in another way.
    ///
    /// # Errors
    /// [`LocationError::Sign`], with the sign and how it is written.
    pub fn check_signs(&self) -> Result<(), LocationError> {
        if self.base.is_empty() {
            return Ok(());
        }
        let is_escape = |at: usize| {
            let digits = self.pattern.as_bytes().get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let is_odd = |(at, symbol): &(usize, char)| match symbol {
            '%' => !is_escape(*at),
            // What follows it is not sent: another file would be read.
            '#' => true,
            symbol => symbol.is_whitespace() || symbol.is_control() || !symbol.is_ascii(),
        };
        let Some((_, symbol)) = self.pattern.char_indices().find(is_odd) else { return Ok(()) };
        let what = match symbol {
            ' ' => "a blank".to_owned(),
            symbol if symbol.is_control() => "a sign that cannot be seen".to_owned(),
            symbol => format!("the sign `{symbol}`"),
        };
        let mut bytes = [0; 4];
        let bytes = symbol.encode_utf8(&mut bytes).bytes();
        let encoded = bytes.fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        Err(LocationError::Sign { address: self.pattern.clone(), what, encoded })
    }

    /// What `_path` begins with and the address does not (`bucket/` of a virtual-hosted bucket, the
    /// address inside a named collection), found from one listed path.
    ///
    /// A pattern without `**` has as many levels as the keys it matches, so the levels of `path`
    /// beyond those are not part of the address.
    ///
    /// # Errors
    /// [`LocationError::Mismatch`] when the path has fewer levels than the pattern.
    pub fn strip_of(&self, path: &str) -> Result<String, LocationError> {
        let mismatch =
            || LocationError::Mismatch { path: path.to_owned(), pattern: self.pattern.clone() };
        let key = &self.pattern[self.base.len()..self.pattern.len() - self.suffix.len()];
        if let Some(stars) = key.find("**") {
            // Any number of levels: the folder before the first wildcard is the anchor.
            let first = key.find(['*', '?', '{']).unwrap_or(stars);
            let folder = &key[..key[..first].rfind('/').map_or(0, |at| at + 1)];
            return match path.find(folder) {
                Some(at) if !folder.is_empty() => Ok(path[..at].to_owned()),
                _ => Err(mismatch()),
            };
        }
        // A slash inside braces (`{a/b,c}`) would make the number of levels differ.
        let levels = outside_braces(key).matches('/').count() + 1;
        let strip_levels =
            (path.matches('/').count() + 1).checked_sub(levels).ok_or_else(mismatch)?;
        let strip: String = path.split_inclusive('/').take(strip_levels).collect();
        Ok(strip)
    }
}

fn outside_braces(pattern: &str) -> String {
    let mut depth = 0;
    pattern
        .chars()
        .filter(|symbol| {
            match symbol {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

fn guess(address: &str) -> Option<SourceFunction> {
    let (scheme, rest) = address.split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    match scheme {
        "s3" | "s3a" | "oss" | "cos" | "minio" => Some(SourceFunction::S3),
        "gs" | "gcs" => Some(SourceFunction::Gcs),
        "az" | "abfs" | "abfss" => Some(SourceFunction::Azure),
        "hdfs" => Some(SourceFunction::Hdfs),
        "file" => Some(SourceFunction::File),
        "http" | "https" if host.ends_with("storage.googleapis.com") => Some(SourceFunction::Gcs),
        "http" | "https" if host.contains(".blob.core.windows.net") => Some(SourceFunction::Azure),
        "http" | "https" if host.contains("amazonaws.com") || host.starts_with("s3.") => {
            Some(SourceFunction::S3)
        }
        "http" | "https" => Some(SourceFunction::Url),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(address: &str) -> Location {
        Location::parse(address, Some(SourceFunction::S3), false, None).unwrap()
    }

    #[test]
    fn the_scheme_tells_the_function() {
        let function = |address: &str| guess(address);
        assert_eq!(function("s3://b/k"), Some(SourceFunction::S3));
        assert_eq!(function("https://b.s3.eu-west-1.amazonaws.com/k"), Some(SourceFunction::S3));
        assert_eq!(function("https://storage.googleapis.com/b/k"), Some(SourceFunction::Gcs));
        assert_eq!(function("https://example.com/k"), Some(SourceFunction::Url));
        assert_eq!(function("k/*.parquet"), None);
    }

    #[test]
    fn a_path_leads_back_to_its_address() {
        // Path style: the bucket is part of the address.
        let path_style = s3("http://host:1/bucket/a/*.parquet");
        assert_eq!(path_style.base, "http://host:1/");
        assert_eq!(path_style.strip_of("bucket/a/x.parquet").unwrap(), "");
        // Virtual-hosted: the bucket is in the host name.
        assert_eq!(s3("https://bucket.s3.x/a/*.p").strip_of("bucket/a/x.p").unwrap(), "bucket/");
        assert_eq!(s3("s3://bucket/a/*.p").strip_of("bucket/a/x.p").unwrap(), "bucket/");
        // A key inside a named collection.
        let inside = Location::parse("a/{x/y,z}*.p", None, true, None).unwrap();
        assert_eq!(inside.strip_of("bucket/prefix/a/z1.p").unwrap(), "bucket/prefix/");
        // Any depth.
        assert_eq!(s3("s3://bucket/a/**/*.p").strip_of("bucket/a/b/c/x.p").unwrap(), "bucket/");
        assert!(s3("s3://bucket/a/b/c/*.p").strip_of("x.p").is_err());
    }

    #[test]
    fn a_file_of_the_server_is_its_path() {
        let file = Location::parse("file:///data/*.csv", None, false, None).unwrap();
        assert_eq!((file.function, file.pattern.as_str()), (SourceFunction::File, "/data/*.csv"));
        assert_eq!(file.base, "");
        assert_eq!(file.strip_of("/data/x.csv").unwrap(), "");
        let inside = Location::parse("x/*.csv", Some(SourceFunction::File), false, None).unwrap();
        assert_eq!(inside.strip_of("/user_files/x/1.csv").unwrap(), "/user_files/");
        assert!(Location::parse("file://host/data/x.csv", None, false, None).is_err());
    }

    #[test]
    fn signs_that_an_address_cannot_hold_are_named_with_their_code() {
        let error = |address| s3(address).check_signs().unwrap_err().to_string();
        assert!(
            error("http://h/my folder/*.csv").contains("a blank, which must be written as %20")
        );
        assert!(error("http://h/100%/x.csv").ends_with("written as %25"));
        assert!(error("http://h/a#b.csv").ends_with("written as %23"));
        assert!(error("http://h/ü.csv").ends_with("written as %C3%BC"));
        for fine in ["http://h/my%20folder/{a,b}*.csv", "my folder/ü#100%.csv"] {
            let location = Location::parse(fine, None, true, None).unwrap();
            assert_eq!(location.check_signs(), Ok(()), "{fine}");
        }
        assert!(Location::parse("http:///x", None, false, None).is_err());
    }

    #[test]
    fn an_address_with_credentials_is_refused() {
        assert_eq!(
            Location::parse("https://u:p@host/x", None, false, None),
            Err(LocationError::Credentials)
        );
    }
}
