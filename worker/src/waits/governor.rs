//! Holds loads back while a server has more to do than it can bear, and lets them go on by itself.
//!
//! A server slows inserts down when a partition has too many parts, and refuses them later. Long before that
//! nothing more is claimed: what is in flight goes on, and merges catch up. The same holds for memory, for the
//! replication queue of the targets, and for a Keeper that answers slowly. Each begins at one mark and ends at
//! a lower one, so that loads do not start and stop every few seconds.
//!
//! Servers are asked beside the claims, never before one: a server that hangs must not hold up the tasks of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::schema::own_setting;
use longshore_shared::sql;
use longshore_shared::task::{Graph, Job, JobId, TableName};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

/// How long a look at a server is good.
const LOOK_FRESH: Duration = Duration::from_secs(5);
/// A server that has not answered within this time is one that cannot be asked.
const LOOK_MAX: Duration = Duration::from_secs(20);
/// A job that nobody asked about for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// A heartbeat that was answered longer ago says nothing of Keeper as it is now.
const BEAT_FRESH: Duration = Duration::from_secs(20);
/// Between two notes on the row of a job: each is a write to Keeper.
const NOTE_PAUSE: Duration = Duration::from_secs(30);
/// What a note begins with. The time behind it stays when another worker writes the next one.
const SINCE: &str = "waits for the server since ";

/// Loads are held back at the first of these, and go on below the second.
type Marks = (u64, u64);
/// Parts in a partition, in percent of `parts_to_delay_insert`.
const PARTS: Marks = (80, 60);
/// Memory of all queries, in percent of `max_server_memory_usage`.
const MEMORY: Marks = (90, 75);
/// Entries of the replication queue of a target.
const QUEUE: Marks = (1_000, 500);
/// Milliseconds that a heartbeat takes: two requests to the server, each of which asks Keeper.
const KEEPER_MS: Marks = (2_000, 1_000);

#[derive(Debug, Clone, Deserialize, Row)]
struct PressureRow {
    in_database: String,
    in_table: String,
    fullest: u64,
    delay: u64,
    memory: u64,
    memory_max: u64,
    queue: u64,
}

/// What is known of one job.
struct Held {
    looked: Instant,
    /// Servers are being asked.
    is_asked: bool,
    /// What holds its loads back.
    cause: Option<String>,
    noted: Option<Instant>,
}

/// The jobs whose loads are held back.
#[derive(Default)]
pub(crate) struct Governor {
    jobs: Arc<Mutex<HashMap<JobId, Held>>>,
    /// When the last heartbeat was answered, and how many milliseconds it took.
    beat: Mutex<Option<(Instant, u64)>>,
}

/// What a look found.
pub(crate) struct Look {
    /// Loads must wait.
    pub(crate) is_held: bool,
    /// What the row of the job is to say, if it is time for that; nothing any more when it is empty.
    pub(crate) note: Option<String>,
}

impl Governor {
    /// Notes how long a heartbeat took.
    pub(crate) fn beat(&self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), ms));
    }

    /// Must loads of this job wait? `servers` are those that are there, each with its number in the job.
    ///
    /// The answer is that of the last look; a look that is due begins here and ends later. A server that cannot
    /// be asked holds nothing back: its claims find out.
    pub(crate) fn look(&self, job: &Arc<Job>, servers: Vec<(usize, Server)>) -> Look {
        self.refresh(job, servers);
        let mut all = lock(&self.jobs);
        let held = all.entry(job.id.clone()).or_insert_with(Held::unseen);
        Look { note: held.note(job), is_held: held.cause.is_some() }
    }

    /// Begins a look, if one is due.
    pub(crate) fn refresh(&self, job: &Arc<Job>, servers: Vec<(usize, Server)>) {
        let mut all = lock(&self.jobs);
        all.retain(|id, held| *id == job.id || held.looked.elapsed() < FORGET_AFTER);
        // A job that is over within seconds needs no look.
        let held = all.entry(job.id.clone()).or_insert_with(Held::unseen);
        if held.looked.elapsed() >= LOOK_FRESH && !held.is_asked {
            held.is_asked = true;
            let (before, keeper_ms) = (held.cause.clone(), self.keeper_ms());
            let (jobs, job) = (Arc::clone(&self.jobs), Arc::clone(job));
            tokio::spawn(async move {
                let cause = cause(&job, &servers, before, keeper_ms).await;
                if let Some(held) = lock(&jobs).get_mut(&job.id) {
                    (held.cause, held.looked, held.is_asked) = (cause, Instant::now(), false);
                }
            });
        }
    }

    /// What the row of a job is to say where this worker does not wait: nothing, if it says that loads wait. Asked
    /// for once a life, because other workers may wait.
    pub(crate) fn takes_back(&self, job: &Job) -> bool {
        let mut all = lock(&self.jobs);
        let held = all.entry(job.id.clone()).or_insert_with(Held::unseen);
        let is_told = job.reason.starts_with(SINCE) && held.noted.is_none();
        held.noted = held.noted.or_else(|| is_told.then(Instant::now));
        is_told
    }

    /// How long the last heartbeat took, unless that was long ago.
    fn keeper_ms(&self) -> u64 {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.filter(|(at, _)| at.elapsed() < BEAT_FRESH).map_or(0, |(_, ms)| ms)
    }
}

