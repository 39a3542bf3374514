//! What must not be left when a job is over: rows that belong to nothing, and secrets anywhere.

use std::fs;

use longshore_shared::task::Chunk;

use crate::scene::Scene;
use crate::sql::{literal, name};
use crate::wait::within;

/// A worker that was killed right before its job ended still looks alive for one lease.
const LAPSE_MAX: std::time::Duration = std::time::Duration::from_secs(10);

impl Scene {
    /// Names of the files that a task loads.
    ///
    /// # Panics
    /// When the task is not there or cannot be read.
    pub fn files_of_task(&self, task: &str) -> Vec<String> {
        let control = name(&self.control);
        let hex = self.admin.run(&format!(
            "SELECT hex(chunk) FROM {control}.tasks WHERE task_id = {}",
            literal(task)
        ));
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex digits"))
            .collect();
        let chunk = Chunk::decode(&bytes).expect("a chunk");
        let known = self.files.borrow();
        let is_its = |key: &str| chunk.files().iter().any(|file| file.path.ends_with(key));
        known.iter().filter(|file| is_its(&file.key)).map(|file| file.name.clone()).collect()
    }

    /// Rows of the control tables that belong to nothing: tasks and cursors of unknown jobs, and
    /// workers that neither signed off nor lapse.
    pub fn orphans(&self) -> Vec<String> {
        let control = name(&self.control);
        let mut found = Vec::new();
        let jobs = format!("(SELECT job_id FROM {control}.jobs)");
        found.extend(self.admin.column(&format!(
            "SELECT 'a task of no job: ' || task_id FROM {control}.tasks \
             WHERE splitByChar('-', task_id)[1] NOT IN {jobs}"
        )));
        found.extend(self.admin.column(&format!(
            "SELECT 'a cursor of no job: ' || job_id FROM {control}.cursors WHERE job_id NOT IN {jobs}"
        )));
        found.extend(self.admin.column(&format!(
            "SELECT 'a job without all of its tasks: ' || job_id FROM \
             (SELECT job_id, tasks FROM {control}.jobs) AS j LEFT JOIN \
             (SELECT splitByChar('-', task_id)[1] AS job_id, count() AS there FROM {control}.tasks GROUP BY job_id) AS t \
             USING job_id WHERE tasks != there"
        )));
        let alive = || {
            self.admin.column(&format!(
                "SELECT 'a worker that looks alive: ' || worker_id FROM {control}.workers \
                 WHERE heartbeat + toIntervalMillisecond(lease_ms) >= now64(3)"
            ))
        };
        if within(LAPSE_MAX, || alive().is_empty().then_some(())).is_none() {
            found.extend(alive());
        }
        found
    }

    /// Places where a secret of the bed can be read: control tables, the programs' words, command
    /// lines of processes, and texts of the queries that Longshore sent.
    pub fn secrets_seen(&self) -> Vec<String> {
        let secrets = [self.bed.password.as_str(), self.bed.secret_access_key.as_str()];
        let mut found = Vec::new();
        let mut look = |place: String, text: &str| {
            if secrets.iter().any(|secret| text.contains(secret)) {
                found.push(format!("a secret is in {place}"));
            }
        };
        for table in ["meta", "jobs", "tasks", "cursors", "workers", "receipts", "attempts"] {
            let rows = format!("SELECT * FROM {}.{table} FORMAT TSVRaw", name(&self.control));
            look(format!("table {table}"), &String::from_utf8_lossy(&self.admin.bytes(&rows)));
        }
        let queries = "SELECT query FROM system.processes WHERE user != 'default' FORMAT TSVRaw";
        look("a running query".to_owned(), &self.admin.run(queries));
        let log =
            "SELECT query, exception FROM system.query_log WHERE user != 'default' FORMAT TSVRaw";
        if self.admin.try_run("SYSTEM FLUSH LOGS query_log").is_ok() {
            look("the query log".to_owned(), &self.admin.try_run(log).unwrap_or_default());
        }
        let words = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        for file in words {
            let bytes = fs::read(file.path()).unwrap_or_default();
            look(format!("{}", file.path().display()), &String::from_utf8_lossy(&bytes));
        }
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            // A process that has just ended has nothing to show.
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            look(format!("{}/cmdline", process.path().display()), &String::from_utf8_lossy(&line));
        }
        found
    }
}
