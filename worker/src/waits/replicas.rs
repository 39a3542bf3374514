//! What replicas of a job's targets must still fetch before the job is completed.
//!
//! Looked at when all tasks are done. What the replica of the job has then is what the others must have:
//! rows that arrive later are not waited for, or a table that is written to all the time would never be
//! whole anywhere. Keeper is asked, so no other replica has to be reached.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_shared::clickhouse::{Failure, Server};
use longshore_shared::replicas::{Parts, ReplicatedTable};
use longshore_shared::schema::Graph;
use longshore_shared::task::{Job, JobId, ReplicasWait, Stamp, TableName};
use tokio::time::Instant;

/// Between two looks at first, and at most: each reads the names of all parts of each replica from Keeper.
const LOOK_PAUSE_MIN: Duration = Duration::from_secs(1);
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Between two notes on the row of a job: each is a write to Keeper.
const NOTE_PAUSE: Duration = Duration::from_secs(30);
/// What a note begins with. The time behind it stays when another worker writes the next one.
const SINCE: &str = "waits for replicas since ";

/// The jobs whose replicas this worker waits for.
#[derive(Default)]
pub(crate) struct Replicas(Mutex<HashMap<JobId, Awaited>>);

/// What is awaited for one job.
struct Awaited {
    /// Mark of the cursor whose tasks were all done: a job that was opened again begins anew.
    of: Stamp,
    /// What the other replicas must have, by server of the job and table.
    wanted: HashMap<(usize, TableName), Parts>,
    next: Instant,
    pause: Duration,
    noted: Option<Instant>,
}

impl Awaited {
    fn new(of: &Stamp) -> Self {
        let (next, pause) = (Instant::now(), LOOK_PAUSE_MIN);
        Self { of: of.clone(), wanted: HashMap::new(), next, pause, noted: None }
    }
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// As many replicas as must have every row.
    Whole,
    /// Fewer. What is to be noted, if it is time for that.
    Lacking(Option<String>),
}

impl Replicas {
    /// Did the last look find a replica of this job without some of its parts? A job that was opened again
    /// since then counts as not looked at.
    pub(crate) fn waits(&self, job: &JobId, of: &Stamp) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(job).is_some_and(|awaited| awaited.of == *of)
    }

    /// Looks whether the replicas of every target have every row, unless the last look was a moment ago.
    pub(crate) async fn check_parts(
        &self,
        job: &Job,
        of: &Stamp,
        servers: &[Server],
    ) -> Result<Look, Failure> {
        let mut awaited = self.take(&job.id, of);
        if awaited.next > Instant::now() {
            return Ok(Look::Lacking(None));
        }
        let lacking = awaited.lacking(job, servers).await;
        awaited.next = Instant::now() + awaited.pause;
        awaited.pause = (awaited.pause * 3 / 2).min(LOOK_PAUSE_MAX);
        let found = lacking.map(|lacking| awaited.judge(job, &lacking));
        awaited.is_over = matches!(found, Ok(Look::Whole));
        found
    }

    fn take(&self, job: &JobId, of: &Stamp) -> InHand<'_> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
        let known = known.filter(|awaited| awaited.of == *of);
        let awaited = known.unwrap_or_else(|| Awaited::new(of));
        InHand { all: self, job: job.clone(), awaited: Some(awaited), is_over: false }
    }
}

/// What is awaited for a job, while it is looked at. It is kept when the look is cut: a server may go away, or
/// the lease be lost, at any moment.
struct InHand<'a> {
    all: &'a Replicas,
    job: JobId,
    awaited: Option<Awaited>,
    /// Nothing is awaited any more.
    is_over: bool,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let (false, Some(awaited)) = (self.is_over, self.awaited.take()) {
            let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(self.job.clone(), awaited);
        }
    }
}

impl std::ops::Deref for InHand<'_> {
    type Target = Awaited;

    fn deref(&self) -> &Awaited {
        self.awaited.as_ref().expect("taken at its end only")
    }
}

impl std::ops::DerefMut for InHand<'_> {
    fn deref_mut(&mut self) -> &mut Awaited {
        self.awaited.as_mut().expect("taken at its end only")
    }
}

impl Awaited {
    /// Each table of which too few replicas have every row, in words.
    async fn lacking(&mut self, job: &Job, servers: &[Server]) -> Result<Vec<String>, Failure> {
        let mut lacking = Vec::new();
        for (at, server) in servers.iter().enumerate() {
            let own = job.spec.servers.get(at).and_then(|server| server.graph.as_ref());
            let graph: &Graph = own.unwrap_or(&job.spec.graph);
            for table in graph.tables.iter().filter(|table| table.is_replicated()) {
                let now = ReplicatedTable::read(server, &table.name).await?;
                // A table that is gone is for the closing audit to tell.
                let Some(now) = now else { continue };
                lacking.extend(self.table(job.spec.replicas_wait, (at, server), &now).await?);
            }
        }
        Ok(lacking)
    }

    async fn table(
        &mut self,
        wait: ReplicasWait,
        (at, server): (usize, &Server),
        now: &ReplicatedTable,
    ) -> Result<Option<String>, Failure> {
        let (table, needed) = (&now.table, wait.needed(now.replicas()));
        if now.is_readonly {
            return Ok(Some(format!("{table} is read-only on the server that loads")));
        }
        let here = now.own_parts(server).await?;
        let key = (at, table.clone());
        let wanted = match self.wanted.get(&key) {
            // What somebody has dropped since is nowhere any more.
            Some(wanted) => wanted.still_in(&here),
            None => here,
        };
        let (mut have, mut behind) = (1, Vec::new());
        for other in &now.others {
            let missing = wanted.missing_in(&now.parts_of(server, &other.name).await?);
            if missing == 0 {
                have += 1;
                continue;
            }
            let away = if other.is_active { "" } else { " and is away" };
            behind.push(format!("{} lacks {missing} parts{away}", other.name));
        }
        self.wanted.insert(key, wanted);
        let is_short = have < needed;
        Ok(is_short.then(|| {
            let behind = behind.join(", ");
            format!(
                "every row of {table} is on {have} of the {needed} replicas asked for: {behind}"
            )
        }))
    }

    fn judge(&mut self, job: &Job, lacking: &[String]) -> Look {
        if lacking.is_empty() {
            return Look::Whole;
        }
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let before = job.reason.strip_prefix(SINCE).and_then(|rest| rest.get(..now.len()));
        let words = format!("{SINCE}{}: {}", before.unwrap_or(&now), lacking.join("; "));
        let is_due = self.noted.is_none_or(|noted| noted.elapsed() >= NOTE_PAUSE);
        if !is_due || words == job.reason {
            return Look::Lacking(None);
        }
        self.noted = Some(Instant::now());
        Look::Lacking(Some(words))
    }
}
