//! Keys of a store, from the environment or a file, never from a flag and never written anywhere.

use std::path::Path;

use secrecy::SecretString;

/// Credentials for the stores, where no named collection on the server holds them.
#[derive(Debug, Clone, Default)]
pub struct SourceKeys {
    /// Access key id and secret.
    pub(super) pair: Option<(SecretString, SecretString)>,
    /// Token of temporary keys.
    pub(super) session_token: Option<SecretString>,
    /// Azure connection string or storage account address.
    pub(super) azure_connection: Option<SecretString>,
}

/// A file of keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("cannot read the file of source keys `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// One of the two keys is missing.
    #[error("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: {missing} is missing")]
    Half {
        /// The missing name.
        missing: &'static str,
    },
}

impl SourceKeys {
    /// From `NAME=value` lines of a file (an AWS credentials file works too), then the environment.
    ///
    /// `lookup` gives the value of an environment variable.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load(
        file: Option<&Path>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, KeysError> {
        let lines = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| KeysError::Read { path: path.display().to_string(), source })?,
            None => String::new(),
        };
        let find = |name: &str| {
            let in_file = lines.lines().find_map(|line| {
                let (key, value) = line.trim().trim_start_matches("export ").split_once('=')?;
                let value = value.trim().trim_matches(|quote| quote == '\'' || quote == '"');
                key.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
            });
            in_file
                .or_else(|| lookup(name))
                .filter(|value| !value.is_empty())
                .map(SecretString::from)
        };
        let pair = match (find("AWS_ACCESS_KEY_ID"), find("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            (None, Some(_)) => return Err(KeysError::Half { missing: "AWS_ACCESS_KEY_ID" }),
            (Some(_), None) => return Err(KeysError::Half { missing: "AWS_SECRET_ACCESS_KEY" }),
        };
        let keys = Self {
            pair,
            session_token: find("AWS_SESSION_TOKEN"),
            azure_connection: find("AZURE_STORAGE_CONNECTION_STRING"),
        };
        keys.register();
        Ok(keys)
    }

    /// A pair of keys, for tests and tools.
    pub fn pair(id: String, secret: String) -> Self {
        let keys = Self { pair: Some((id.into(), secret.into())), ..Self::default() };
        keys.register();
        keys
    }

    fn register(&self) {
        let pair = self.pair.iter().flat_map(|(id, secret)| [id, secret]);
        for secret in pair.chain(&self.session_token).chain(&self.azure_connection) {
            crate::redact::register(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn half_a_pair_is_refused_and_names_what_is_missing() {
        let only_id = |name: &str| (name == "AWS_ACCESS_KEY_ID").then(|| "id".to_owned());
        let error = SourceKeys::load(None, only_id).unwrap_err();
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY is missing"));
    }

    #[test]
    fn a_credentials_file_comes_before_the_environment() {
        let path = std::env::temp_dir().join(format!("longshore-keys-{}", std::process::id()));
        std::fs::write(
            &path,
            "[default]\naws_access_key_id = file-id\naws_secret_access_key='file-secret'\n",
        )
        .unwrap();
        let keys = SourceKeys::load(Some(&path), |_| Some("environment".into())).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (id, secret) = keys.pair.unwrap();
        assert_eq!((id.expose_secret(), secret.expose_secret()), ("file-id", "file-secret"));
    }
}
