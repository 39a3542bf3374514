//! Finds out how a statement ended whose answer was lost.
//!
//! A load goes on in the server when its connection is cut (ENGINE G), so a lost answer says
//! nothing. The statement is waited for by its query id, and its end is read from `query_log`.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;

use super::{Call, Code, Failure, Server, Summary, readable, retry_idempotent};
use crate::sql;
use crate::task::QueryId;

/// Pause between looks at a statement that is still running.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// How long an ended statement may take to show in `query_log` (flushed every 7.5 s by default).
const LOG_WAIT: Duration = Duration::from_secs(10);
/// How far back the log is searched.
const LOG_SECONDS: u32 = 2 * 24 * 3600;
/// While an answer is awaited, how often the server is asked whether the statement still runs.
const WATCH_PAUSE: Duration = Duration::from_secs(10);

/// How a statement ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// It finished, with these counts.
    Finished(Summary),
    /// It failed with this error.
    Failed(Failure),
    /// It does not run and the log does not know it: never arrived, or died with the server.
    NoTrace,
}

#[derive(Deserialize, Row)]
struct Running {
    running: u64,
}

#[derive(Deserialize, Row)]
struct Logged {
    r#type: String,
    code: i32,
    #[serde(deserialize_with = "readable")]
    exception: String,
    read_rows: u64,
    written_rows: u64,
}

/// Runs a long statement; when its answer is lost, waits for its real end.
///
/// `not_before_ms` is the server's time of the job's submit: a plan that was deleted and made again
/// gives its statements the same ids, and how one of an older life ended says nothing.
///
/// # Errors
/// The server's own error, or an unknown outcome when the server keeps no trace of the statement.
pub async fn settled(
    server: &Server,
    call: Call<'_>,
    id: &QueryId,
    not_before_ms: i64,
) -> Result<Summary, Failure> {
    let answer = call.id(id).deadline(None).execute();
    tokio::pin!(answer);
    let lost = loop {
        tokio::select! {
            answer = &mut answer => match answer {
                Err(failure) if failure.is_unknown() => break failure,
                answer => return answer,
            },
            // A half-open connection never answers: the server's own list tells.
            () = tokio::time::sleep(WATCH_PAUSE) => {
                if !is_running(server, id).await.unwrap_or(true)
                    && let Ok(finished) = tokio::time::timeout(WATCH_PAUSE, &mut answer).await {
                        match finished {
                            Err(failure) if failure.is_unknown() => break failure,
                            finished => return finished,
                        }
                } else if !is_running(server, id).await.unwrap_or(true) {
                    break Failure::unknown("watch", "the statement ended without an answer".to_owned());
                }
            }
        }
    };
    tracing::info!(query_id = %id, error = %lost, "answer lost, waiting for the statement itself");
    match settle(server, id, not_before_ms).await? {
        Ending::Finished(summary) => Ok(summary),
        Ending::Failed(failure) => Err(failure),
        Ending::NoTrace => Err(lost),
    }
}

/// Waits until no statement of this id runs, then reads how it ended, if it began after that time.
///
/// # Errors
/// When the server cannot be asked.
pub async fn settle(server: &Server, id: &QueryId, not_before_ms: i64) -> Result<Ending, Failure> {
    while is_running(server, id).await? {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let deadline = tokio::time::Instant::now() + LOG_WAIT;
    loop {
        match logged(server, id, not_before_ms).await {
            Ok(Some(row)) if row.r#type == "QueryFinish" => {
                let Logged { read_rows, written_rows, .. } = row;
                return Ok(Ending::Finished(Summary { read_rows, written_rows }));
            }
            Ok(Some(row)) => {
                return Ok(Ending::Failed(Failure::server("query_log", row.code, &row.exception)));
            }
            Ok(None) => {}
            // No query_log on this server: the caller starts over in a fresh staging set.
            Err(failure) if failure.code() == Some(Code::UNKNOWN_TABLE) => {
                return Ok(Ending::NoTrace);
            }
            Err(failure) => return Err(failure),
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(Ending::NoTrace);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

async fn is_running(server: &Server, id: &QueryId) -> Result<bool, Failure> {
    let id = id.to_string();
    let row: Running =
        retry_idempotent(|| server.call(sql::FIND_QUERY).param("query_id", &id).fetch_one())
            .await?;
    Ok(row.running > 0)
}

async fn logged(
    server: &Server,
    id: &QueryId,
    not_before_ms: i64,
) -> Result<Option<Logged>, Failure> {
    let id = id.to_string();
    retry_idempotent(|| {
        server
            .call(sql::QUERY_FATE)
            .param("query_id", &id)
            .param("seconds", LOG_SECONDS)
            .param("not_before", not_before_ms)
            .param("already_running", i32::from(Code::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING))
            .fetch_optional()
    })
    .await
}
