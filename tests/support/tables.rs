//! Tables as sources: the rows of the scene's files in a table too, so that the checker's files say
//! what a copy of it must hold.

use crate::files::rows_sql;
use crate::program::Program;
use crate::scene::Scene;
use crate::sql::{literal, name};

/// A source with the rows of the files, cut into partitions by month.
pub const SOURCE: &str = "
CREATE TABLE {db}.source
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (file, n) SETTINGS index_granularity = 512;
";

impl Scene {
    /// [`crate::EVENTS`] as the target and [`SOURCE`] with `inserts` times `rows` rows.
    #[must_use]
    pub fn with_source(inserts: usize, rows: u64) -> Self {
        let scene = Self::with_events(0, 0);
        scene.create(SOURCE);
        for insert in 0..inserts {
            scene.put_source(&format!("insert-{insert:03}.parquet"), rows);
        }
        scene
    }

    /// Rows that a table `source` gets, and the checker expects.
    pub fn put_source(&self, file: &str, rows: u64) {
        self.put_rows(file, rows, crate::Format::Parquet);
        self.put_into("source", file, rows);
    }

    /// Rows that a table gets; what the checker expects stays as it is.
    pub fn put_into(&self, table: &str, file: &str, rows: u64) {
        let table = name(table);
        self.admin.run(&format!("INSERT INTO {}.{table} {}", self.db, rows_sql(file, rows)));
    }

    /// Plans a copy of a table of the target database into another.
    pub fn copy_program(&self, from: &str, target: &str, more: &[&str]) -> Program {
        let (from, target) = (format!("{}.{from}", self.db), format!("{}.{target}", self.db));
        let args = ["plan", "copy", "--json", "--from", &from, "--target", &target];
        self.longshore(args).args(more)
    }

    /// Plans a copy of `source` into `events`; the id of the plan.
    ///
    /// # Panics
    /// When it cannot be planned.
    pub fn plan_copy(&self, more: &[&str]) -> String {
        let planned = self.copy_program("source", "events", more).run().ok();
        planned.json()["plan_id"].as_str().expect("a plan id").to_owned()
    }

    /// Plans and submits a copy of `source` into `events`; the id of the job.
    pub fn submit_copy(&self, more: &[&str]) -> String {
        let id = self.plan_copy(more);
        self.longshore(["submit", &id]).run().ok();
        id
    }

    /// Plans a replay of views of the target database.
    pub fn replay_program(&self, views: &[&str], more: &[&str]) -> Program {
        let mut args = vec!["plan".to_owned(), "replay".to_owned(), "--json".to_owned()];
        for view in views {
            args.extend(["--view".to_owned(), format!("{}.{}", self.db, name(view))]);
        }
        self.longshore(args).args(more)
    }

    /// Plans a replay and runs it with two workers to its end; the plan.
    ///
    /// # Panics
    /// When it cannot be planned or does not end well.
    pub fn replay(&self, views: &[&str], more: &[&str]) -> serde_json::Value {
        let plan = self.replay_program(views, more).run().ok().json();
        let id = plan["plan_id"].as_str().expect("a plan id");
        self.longshore(["run", id, "--workers", "2"]).run().ok();
        self.assert_clean(id);
        plan
    }

    /// A target holds what one INSERT of each view's whole query would have put into it. `query` is
    /// what is compared, with `{t}` for the table.
    ///
    /// # Panics
    /// When it differs.
    pub fn assert_replayed(&self, views: &[&str], target: &str, query: &str) {
        let (db, target) = (&self.db, name(target));
        self.admin.run(&format!("DROP TABLE IF EXISTS {db}.oracle SYNC"));
        self.admin.run(&format!("CREATE TABLE {db}.oracle AS {db}.{target}"));
        for view in views {
            let columns = self.admin.column(&format!(
                "SELECT name FROM system.columns WHERE database = '{db}' AND table = {} ORDER BY position",
                literal(view)
            ));
            let columns: Vec<String> = columns.iter().map(|column| name(column)).collect();
            let (columns, select) = (columns.join(", "), self.select_of(view));
            self.admin.run(&format!(
                "INSERT INTO {db}.oracle ({columns}) SELECT {columns} FROM ({select})"
            ));
        }
        let answer = |table: &str| self.admin.rows(&query.replace("{t}", &format!("{db}.{table}")));
        let (found, expected) = (answer(&target), answer("oracle"));
        assert!(!expected.is_empty(), "the oracle holds rows");
        assert_eq!(found, expected, "{target} differs from one INSERT of {views:?}");
    }
}
