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
        let base_length = match address.find("://") {
            Some(scheme) => {
                let host = scheme + "://".len();
                let path = address[host..].find('/').map_or(address.len(), |at| host + at + 1);
                if address[host..path].contains('@') {
                    return Err(LocationError::Credentials);
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
    fn an_address_with_credentials_is_refused() {
        assert_eq!(
            Location::parse("https://u:p@host/x", None, false, None),
            Err(LocationError::Credentials)
        );
    }
}
