//! The layers, the spellings of the environment, and what is refused.

use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::keys::KEYS;
use super::layers::load;
use super::*;

fn common(change: impl FnOnce(&mut CommonArgs)) -> CommonArgs {
    // An empty file, so that a longshore.toml in the working folder plays no part.
    let mut args = CommonArgs { config: Some(PathBuf::from("/dev/null")), ..CommonArgs::default() };
    change(&mut args);
    args
}

fn with<const N: usize>(variables: [(&str, &str); N]) -> Result<Config, ConfigError> {
    load(&common(|_| ()), &WorkerArgs::default(), &variables.into())
}

/// A folder of its own for each test, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("longshore-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The settings of a file with this text.
pub(super) fn read(text: &str) -> Config {
    let folder = Folder::new();
    let path = folder.write("longshore.toml", text);
    let args = common(|args| args.config = Some(path));
    load(&args, &WorkerArgs::default(), &Environment::default()).unwrap()
}

/// The message and help for a file with this text.
pub(super) fn refusal(text: &str) -> String {
    let folder = Folder::new();
    let path = folder.write("longshore.toml", text);
    let args = common(|args| args.config = Some(path));
    let error = load(&args, &WorkerArgs::default(), &Environment::default()).unwrap_err();
    let place = folder.0.display().to_string();
    format!("{error} | {}", error.help().unwrap_or_default()).replace(&place, "DIR")
}

#[test]
fn the_defaults_alone_are_a_whole_configuration() {
    let config = with([]).unwrap();
    assert_eq!(config.connection.url, "http://127.0.0.1:8123");
    assert_eq!(config.connection.staging, "longshore_staging");
    assert_eq!(config.lease, Duration::from_secs(15));
    assert_eq!(config.connection.password.expose_secret(), "");
    assert_eq!(config.origin("server.url"), "default");
}

#[test]
fn every_setting_stands_in_the_file_of_defaults() {
    for key in KEYS {
        let leaf = key.rsplit('.').next().unwrap();
        let stands = |line: &str| {
            line.trim_start_matches("# ").split_once(" = ").is_some_and(|(name, _)| name == leaf)
        };
        assert!(DEFAULTS.lines().any(stands), "{key}");
    }
}

#[test]
fn a_flag_wins_over_a_variable_which_wins_over_the_file() {
    let folder = Folder::new();
    let file = folder.write(
        "longshore.toml",
        "[server]\nurl = 'http://file:1'\nuser = 'file'\n[control]\ndatabase = 'of_file'\n[worker]\nlease = '1m'",
    );
    let args = common(|args| {
        args.config = Some(file.clone());
        args.connection.server = Some("http://flag:3".into());
    });
    let variables = [("CLICKHOUSE_URL", "http://variable:2"), ("CLICKHOUSE_USER", "variable")];
    let config = load(&args, &WorkerArgs::default(), &variables.into()).unwrap();
    assert_eq!(config.connection.url, "http://flag:3");
    assert_eq!(config.connection.user, "variable");
    assert_eq!(config.connection.staging, "of_file_staging");
    assert_eq!(config.lease, Duration::from_mins(1));
    assert_eq!(config.origin("server.url"), "--server");
    assert_eq!(config.origin("server.user"), "CLICKHOUSE_USER");
    assert_eq!(config.origin("control.database"), file.display().to_string());
    assert_eq!(config.origin("worker.load_ahead"), "default");
    assert_eq!(config.slots, None);
}

