//! Finds the password: a file, a variable, or a credential folder as systemd makes it.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{ConfigError, Environment};
use crate::redact;

/// Name of the credential in `$CREDENTIALS_DIRECTORY` (systemd `LoadCredential=`).
const CREDENTIAL: &str = "clickhouse-password";
const VARIABLE: &str = "CLICKHOUSE_PASSWORD";
const FILE_VARIABLE: &str = "CLICKHOUSE_PASSWORD_FILE";

/// The password and where it came from; empty when there is none.
///
/// `file` is the setting `server.password_file` with its origin. A flag wins over the variable
/// with the password, which wins over a file named in `longshore.toml`.
pub(super) fn find(
    file: Option<(&Path, &str)>,
    environment: &Environment,
) -> Result<(SecretString, String), ConfigError> {
    let from_flag = file.filter(|(_, origin)| origin.starts_with("--"));
    if let Some((path, origin)) = from_flag {
        return Ok((read(path)?, origin.to_owned()));
    }
    if let Some(password) = environment.get(VARIABLE) {
        if environment.get(FILE_VARIABLE).is_some() {
            return Err(ConfigError::TwoPasswords);
        }
        return Ok((secret(password), VARIABLE.to_owned()));
    }
    if let Some((path, origin)) = file {
        return Ok((read(path)?, origin.to_owned()));
    }
    if let Some(folder) = environment.get("CREDENTIALS_DIRECTORY") {
        let path = PathBuf::from(folder).join(CREDENTIAL);
        if path.exists() {
            return Ok((read(&path)?, "CREDENTIALS_DIRECTORY".to_owned()));
        }
    }
    Ok((SecretString::default(), "default".to_owned()))
}

fn read(path: &Path) -> Result<SecretString, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what: "the password file",
        path: path.to_owned(),
        source,
    })?;
    // An editor ends the file with a line feed; a password holds none.
    Ok(secret(text.trim_end_matches(['\r', '\n'])))
}

fn secret(text: &str) -> SecretString {
    let secret = SecretString::from(text.to_owned());
    redact::register(&secret);
    secret
}
