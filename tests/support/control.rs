//! The control tables as they are, read past Longshore's own programs.

use std::collections::BTreeMap;

use crate::scene::Scene;
use crate::sql::{literal, name};

/// What a test looks at in a task's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its key.
    pub id: String,
    /// Stored state.
    pub state: String,
    /// Fencing number.
    pub epoch: u64,
    /// Owner.
    pub worker: String,
    /// Attempts begun.
    pub attempts: u64,
    /// Deaths of owners.
    pub deaths: u64,
    /// Rows published.
    pub rows: u64,
    /// Cause of the last failure.
    pub error: String,
}

impl Scene {
    /// The tasks as they are.
    pub fn tasks(&self) -> Tasks {
        Tasks::read(self)
    }

    /// The tasks as they are; none while the server or its Keeper is away.
    pub fn try_tasks(&self) -> Option<Tasks> {
        Tasks::try_read(self).ok()
    }

    /// All rows of all control tables, and every statement that Longshore sent: the place and the
    /// text.
    pub fn everything_written(&self) -> Vec<(String, String)> {
        self.admin.run("SYSTEM FLUSH LOGS query_log");
        let tables = self.admin.column(&format!(
            "SELECT name FROM system.tables WHERE database = {}",
            literal(&self.control)
        ));
        let mut places: Vec<(String, String)> = tables
            .iter()
            .map(|table| {
                let whole = format!("{}.{}", name(&self.control), name(table));
                let rows = self.admin.bytes(&format!("SELECT * FROM {whole} FORMAT RowBinary"));
                (format!("table {table}"), String::from_utf8_lossy(&rows).into_owned())
            })
            .collect();
        let user = literal(&self.bed.user);
        let log = format!("SELECT * FROM system.query_log WHERE user = {user} FORMAT JSONEachRow");
        let rows = self.admin.bytes(&log);
        places.push(("query_log".into(), String::from_utf8_lossy(&rows).into_owned()));
        places
    }
}

/// All tasks of a scene's jobs, in order of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tasks(pub Vec<TaskRow>);

impl Tasks {
    pub(crate) fn read(scene: &Scene) -> Self {
        Self::try_read(scene).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_read(scene: &Scene) -> Result<Self, String> {
        let rows = scene.admin.try_rows(&format!(
            "SELECT task_id, state, epoch, worker, attempts, deaths, rows, error FROM {}.tasks \
             ORDER BY task_id",
            name(&scene.control)
        ))?;
        Ok(Self::of_rows(&rows))
    }

    fn of_rows(rows: &[Vec<String>]) -> Self {
        let number = |text: &String| text.parse().expect("a number");
        Self(
            rows.iter()
                .map(|row| TaskRow {
                    id: row[0].clone(),
                    state: row[1].clone(),
                    epoch: number(&row[2]),
                    worker: row[3].clone(),
                    attempts: number(&row[4]),
                    deaths: number(&row[5]),
                    rows: number(&row[6]),
                    error: row[7].clone(),
                })
                .collect(),
        )
    }

    /// Number of tasks in each state.
    pub fn states(&self) -> BTreeMap<&str, usize> {
        let mut states = BTreeMap::new();
        for task in &self.0 {
            *states.entry(task.state.as_str()).or_default() += 1;
        }
        states
    }

    /// Number of tasks in one state.
    pub fn count(&self, state: &str) -> usize {
        self.0.iter().filter(|task| task.state == state).count()
    }

    /// Is every task in this state?
    pub fn all(&self, state: &str) -> bool {
        !self.0.is_empty() && self.count(state) == self.0.len()
    }
}
