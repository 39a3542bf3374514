//! One layer of settings: a file, a variable or a flag.

use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::ConfigError;

/// One layer: a file, or a single variable or flag. Its name is the origin in messages.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) origin: String,
    pub(super) values: Dict,
}

impl Layer {
    /// One value of the environment or of a flag.
    pub(super) fn setting(key: &'static str, origin: &str, text: &str) -> Self {
        // Only these are no text in the file; a database may well be named `2024` or `true`.
        let value = match key {
            "worker.slots" => text.parse::<u32>().map_or_else(|_| Value::from(text), Value::from),
            "worker.load_ahead" | "worker.wait_when_busy" => {
                text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from)
            }
            _ => Value::from(text),
        };
        let values = figment::util::nest(key, value).into_dict().unwrap_or_default();
        Self { origin: origin.to_owned(), values }
    }

    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            what: "the configuration file",
            path: path.to_owned(),
            source,
        })?;
        let values = parse(&text)
            .map_err(|message| ConfigError::Syntax { path: path.to_owned(), message })?;
        Ok(Self { origin: path.display().to_string(), values })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

pub(super) fn parse(text: &str) -> Result<Dict, String> {
    let mut profiles =
        Toml::string(text).data().map_err(|error| without_source(&error.to_string()))?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

/// The parser shows the line at fault, and somebody may have put a password there.
fn without_source(message: &str) -> String {
    let words: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'))
        .collect();
    words.join(": ").replace("TOML parse error at ", "")
}