fn lock(jobs: &Mutex<HashMap<JobId, Held>>) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What holds loads of a job back, in words.
async fn cause(
    job: &Job,
    servers: &[(usize, Server)],
    before: Option<String>,
    keeper_ms: u64,
) -> Option<String> {
    if planted(Bug::LoadOn) {
        return None;
    }
    let was_held = before.is_some();
    let mut is_unknown = false;
    if is_beyond(keeper_ms, KEEPER_MS, was_held) {
        return Some(format!("Keeper is slow, a heartbeat took {keeper_ms} ms"));
    }
    for (at, server) in servers {
        let own = job.spec.servers.get(*at).and_then(|server| server.graph.as_ref());
        let graph = own.unwrap_or(&job.spec.graph);
        match timeout(LOOK_MAX, look(server, graph)).await {
            Ok(Ok(rows)) => {
                let crowded = crowded(graph, &rows, was_held);
                if let Some(cause) = crowded.or_else(|| burdened(&rows, was_held)) {
                    return Some(cause);
                }
            }
            Ok(Err(failure)) => {
                tracing::debug!(error = %failure, "how busy the server is, is not known");
            }
            Err(_) => {
                tracing::debug!("how busy the server is, is not known: no answer");
                is_unknown = true;
            }
        }
    }
    // One that was overloaded and is too slow to say so still is. One that is away is not asked.
    before.filter(|_| is_unknown)
}

impl Held {
    fn unseen() -> Self {
        Self { looked: Instant::now(), is_asked: false, cause: None, noted: None }
    }

    /// What is to be written on the row of the job, if it is time for that.
    fn note(&mut self, job: &Job) -> Option<String> {
        let is_told = job.reason.starts_with(SINCE);
        let words = match &self.cause {
            // The row of a job that waits for something else says that.
            Some(_) if !is_told && !job.reason.is_empty() => return None,
            Some(cause) => {
                let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
                let before = job.reason.strip_prefix(SINCE).and_then(|rest| rest.get(..now.len()));
                format!("{SINCE}{}: {cause}", before.unwrap_or(&now))
            }
            None if is_told => String::new(),
            None => return None,
        };
        let is_due = self.noted.is_none_or(|noted| noted.elapsed() >= NOTE_PAUSE);
        // That it goes on is told at once.
        if words == job.reason || !(is_due || words.is_empty()) {
            return None;
        }
        self.noted = Some(Instant::now());
        Some(words)
    }
}

async fn look(server: &Server, graph: &Graph) -> Result<Vec<PressureRow>, Failure> {
    let kept = graph.tables.iter().filter(|table| table.keeps_rows());
    let names: Vec<&TableName> =
        kept.map(longshore_shared::task::GraphTable::destination).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    retry_idempotent(|| server.call(sql::PRESSURE).tables(&names).fetch_all()).await
}

/// A table with too many parts in a partition, in words. Its own limit is that of the plan: a job whose table has
/// another one by now is paused.
fn crowded(graph: &Graph, rows: &[PressureRow], was_held: bool) -> Option<String> {
    rows.iter().find_map(|row| {
        let table = TableName { database: row.in_database.clone(), table: row.in_table.clone() };
        let planned = graph.tables.iter().find(|planned| *planned.destination() == table);
        let own = planned
            .and_then(|planned| own_setting(&planned.definition, "parts_to_delay_insert"))
            .and_then(|own| own.parse().ok());
        let (parts, delay) = (row.fullest, own.unwrap_or(row.delay));
        let share = parts.saturating_mul(100).checked_div(delay)?;
        is_beyond(share, PARTS, was_held).then(|| {
            format!(
                "a partition of {table} has {parts} parts, and the server slows inserts down at {delay}: merges must \
                 catch up"
            )
        })
    })
}

/// Memory or a replication queue that is beyond its mark, in words.
fn burdened(rows: &[PressureRow], was_held: bool) -> Option<String> {
    let any = rows.first()?;
    if any.memory_max > 0
        && is_beyond(any.memory.saturating_mul(100) / any.memory_max, MEMORY, was_held)
    {
        return Some(format!(
            "queries use {} of the {} MiB of memory that the server may use",
            any.memory >> 20,
            any.memory_max >> 20
        ));
    }
    is_beyond(any.queue, QUEUE, was_held)
        .then(|| format!("the replication queue of a target has {} entries", any.queue))
}

fn is_beyond(now: u64, (begin, end): Marks, was_held: bool) -> bool {
    now >= if was_held { end } else { begin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(memory: u64, queue: u64) -> PressureRow {
        let (in_database, in_table) = ("d".to_owned(), "t".to_owned());
        let memory_max = 100 << 20;
        PressureRow { in_database, in_table, fullest: 1, delay: 1_000, memory, memory_max, queue }
    }

    #[test]
    fn memory_and_queues_hold_loads_back_until_they_are_well_below_their_mark() {
        let words = |memory: u64, queue, was_held| burdened(&[row(memory << 20, queue)], was_held);
        assert_eq!(words(89, 999, false), None);
        assert_eq!(
            words(90, 0, false).as_deref(),
            Some("queries use 90 of the 100 MiB of memory that the server may use")
        );
        assert!(words(75, 0, true).is_some() && words(74, 0, true).is_none());
        assert_eq!(
            words(0, 1_000, false).as_deref(),
            Some("the replication queue of a target has 1000 entries")
        );
        assert!(words(0, 500, true).is_some() && words(0, 499, true).is_none());
        assert_eq!(burdened(&[], true), None);
    }
}
