//! Puts the four layers on top of each other and checks what comes out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::error::{Actual, Kind};
use figment::value::Dict;
use figment::{Error, Figment};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::keys::{KEYS, TABLE_KEYS};
use super::layer::{Layer, parse};
use super::{
    CommonArgs, Config, ConfigError, DEFAULTS, Environment, FILE_NAME, LEASE_MIN, LogConfig,
    POLL_MIN, PolicyConfig, SLOTS_MAX, TableConfig, WindowConfig, WorkerArgs, address, password,
    rules,
};
use crate::clickhouse::{Connection, authorities};

/// A key further away than this from what was written is no suggestion.
const LIKENESS_MIN: f64 = 0.7;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: RawServer,
    control: RawControl,
    worker: RawWorker,
    window: WindowConfig,
    policy: PolicyConfig,
    #[serde(default)]
    tables: BTreeMap<String, TableConfig>,
    log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    url: String,
    user: String,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    durable: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawControl {
    database: String,
    staging_database: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorker {
    #[serde(with = "humantime_serde")]
    lease: Duration,
    slots: Option<u32>,
    load_ahead: bool,
    wait_when_busy: bool,
    #[serde(with = "humantime_serde")]
    poll_max: Duration,
}

/// Reads all layers.
pub(super) fn load(
    common: &CommonArgs,
    worker: &WorkerArgs,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let file = find_file(common.config.as_deref(), environment);
    let mut figment = Figment::from(Layer { origin: "default".to_owned(), values: defaults() });
    if let Some(path) = &file {
        let layer = Layer::file(path)?;
        check_keys(path, &layer.values)?;
        figment = figment.merge(layer);
    }
    let (settings, warnings) = environment.settings()?;
    for setting in settings.into_iter().chain(flags(common, worker)) {
        figment = figment.merge(setting);
    }
    let origins = origins(&figment);
    let raw: Raw = figment.extract().map_err(|error| value_error(&error, &origins))?;
    check(raw, origins, environment, warnings, file)
}

fn defaults() -> Dict {
    parse(DEFAULTS).expect("the embedded defaults are TOML: a test reads them")
}

fn find_file(flag: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    let named =
        flag.map(Path::to_owned).or_else(|| environment.get("LONGSHORE_CONFIG").map(Into::into));
    named.or_else(|| Some(PathBuf::from(FILE_NAME)).filter(|path| path.exists()))
}

fn flags(common: &CommonArgs, worker: &WorkerArgs) -> Vec<Layer> {
    let connection = &common.connection;
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    [
        ("server.url", "--server", connection.server.clone()),
        ("server.user", "--user", connection.user.clone()),
        ("server.password_file", "--password-file", path(&connection.password_file)),
        ("server.ca_file", "--ca-file", path(&connection.ca_file)),
        ("control.database", "--database", connection.database.clone()),
        ("control.staging_database", "--staging-database", connection.staging_database.clone()),
        ("worker.lease", "--lease", worker.lease.clone()),
        ("worker.slots", "--slots", worker.slots.map(|slots| slots.to_string())),
        ("worker.load_ahead", "--load-ahead", worker.load_ahead.map(|is_on| is_on.to_string())),
        (
            "worker.wait_when_busy",
            "--wait-when-busy",
            worker.wait_when_busy.map(|is_on| is_on.to_string()),
        ),
        ("worker.poll_max", "--poll-max", worker.poll_max.clone()),
        ("log.format", "--log-format", common.log.log_format.map(|form| form.as_str().to_owned())),
        ("log.level", "--log-level", common.log.log_level.clone()),
    ]
    .into_iter()
    .filter_map(|(key, origin, text)| Some(Layer::setting(key, origin, &text?)))
    .collect()
}

fn origins(figment: &Figment) -> BTreeMap<&'static str, String> {
    KEYS.iter()
        .filter_map(|key| Some((*key, figment.find_metadata(key)?.name.to_string())))
        .collect()
}

/// Refuses a key that no setting has: a misspelt one would silently do nothing.
fn check_keys(path: &Path, values: &Dict) -> Result<(), ConfigError> {
    for key in leaves("", values) {
        // A section for each table, under its name.
        let of_table = key.starts_with("tables.");
        let ends_with = |setting: &str| key.ends_with(&format!(".{setting}"));
        let is_known = of_table && TABLE_KEYS.into_iter().any(ends_with);
        if KEYS.contains(&key.as_str()) || is_known {
            continue;
        }
        let likeness = |known: &str| {
            let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
            // Right name in the wrong section is the likeliest slip.
            strsim::jaro_winkler(known, &key).max(strsim::jaro_winkler(&leaf(known), &leaf(&key)))
        };
        let meant = KEYS
            .into_iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .filter(|known| !of_table && likeness(known) >= LIKENESS_MIN);
        return Err(ConfigError::UnknownKey { key, path: path.to_owned(), meant });
    }
    Ok(())
}

fn leaves(prefix: &str, values: &Dict) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value.as_dict() {
            Some(inner) => keys.extend(leaves(&key, inner)),
            None => keys.push(key),
        }
    }
    keys
}