#[test]
fn reads_the_spellings_that_other_tools_use() {
    let url = |config: Result<Config, _>| config.unwrap().connection.url;
    assert_eq!(url(with([("CLICKHOUSE_HOST", "ch")])), "http://ch:8123");
    assert_eq!(
        url(with([("CLICKHOUSE_HOST", "ch"), ("CLICKHOUSE_SECURE", "true")])),
        "https://ch:8443"
    );
    assert_eq!(
        url(with([("CLICKHOUSE_HOST", "::1"), ("CLICKHOUSE_PORT", "18123")])),
        "http://[::1]:18123"
    );
    assert_eq!(
        url(with([("CLICKHOUSE_URL", "http://a:1"), ("CLICKHOUSE_HOST", "b")])),
        "http://a:1"
    );
    let user = |config: Result<Config, _>| config.unwrap().connection.user;
    assert_eq!(user(with([("CLICKHOUSE_USERNAME", "u")])), "u");
    assert_eq!(user(with([("CLICKHOUSE_USERNAME", "u"), ("CLICKHOUSE_USER", "v")])), "v");
    assert_eq!(user(with([("CLICKHOUSE_USER", "")])), "default");
    let config =
        with([("LONGSHORE_SLOTS", "4"), ("LONGSHORE_LEASE", "2s"), ("LONGSHORE_DATABASE", "x")]);
    let config = config.unwrap();
    assert_eq!((config.slots, config.lease.as_secs()), (Some(4), 2));
    assert!(config.load_ahead);
    assert!(!with([("LONGSHORE_LOAD_AHEAD", "false")]).unwrap().load_ahead);
    assert!(config.wait_when_busy);
    assert!(!with([("LONGSHORE_WAIT_WHEN_BUSY", "false")]).unwrap().wait_when_busy);
    assert_eq!(config.connection.control, "x");
}

#[test]
fn the_port_of_a_kubernetes_service_is_passed_over_with_a_warning() {
    let config =
        with([("CLICKHOUSE_PORT", "tcp://10.0.0.7:8123"), ("CLICKHOUSE_HOST", "ch")]).unwrap();
    assert_eq!(config.connection.url, "http://ch:8123");
    assert!(config.warnings[0].contains("CLICKHOUSE_PORT"), "{:?}", config.warnings);
}

#[test]
fn finds_the_password_in_its_four_places() {
    let folder = Folder::new();
    let flag = folder.write("flag", "from-flag\n");
    let credential = folder.write("clickhouse-password", "from-credential");
    let directory = folder.0.display().to_string();
    let file = credential.display().to_string();
    let of = |config: Config| {
        let origin = config.origin("password").to_owned();
        (config.connection.password.expose_secret().to_owned(), origin)
    };
    let pair = |password: &str, origin: &str| (password.to_owned(), origin.to_owned());

    assert_eq!(
        of(with([("CLICKHOUSE_PASSWORD", "plain-word")]).unwrap()),
        pair("plain-word", "CLICKHOUSE_PASSWORD")
    );
    assert_eq!(
        of(with([("CLICKHOUSE_PASSWORD_FILE", &file)]).unwrap()),
        pair("from-credential", "CLICKHOUSE_PASSWORD_FILE")
    );
    assert_eq!(
        of(with([("CREDENTIALS_DIRECTORY", &directory)]).unwrap()),
        pair("from-credential", "CREDENTIALS_DIRECTORY")
    );
    let args = common(|args| args.connection.password_file = Some(flag));
    let config =
        load(&args, &WorkerArgs::default(), &[("CLICKHOUSE_PASSWORD", "no")].into()).unwrap();
    assert_eq!(of(config), pair("from-flag", "--password-file"));
    assert_eq!(crate::redact::scrub("<plain-word>"), "<[HIDDEN]>");

    let both = [("CLICKHOUSE_PASSWORD", "a"), ("CLICKHOUSE_PASSWORD_FILE", "b")];
    assert!(matches!(with(both), Err(ConfigError::TwoPasswords)));
    let missing = with([("CLICKHOUSE_PASSWORD_FILE", "/nowhere/password")]).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read the password file /nowhere/password");
}

#[test]
fn a_child_process_gets_the_same_settings_and_no_secret() {
    let config =
        with([("CLICKHOUSE_PASSWORD", "canary-of-a-child"), ("LONGSHORE_LEASE", "90s")]).unwrap();
    let variables = config.variables();
    assert!(!format!("{variables:?}").contains("canary"));
    let pairs: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let again = Environment::from(<[_; 10]>::try_from(pairs).unwrap());
    let again = load(&CommonArgs::default(), &WorkerArgs::default(), &again).unwrap();
    assert_eq!((again.lease, again.wait_when_busy), (config.lease, config.wait_when_busy));
    assert_eq!(again.connection.url, config.connection.url);
}

