//! Settings that cannot be used, and what to do about them.

use std::path::PathBuf;

use super::keys::{KEYS, TABLE_KEYS};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {what} {}", path.display())]
    File {
        /// What the file holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is no TOML.
    #[error("{} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        message: String,
    },
    /// The configuration file holds a key that no setting has.
    #[error("there is no setting `{key}` (in {})", path.display())]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file.
        path: PathBuf,
        /// The setting that was probably meant.
        meant: Option<&'static str>,
    },
    /// A value that its setting cannot have.
    #[error("{key} (from {origin}): {message}")]
    Value {
        /// The setting.
        key: String,
        /// The file, variable or flag.
        origin: String,
        /// What is wrong with it.
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// The password is given in two ways at once.
    #[error("CLICKHOUSE_PASSWORD and CLICKHOUSE_PASSWORD_FILE are both set")]
    TwoPasswords,
}

impl ConfigError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::File { .. } | Self::Syntax { .. } => None,
            Self::UnknownKey { key, .. } if key.ends_with("password") => Some(
                "a password does not belong into this file: set CLICKHOUSE_PASSWORD, or name a file \
                 with --password-file"
                    .to_owned(),
            ),
            Self::UnknownKey { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::UnknownKey { key, .. } if key.starts_with("tables.") => {
                Some(format!("the section of a table can hold: {}", TABLE_KEYS.join(", ")))
            }
            Self::UnknownKey { meant: None, .. } => {
                Some(format!("known settings: {}", KEYS.join(", ")))
            }
            Self::Value { help, .. } => help.clone(),
            Self::TwoPasswords => Some("unset one of them".to_owned()),
        }
    }
}
