//! The server, its Keeper, the control tables, and the clocks.

use std::time::{Duration, Instant};

use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Failure, Server, ServerFacts, retry_idempotent};
use longshore_shared::config::Config;
use longshore_shared::ledger::now_ms;
use longshore_shared::sql;
use longshore_shared::store::{SCHEMA_VERSION, StoreError, environment};
use serde::Deserialize;
use uuid::Uuid;

use super::{Finding, Level, or_unseen, unseen, versions};
use crate::session::{FIRST_ANSWER_MAX, bounded};
use crate::ui::error::Error;
use crate::ui::text;

/// A clock that is further off makes times in logs hard to compare.
const CLOCK_MAX: Duration = Duration::from_secs(5);
/// The probe makes and drops one small table; without Keeper it would wait for minutes.
const PROBE_MAX: Duration = Duration::from_secs(30);

#[derive(Deserialize, Row)]
struct Clock {
    now_ms: i64,
}

#[derive(Deserialize, Row)]
struct Value {
    value: String,
}

/// Does the server answer, and who is it? Without it nothing else can be looked at.
pub(crate) async fn server(
    server: &Server,
    config: &Config,
) -> Result<(ServerFacts, Vec<Finding>), Finding> {
    const CHECK: &str = "server";
    let url = &config.connection.url;
    let started = Instant::now();
    let facts = match bounded(config, server, FIRST_ANSWER_MAX, server.facts()).await {
        Ok(Ok(facts)) => facts,
        Ok(Err(failure)) => return Err(unseen(CHECK, Level::Problem, &failure.into(), config)),
        Err(error) => return Err(unseen(CHECK, Level::Problem, &error, config)),
    };
    let took = format!("{} ms", started.elapsed().as_millis());
    let message = format!(
        "ClickHouse {} at {url} lets user `{}` in ({took})",
        facts.version, config.connection.user
    );
    let mut found = vec![Finding::ok(CHECK, message)];
    found.extend(versions::check(&facts.version));
    found.extend(or_unseen("clock", config, clock(server).await));
    Ok((facts, found))
}

/// Information only: leases use the server's clock alone.
async fn clock(server: &Server) -> Result<Vec<Finding>, Failure> {
    const CHECK: &str = "clock";
    let asked = now_ms();
    let clock: Clock = retry_idempotent(|| server.call(sql::SERVER_TIME).fetch_one()).await?;
    let answered = now_ms();
    // The server looked at its clock somewhere between.
    let apart_ms = (clock.now_ms - answered).max(asked - clock.now_ms).max(0);
    let apart = Duration::from_millis(u64::try_from(apart_ms).unwrap_or(0));
    if apart <= CLOCK_MAX {
        return Ok(vec![Finding::ok(CHECK, "the server's clock and this machine's agree")]);
    }
    let message =
        format!("the server's clock and this machine's are {} apart", text::duration(apart));
    let remedy =
        "nothing breaks (leases use the server's clock), but times in logs differ: run NTP on both";
    Ok(vec![Finding::warning(CHECK, message, remedy)])
}

/// The control tables, and that the server reaches its Keeper. True when they can be used.
pub(crate) async fn control_tables(server: &Server, config: &Config) -> (bool, Vec<Finding>) {
    const CHECK: &str = "control tables";
    let started = Instant::now();
    let found = match bounded(config, server, FIRST_ANSWER_MAX, environment(server)).await {
        Ok(found) => found,
        Err(error) => return (false, vec![unseen("keeper", Level::Problem, &error, config)]),
    };
    let took = format!("{} ms", started.elapsed().as_millis());
    match found {
        Ok(environment) => {
            let keeper = Finding::ok("keeper", format!("Keeper answers the server ({took})"));
            let message = format!(
                "version {SCHEMA_VERSION} in database `{}`, environment {environment}",
                server.control()
            );
            (true, vec![keeper, Finding::ok(CHECK, message)])
        }
        Err(StoreError::NotInitialised(database)) => {
            let keeper = match bounded(config, server, PROBE_MAX, probe(server)).await {
                Ok(Ok(())) => {
                    Finding::ok("keeper", "KeeperMap tables can be made, written and read")
                }
                Ok(Err(failure)) => refused(failure, config),
                Err(error) => unseen("keeper", Level::Problem, &error, config),
            };
            let message = format!("there are none in database `{database}`");
            (false, vec![keeper, Finding::problem(CHECK, message, "longshore init")])
        }
        Err(error) => {
            let error = Error::from(error);
            let reach = matches!(
                crate::ui::report::of(&error, Some(config)).kind,
                crate::ui::error::Kind::Unreachable
            );
            let check = if reach { "keeper" } else { CHECK };
            (false, vec![unseen(check, Level::Problem, &error, config)])
        }
    }
}

fn refused(failure: Failure, config: &Config) -> Finding {
    if failure.code() == Some(Code::ACCESS_DENIED) {
        let message = "KeeperMap was not tried: this user may make no database of its own";
        let remedy = "longshore init (it says so when KeeperMap is not configured)";
        return Finding::warning("keeper", message, remedy);
    }
    unseen("keeper", Level::Problem, &failure.into(), config)
}

/// Makes a KeeperMap table in a database of its own, writes and reads a row, and drops both.
async fn probe(server: &Server) -> Result<(), Failure> {
    let mark = Uuid::new_v4().simple().to_string();
    let database = format!("longshore_doctor_{}", &mark[..12]);
    server.call(sql::CREATE_DATABASE).name("database", &database).execute().await?;
    let outcome = write_and_read(server, &database, &mark).await;
    server.call(sql::DROP_DATABASE).name("database", &database).execute().await?;
    outcome
}

async fn write_and_read(server: &Server, database: &str, mark: &str) -> Result<(), Failure> {
    let path = format!("/{database}/meta");
    server
        .call(sql::CREATE_META)
        .name("control", database)
        .literal("path", &path)
        .execute()
        .await?;
    server
        .call(sql::INSERT_META)
        .name("control", database)
        .param("key", "probe")
        .param("value", mark)
        .setting("keeper_map_strict_mode", 1)
        .setting("insert_keeper_max_retries", 3)
        .execute()
        .await?;
    let read: Option<Value> = server
        .call(sql::GET_META)
        .name("control", database)
        .param("key", "probe")
        .fetch_optional()
        .await?;
    if read.is_some_and(|row| row.value == mark) {
        return Ok(());
    }
    let words = "a row written to a KeeperMap table was not there when it was read";
    Err(Failure::server("probe", Code::KEEPER_EXCEPTION, words))
}