#[test]
fn says_which_setting_is_wrong_where_and_what_to_write() {
    insta::assert_snapshot!(
        [
            refusal("[server]\nurll = 'http://a'"),
            refusal("lease = '15s'"),
            refusal("[server]\npassword = 'canary'"),
            refusal("[kafka]\nbrokers = 3"),
            refusal("[worker]\nlease = 15"),
            refusal("[worker]\nlease = 'soon'"),
            refusal("[worker]\nlease = '10ms'"),
            refusal("[worker]\nslots = 0"),
            refusal("[worker]\nslots = 'many'"),
            refusal("[log]\nformat = 'xml'"),
            refusal("[control]\ndatabase = 'a/b'"),
            refusal("[control]\nstaging_database = 'longshore'"),
            refusal("[server]\nurl = 'http://me:canary@h:8123'"),
            refusal("server = 'a'"),
            refusal("[server"),
        ]
        .join("\n"),
        @"
        there is no setting `server.urll` (in DIR/longshore.toml) | did you mean `server.url`?
        there is no setting `lease` (in DIR/longshore.toml) | did you mean `worker.lease`?
        there is no setting `server.password` (in DIR/longshore.toml) | a password does not belong into this file: set CLICKHOUSE_PASSWORD, or name a file with --password-file
        there is no setting `kafka.brokers` (in DIR/longshore.toml) | known settings: server.url, server.user, server.password_file, server.ca_file, server.durable, control.database, control.staging_database, worker.lease, worker.slots, worker.load_ahead, worker.wait_when_busy, worker.poll_max, window.time_column, window.chunk, window.max, window.min_chunk, policy.block_overlap, policy.require_dry_run, policy.require_window, policy.fail_check_on_pending, log.format, log.level
        worker.lease (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not 15 | 
        worker.lease (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not `soon` | 
        worker.lease (from DIR/longshore.toml): is shorter than 1s | 
        worker.slots (from DIR/longshore.toml): is not between 1 and 256 | 
        worker.slots (from DIR/longshore.toml): must be a whole number, not `many` | 
        log.format (from DIR/longshore.toml): must be `text` or `json`, not `xml` | 
        control.database (from DIR/longshore.toml): `a/b` cannot be used here | use letters, digits and `_`, and no digit first
        control.staging_database (from DIR/longshore.toml): must not be the database of the control tables | 
        server.url (from DIR/longshore.toml): must not hold a user name or password | put the user into --user or CLICKHOUSE_USER, and the password into CLICKHOUSE_PASSWORD or a file named by --password-file
        there is no setting `server` (in DIR/longshore.toml) | did you mean `server.url`?
        DIR/longshore.toml is not valid TOML: line 1, column 8: invalid table header: expected `.`, `]` |
        "
    );
    assert!(!refusal("[server]\npassword = 'canary'").contains("canary"));
}

#[test]
fn plans_are_durable_where_the_file_says_so() {
    assert!(!read("").durable);
    assert!(read("[server]\ndurable = true").durable);
    let wrong = refusal("[server]\ndurable = 'often'");
    assert!(wrong.contains("server.durable") && wrong.contains("must be true or false"), "{wrong}");
}

#[test]
fn names_the_variable_or_flag_of_a_wrong_value() {
    let error = with([("LONGSHORE_SLOTS", "many")]).unwrap_err();
    insta::assert_snapshot!(error, @"worker.slots (from LONGSHORE_SLOTS): must be a whole number, not `many`");
    let error = with([("CLICKHOUSE_SECURE", "maybe")]).unwrap_err();
    insta::assert_snapshot!(error, @"server.url (from CLICKHOUSE_SECURE): `maybe` is neither true nor false");
    let worker = WorkerArgs { lease: Some("0s".into()), ..WorkerArgs::default() };
    let error = load(&common(|_| ()), &worker, &Environment::default()).unwrap_err();
    insta::assert_snapshot!(error, @"worker.lease (from --lease): is shorter than 1s");
    let args = common(|args| args.config = Some("/nowhere/longshore.toml".into()));
    let error = load(&args, &WorkerArgs::default(), &Environment::default()).unwrap_err();
    insta::assert_snapshot!(error, @"cannot read the configuration file /nowhere/longshore.toml");
}