/// A value of the wrong type, with the setting it was given for.
fn value_error(error: &Error, origins: &BTreeMap<&'static str, String>) -> ConfigError {
    let path = error.path.join(".");
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
    if let (Some("tables"), Kind::UnknownField(name, _)) =
        (error.path.first().map(String::as_str), &error.kind)
    {
        // [tables.shop.events] is a section `events` in a section `shop`.
        let table = error.path[1..].join(".");
        return ConfigError::Value {
            key: format!("tables.{table}"),
            origin: origin.unwrap_or_default(),
            message: format!("a table has no setting `{name}`"),
            help: Some(format!("put its name in quotes: [tables.\"{table}\"]")),
        };
    }
    let (key, leaf) = match error.path.as_slice() {
        [section, table, leaf] if section == "tables" => {
            (rules::table_key(table, leaf), leaf.as_str())
        }
        _ => {
            let key = KEYS.into_iter().find(|key| *key == path).unwrap_or("settings");
            (key.to_owned(), key.rsplit('.').next().unwrap_or_default())
        }
    };
    let origin = origin
        .or_else(|| origins.get(key.as_str()).cloned())
        .unwrap_or_else(|| "default".to_owned());
    let wanted = match leaf {
        "lease" | "poll_max" | "chunk" | "max" | "min_chunk" => "a duration such as `15s` or `2m`",
        "slots" => "a whole number",
        "block_overlap"
        | "require_dry_run"
        | "require_window"
        | "fail_check_on_pending"
        | "durable"
        | "load_ahead"
        | "wait_when_busy" => "true or false",
        "format" => "`text` or `json`",
        _ => "text in quotes",
    };
    let found = match &error.kind {
        Kind::InvalidType(found, _) | Kind::InvalidValue(found, _) => match found {
            Actual::Str(text) => format!(", not `{text}`"),
            Actual::Unsigned(number) => format!(", not {number}"),
            Actual::Signed(number) => format!(", not {number}"),
            other => format!(", not {other}"),
        },
        Kind::UnknownVariant(text, _) => format!(", not `{text}`"),
        _ => String::new(),
    };
    ConfigError::Value { key, origin, message: format!("must be {wanted}{found}"), help: None }
}

fn check(
    raw: Raw,
    mut origins: BTreeMap<&'static str, String>,
    environment: &Environment,
    mut warnings: Vec<String>,
    file: Option<PathBuf>,
) -> Result<Config, ConfigError> {
    let wrong = |key: &'static str, message: String, help: Option<String>| {
        let origin = origins.get(key).cloned().unwrap_or_else(|| "default".to_owned());
        ConfigError::Value { key: key.to_owned(), origin, message, help }
    };
    let url = address::check(&raw.server.url)
        .map_err(|(message, help)| wrong("server.url", message, help))?;
    let staging =
        raw.control.staging_database.unwrap_or_else(|| format!("{}_staging", raw.control.database));
    let names =
        [("control.database", &raw.control.database), ("control.staging_database", &staging)];
    for (key, name) in names {
        if !is_plain_name(name) {
            let help = "use letters, digits and `_`, and no digit first".to_owned();
            return Err(wrong(key, format!("`{name}` cannot be used here"), Some(help)));
        }
    }
    if staging == raw.control.database {
        let message = "must not be the database of the control tables".to_owned();
        return Err(wrong("control.staging_database", message, None));
    }
    if raw.worker.lease < LEASE_MIN {
        return Err(wrong("worker.lease", "is shorter than 1s".to_owned(), None));
    }
    if raw.worker.poll_max < POLL_MIN {
        return Err(wrong("worker.poll_max", "is shorter than 50ms".to_owned(), None));
    }
    if raw.worker.slots.is_some_and(|slots| !(1..=SLOTS_MAX).contains(&slots)) {
        return Err(wrong("worker.slots", format!("is not between 1 and {SLOTS_MAX}"), None));
    }
    let tables = rules::check(&raw.window, &raw.policy, raw.tables).map_err(|wrong| {
        let (key, message, help) = wrong;
        // Tables stand in files only.
        let in_file = || file.as_ref().map(|path| path.display().to_string());
        let origin = origins.get(key.as_str()).cloned().or_else(in_file).unwrap_or_default();
        ConfigError::Value { key, origin, message, help }
    })?;
    let ca_file = raw.server.ca_file;
    if let Some(path) = &ca_file {
        authorities(path).map_err(|message| wrong("server.ca_file", message, None))?;
    }
    let password_origin = origins.get("server.password_file").cloned().unwrap_or_default();
    let password_file = raw.server.password_file.as_deref().map(|path| (path, &*password_origin));
    let (password, origin) = password::find(password_file, environment)?;
    origins.insert("password", origin);
    let plain_host = address::plain_host(&url).filter(|_| !password.expose_secret().is_empty());
    warnings.extend(plain_host.map(|host| {
        format!(
            "server.url is plain http: the password and all statements go unencrypted to {host}; \
             use https unless everybody between here and there may read them"
        )
    }));
    let connection = Connection {
        url,
        user: raw.server.user,
        password,
        ca_file,
        control: raw.control.database,
        staging,
    };
    Ok(Config {
        connection,
        durable: raw.server.durable,
        lease: raw.worker.lease,
        slots: raw.worker.slots,
        load_ahead: raw.worker.load_ahead,
        wait_when_busy: raw.worker.wait_when_busy,
        poll_max: raw.worker.poll_max,
        window: raw.window,
        policy: raw.policy,
        tables,
        log: raw.log,
        file,
        origins,
        warnings,
    })
}

/// The control database is also a path in Keeper, and both are read by people all the time.
fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
