//! What the environment says, in the spellings that tools around ClickHouse use.

use std::collections::BTreeMap;

use super::ConfigError;
use super::layer::Layer;

/// Variables that stand for one setting each; the first spelling that is set wins.
const VARIABLES: [(&str, &[&str]); 12] = [
    ("server.user", &["CLICKHOUSE_USER", "CLICKHOUSE_USERNAME"]),
    ("server.password_file", &["CLICKHOUSE_PASSWORD_FILE"]),
    ("server.ca_file", &["CLICKHOUSE_CA_FILE"]),
    ("control.database", &["LONGSHORE_DATABASE"]),
    ("control.staging_database", &["LONGSHORE_STAGING_DATABASE"]),
    ("worker.lease", &["LONGSHORE_LEASE"]),
    ("worker.slots", &["LONGSHORE_SLOTS"]),
    ("worker.load_ahead", &["LONGSHORE_LOAD_AHEAD"]),
    ("worker.wait_when_busy", &["LONGSHORE_WAIT_WHEN_BUSY"]),
    ("worker.poll_max", &["LONGSHORE_POLL_MAX"]),
    ("log.format", &["LONGSHORE_LOG_FORMAT"]),
    ("log.level", &["LONGSHORE_LOG"]),
];

const PORT_PLAIN: u16 = 8123;
const PORT_SECURE: u16 = 8443;

/// The environment variables of a process. An empty one counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(text.collect())
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The settings that the variables give, and what was passed over.
    pub(super) fn settings(&self) -> Result<(Vec<Layer>, Vec<String>), ConfigError> {
        let mut settings: Vec<Layer> = VARIABLES
            .iter()
            .filter_map(|(key, names)| {
                let (name, value) = names.iter().find_map(|name| Some((*name, self.get(name)?)))?;
                Some(Layer::setting(key, name, value))
            })
            .collect();
        let mut warnings = Vec::new();
        settings.extend(self.address(&mut warnings)?);
        Ok((settings, warnings))
    }

    fn address(&self, warnings: &mut Vec<String>) -> Result<Option<Layer>, ConfigError> {
        if let Some(url) = self.get("CLICKHOUSE_URL") {
            return Ok(Some(Layer::setting("server.url", "CLICKHOUSE_URL", url)));
        }
        let port = self.port(warnings);
        let host = self.get("CLICKHOUSE_HOST");
        let secure = self.secure()?;
        if host.is_none() && port.is_none() && secure.is_none() {
            return Ok(None);
        }
        let secure = secure.unwrap_or(false);
        let host = host.unwrap_or("127.0.0.1");
        // An IPv6 address needs brackets in a URL.
        let host = if host.matches(':').count() > 1 && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let port = port.unwrap_or(if secure { PORT_SECURE } else { PORT_PLAIN });
        let scheme = if secure { "https" } else { "http" };
        let names = ["CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_SECURE"];
        let set: Vec<&str> = names.into_iter().filter(|name| self.get(name).is_some()).collect();
        let url = format!("{scheme}://{host}:{port}");
        Ok(Some(Layer::setting("server.url", &set.join(" and "), &url)))
    }

    /// In Kubernetes a Service named `clickhouse` sets `CLICKHOUSE_PORT=tcp://10.0.0.7:8123`.
    fn port(&self, warnings: &mut Vec<String>) -> Option<u16> {
        let text = self.get("CLICKHOUSE_PORT")?;
        let port = text.parse().ok();
        if port.is_none() {
            warnings.push(format!(
                "CLICKHOUSE_PORT is `{text}`, not a port number, and is ignored \
                 (Kubernetes sets it for a Service named clickhouse)"
            ));
        }
        port
    }

    fn secure(&self) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.get("CLICKHOUSE_SECURE") else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::Value {
                key: "server.url".to_owned(),
                origin: "CLICKHOUSE_SECURE".to_owned(),
                message: format!("`{text}` is neither true nor false"),
                help: None,
            }),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }
}
