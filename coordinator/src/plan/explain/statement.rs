//! The INSERT of a task as a worker sends it: made by the same code, or as the server logged it.

use std::collections::BTreeMap;
use std::path::Path;

use longshore_shared::clickhouse::{Code, Server, ServerFacts};
use longshore_shared::redact::scrub;
use longshore_shared::schema::StagingNames;
use longshore_shared::source::{Fit, LoadStatement, Reading, SourceKeys};
use longshore_shared::sql::quote_literal;
use longshore_shared::task::{Chunk, Epoch, Job, Mode, Task, TaskState};
use serde::Serialize;

use crate::ui::error::{Error, Kind, Report};

/// Loads at a time that are assumed of a load that nobody has sent yet: those of `longshore run`.
const LOADS_ASSUMED: u64 = 2;

/// Where a statement is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    /// It is what a worker would send next.
    Plan,
    /// It was sent.
    QueryLog,
}

/// A statement for people: no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Statement {
    /// Its id on the server.
    pub(crate) query_id: String,
    /// Was it sent, or would it be?
    pub(crate) from: From,
    pub(crate) text: String,
    /// Settings that are sent along.
    pub(crate) settings: BTreeMap<String, String>,
}

/// Keys of the store as a worker reads them: only to be hidden in what is shown.
pub(crate) fn keys(file: Option<&Path>) -> Result<SourceKeys, Error> {
    let keys = SourceKeys::load(file, |name| std::env::var(name).ok());
    keys.map_err(|error| Report::new(Kind::Usage, error.to_string()).into())
}

/// The load of the task's next attempt, or of the one that goes on; none for a task that loads nothing.
pub(crate) async fn of_task(
    server: &Server,
    job: &Job,
    task: &Task,
    keys: &SourceKeys,
) -> Result<Option<Statement>, Error> {
    if job.is_last(&task.id) {
        return Ok(None);
    }
    let facts = match server.facts().await {
        Ok(facts) => Some(facts),
        // Who only looks may not be allowed to: what depends on it is left out.
        Err(failure) if failure.code() == Some(Code::ACCESS_DENIED) => None,
        Err(failure) => return Err(failure.into()),
    };
    let chunk = Chunk::decode(&task.chunk)?;
    Ok(Some(made(server.staging(), job, task, &chunk, keys, facts.as_ref())?))
}

fn made(
    staging: &str,
    job: &Job,
    task: &Task,
    chunk: &Chunk,
    keys: &SourceKeys,
    facts: Option<&ServerFacts>,
) -> Result<Statement, Error> {
    // As a worker sees it: the tables, and the share of the rows, of the server that it is for.
    let spec = &job.spec.on(job.spec.shard(&task.id));
    let foreign = |_| Report::new(Kind::Error, format!("task {} is not of its job", task.id));
    let reading = Reading::of(spec, chunk, keys).map_err(foreign)?;
    let (epoch, attempts) = attempt(task);
    let load = match spec.mode {
        Mode::Direct => LoadStatement::direct(spec, &reading, &task.id),
        Mode::Staged => {
            let position = spec.graph.position(spec.load(chunk).target).unwrap_or_default();
            let names = StagingNames::of_task(staging, &task.id, epoch);
            let twin = names.table(&spec.graph, position);
            let loads = LOADS_ASSUMED.min(job.tasks.into());
            let fit = facts.map(|facts| Fit::of(facts, attempts, loads));
            LoadStatement::staged(spec, chunk, &reading, &twin, fit)
        }
    };
    Ok(Statement {
        query_id: task.id.query(epoch, "load").to_string(),
        from: From::Plan,
        text: scrub(&load.text),
        settings: load.settings.into_iter().map(|(name, value)| (name, scrub(&value))).collect(),
    })
}

/// Epoch and number of the attempt whose load is shown.
fn attempt(task: &Task) -> (Epoch, u32) {
    let progress = &task.progress;
    match &progress.state {
        // The next claim makes both one more.
        TaskState::Pending { .. } => (progress.epoch.next(), progress.attempts + 1),
        _ => (progress.epoch, progress.attempts),
    }
}

impl Statement {
    /// As text: the statement, then its settings.
    pub(crate) fn words(&self, chars_max: usize) -> String {
        let mut text: String = self.text.chars().take(chars_max).collect();
        if text.len() < self.text.len() {
            text = format!("{text}…\n(--json shows all of it)");
        }
        if !self.settings.is_empty() {
            let pairs: Vec<String> = self
                .settings
                .iter()
                .map(|(name, value)| format!("{name} = {}", literal(value)))
                .collect();
            text = format!("{text}\nSETTINGS {}", pairs.join(", "));
        }
        text
    }
}

/// As it stands in SQL, so that the whole can be pasted.
fn literal(value: &str) -> String {
    if value.parse::<i64>().is_ok() { value.to_owned() } else { quote_literal(value) }
}

#[cfg(test)]
mod tests {
    use longshore_shared::task::JobState;

    use super::*;
    use crate::fixture;

    #[test]
    fn the_statement_of_the_next_attempt() {
        let facts = ServerFacts {
            version: "26.7".into(),
            timezone: "UTC".into(),
            server_uuid: String::new(),
            user: "longshore".into(),
            threads: 8,
            memory_bytes: 32 << 30,
            uptime_secs: 0,
        };
        let task = fixture::task(TaskState::Pending { delay_ms: 0, error: String::new() });
        let chunk = Chunk::decode(&task.chunk).unwrap();
        let job = fixture::job(JobState::Running);
        let keys = SourceKeys::default();
        let of = |facts| made("longshore_staging", &job, &task, &chunk, &keys, facts).unwrap();
        let statement = of(Some(&facts));
        insta::assert_snapshot!(statement.query_id, @"0123456789abcdef-0000007-4-load");
        insta::assert_snapshot!(statement.text, @"INSERT INTO `longshore_staging`.`0123456789abcdef_0000007_e4_0_events` (`id`, `day`) SELECT id, day FROM (SELECT *, _path, _file, _size, _time FROM s3(`lake`, url = 'http://store:9000/lake/events/c.parquet', format = 'Parquet', structure = 'id UInt64, day Date') UNION ALL SELECT *, _path, _file, _size, _time FROM s3(`lake`, url = 'http://store:9000/lake/events/a?b.parquet', format = 'Parquet', structure = 'id UInt64, day Date') WHERE _path = 'lake/events/a b.parquet') WHERE id > 0");
        let sent = |name: &str| statement.settings[name].as_str();
        // The third attempt of two loads at a time on eight cores.
        assert_eq!(sent("max_insert_threads"), "1");
        assert_eq!(sent("min_insert_block_size_bytes"), "715827882");
        // The last of a name holds: what the user gave.
        assert_eq!(sent("max_threads"), "4");
        assert_eq!(sent("insert_deduplicate"), "0");
        assert!(!of(None).settings.contains_key("max_insert_threads"), "nothing is made up");
        let words = statement.words(20);
        assert!(
            words.starts_with("INSERT INTO `longsho…\n(--json shows all of it)\nSETTINGS "),
            "{words}"
        );
        assert!(
            words.contains("read_overflow_mode = 'throw'"),
            "a word is quoted, so that all can be pasted"
        );
        assert!(words.contains("insert_deduplicate = 0,"), "a number is not");
    }
}
