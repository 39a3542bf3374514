//! The words for each cause, as a user reads them.

use longshore_shared::config::{CommonArgs, Environment, WorkerArgs};
use longshore_shared::task::TableName;

use super::*;

fn config() -> Config {
    let mut args = CommonArgs { config: Some("/dev/null".into()), ..CommonArgs::default() };
    args.connection.server = Some("http://ch:8123".into());
    args.connection.user = Some("loader".into());
    load(&args).unwrap()
}

/// Without this process's environment: a test bed's variables must not change the words.
fn load(args: &CommonArgs) -> Result<Config, ConfigError> {
    args.load_in(&WorkerArgs::default(), &Environment::default())
}

fn shown(error: impl Into<Error>) -> String {
    let report = of(&error.into(), Some(&config()));
    format!("[{}] {}\n{}", report.kind.code(), report.message, report.help.unwrap_or_default())
}

fn server(code: i32, message: &str) -> String {
    shown(Failure::server("create_meta", code, message))
}

#[test]
fn a_wrong_password() {
    insta::assert_snapshot!(
        server(516, "Code: 516. DB::Exception: loader: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"),
        @"
        [2] ClickHouse at http://ch:8123 does not let user `loader` in: Authentication failed: password is incorrect, or there is no user with such name.
        No password is set. Set CLICKHOUSE_USER and CLICKHOUSE_PASSWORD, or name a file with --password-file.
        "
    );
}

#[test]
fn a_missing_grant_is_given_as_the_statement_to_run() {
    insta::assert_snapshot!(
        server(497, "Code: 497. DB::Exception: loader: Not enough privileges. To execute this query, it's necessary to have the grant CREATE TABLE ON default.x. (ACCESS_DENIED) (version 26.7.2.1)"),
        @"
        [2] user `loader` may not do this: Not enough privileges. To execute this query, it's necessary to have the grant CREATE TABLE ON default.x.
        run as an administrator:
          GRANT CREATE TABLE ON default.x TO loader;
        "
    );
}

#[test]
fn a_server_without_keeper_map() {
    insta::assert_snapshot!(
        server(36, "Code: 36. DB::Exception: KeeperMap is disabled because 'keeper_map_path_prefix' config is not defined. (BAD_ARGUMENTS) (version 26.7.2.1)"),
        @"
        [2] KeeperMap is not configured on http://ch:8123
        KeeperMap tables need a path prefix in the configuration of every ClickHouse server:
          <clickhouse>
              <keeper_map_path_prefix>/keeper_map_tables</keeper_map_path_prefix>
          </clickhouse>
        Put that into a file in config.d, restart the server and run `longshore init` again.
        "
    );
}

#[test]
fn keeper_is_down() {
    insta::assert_snapshot!(
        server(999, "Code: 999. Coordination::Exception: Connection loss. (KEEPER_EXCEPTION) (version 26.7.2.1)"),
        @"
        [5] ClickHouse at http://ch:8123 has trouble with Keeper: Connection loss.
        Longshore keeps its tasks in Keeper (or ZooKeeper). Check the <zookeeper> section of the server's
        configuration, and that Keeper runs. One that was wiped or replaced refuses the server's old session:
        restart ClickHouse then.
        "
    );
}

#[test]
fn no_such_database_and_no_such_table() {
    insta::assert_snapshot!(
        server(81, "Code: 81. DB::Exception: Database nowhere does not exist. (UNKNOWN_DATABASE) (version 26.7.2.1)"),
        @"
        [2] Database nowhere does not exist.
        check the names of database and table, and that the user may see them
        "
    );
    let table = TableName { database: "db".into(), table: "t".into() };
    insta::assert_snapshot!(shown(GraphError::NoTable(table)), @"
    [2] there is no table db.t
    check the spelling of `db.t`, and that the user may see it: GRANT SHOW COLUMNS ON db.t TO USER;
    ");
}

#[test]
fn another_server_error_keeps_its_code() {
    insta::assert_snapshot!(
        server(241, "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 9.00 GiB. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1)"),
        @"[1] Memory limit (total) exceeded: would use 9.00 GiB. (code 241, in create_meta)"
    );
}

#[test]
fn an_answer_that_was_lost() {
    let message = "504 Gateway Timeout".to_owned();
    let failure = Failure { statement: "x", kind: FailureKind::Unknown, message };
    insta::assert_snapshot!(shown(failure), @"
    [5] no usable answer from ClickHouse at http://ch:8123: 504 Gateway Timeout
    The address is from --server.
    Check that the server runs and that this is its HTTP port (8123, or 8443 with https), not the native one (9000).
    ");
}

#[test]
fn a_name_that_is_no_text() {
    let message = NOT_UTF8.to_owned();
    let failure = Failure { statement: "table_graph", kind: FailureKind::Reply, message };
    insta::assert_snapshot!(shown(failure), @"
    [1] http://ch:8123 answers bytes that are not UTF-8 (in table_graph)
    a name of a table, column, partition or user is none that can be written down: rename it
    ");
}

#[test]
fn control_tables_that_are_not_there_or_too_new() {
    insta::assert_snapshot!(shown(StoreError::NotInitialised("longshore".into())), @"
    [2] there are no control tables in database `longshore` on http://ch:8123
    run: longshore init
    (or name the right database with --database)
    ");
    insta::assert_snapshot!(shown(StoreError::NewerVersion { found: 3, known: 1 }), @"
    [6] the control tables have version 3, this program knows 1
    use a program of the version that made the tables, or a newer one
    ");
}

#[test]
fn a_setting_that_cannot_be_used() {
    let mut args = CommonArgs { config: Some("/dev/null".into()), ..CommonArgs::default() };
    args.connection.server = Some("http://me:canary@ch:8123".into());
    insta::assert_snapshot!(shown(load(&args).unwrap_err()), @"
    [2] server.url (from --server): must not hold a user name or password
    put the user into --user or CLICKHOUSE_USER, and the password into CLICKHOUSE_PASSWORD or a file named by --password-file
    ");
    let args =
        CommonArgs { config: Some("/nowhere/longshore.toml".into()), ..CommonArgs::default() };
    insta::assert_snapshot!(shown(load(&args).unwrap_err()), @"[2] cannot read the configuration file /nowhere/longshore.toml: No such file or directory (os error 2)");
}
