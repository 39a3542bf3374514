//! The world of one test: databases, keys and processes that nobody else touches.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::bed::{Bed, bin_dir};
use crate::files::{DataFile, Format, rows_sql};
use crate::object::Bucket;
use crate::program::{Finished, Program};
use crate::sql::Admin;
use crate::wait::{DEADLINE, wait_for, within};

/// A lease that lapses quickly. On a slow machine it is longer.
const LEASE_MIN: Duration = Duration::from_secs(2);
/// So many times what `longshore init` needs on a new scene: some statements, one after the other.
/// On a quiet machine that is a quarter of a second.
const LEASE_OF_INIT: u32 = 6;

/// A lease that does not lapse while a test runs: longer than [`DEADLINE`].
pub const LONG_LEASE: &str = "600s";

/// A target with a partition key, a projection and two views: one with `TO`, one with an inner table.
pub const EVENTS: &str = "
CREATE TABLE {db}.events
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64,
    PROJECTION by_kind (SELECT kind, sum(value) GROUP BY kind)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (kind, file, n);
CREATE TABLE {db}.daily (day Date, kind String, events UInt64, value UInt64)
ENGINE = SummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind);
CREATE MATERIALIZED VIEW {db}.daily_mv TO {db}.daily AS
SELECT day, kind, count() AS events, sum(value) AS value FROM {db}.events GROUP BY day, kind;
CREATE MATERIALIZED VIEW {db}.buys (file String, n UInt64, twice UInt64)
ENGINE = MergeTree ORDER BY (file, n) AS
SELECT file, n, value * 2 AS twice FROM {db}.events WHERE kind = 'buy';
";

/// The world of one test. Dropping it removes everything from the servers.
pub struct Scene {
    /// Where everything runs.
    pub bed: Bed,
    /// The server as its administrator.
    pub admin: Admin,
    /// Database of the control tables.
    pub control: String,
    /// Database of the staging tables.
    pub staging: String,
    /// Database of the targets.
    pub db: String,
    /// What the keys of the scene's files begin with.
    pub prefix: String,
    pub(crate) twin_db: String,
    pub(crate) ddl: RefCell<String>,
    pub(crate) files: RefCell<Vec<DataFile>>,
    /// Files whose rows may or may not be there.
    pub(crate) pardoned: RefCell<BTreeSet<String>>,
    bucket: Bucket,
    keys: RefCell<Vec<String>>,
    folder: TempDir,
    is_kept: bool,
    /// Lease of its programs, by the pace of the machine when the scene was made.
    lease: Duration,
}

impl Scene {
    /// A scene with an empty target database and control tables.
    pub fn new() -> Self {
        Self::on(&Bed::from_env())
    }

    /// A scene with an empty target database and control tables, on this bed.
    pub fn on(bed: &Bed) -> Self {
        Self::named(bed, "t")
    }

    /// A scene whose targets may be exchanged and replaced: the user has more rights there.
    pub fn for_swaps(bed: &Bed) -> Self {
        Self::named(bed, "x")
    }

    fn named(bed: &Bed, letter: &str) -> Self {
        let bed = bed.clone();
        let mark = &uuid::Uuid::new_v4().simple().to_string()[..10];
        let mut scene = Self {
            admin: Admin::new(&bed.clickhouse_url),
            bucket: Bucket::of(&bed),
            bed,
            control: format!("longshore_t{mark}"),
            staging: format!("longshore_s{mark}"),
            db: format!("{letter}_{mark}"),
            twin_db: format!("{letter}_{mark}_twin"),
            prefix: format!("t/{mark}"),
            ddl: RefCell::default(),
            files: RefCell::default(),
            pardoned: RefCell::default(),
            keys: RefCell::default(),
            folder: TempDir::with_prefix("longshore-test-").expect("a temporary folder"),
            is_kept: false,
            lease: LEASE_MIN,
        };
        scene.admin.run(&format!("CREATE DATABASE {} ENGINE = Atomic", scene.db));
        let began = Instant::now();
        scene.longshore(["init"]).run().ok();
        scene.lease = LEASE_MIN.max(began.elapsed() * LEASE_OF_INIT);
        scene
    }

    /// A scene with [`EVENTS`] and `files` Parquet files of `rows` rows.
    pub fn with_events(files: usize, rows: u64) -> Self {
        Self::new().and_events(files, rows)
    }

    /// The same with [`EVENTS`] and `files` Parquet files of `rows` rows.
    #[must_use]
    pub fn and_events(self, files: usize, rows: u64) -> Self {
        self.create(EVENTS);
        for file in 0..files {
            self.put_rows(&format!("events-{file:03}.parquet"), rows, Format::Parquet);
        }
        self
    }

    /// Runs statements that end in `;`, with `{db}` for the target database. A twin gets them too.
    pub fn create(&self, ddl: &str) {
        self.admin.run_all(&ddl.replace("{db}", &self.db));
        self.ddl.borrow_mut().push_str(ddl);
    }

    /// Writes a file of [`rows_sql`] under a name and remembers it as a source of the checker.
    pub fn put_rows(&self, file: &str, rows: u64, format: Format) {
        let statement = format!("{} FORMAT {}", rows_sql(file, rows), format.as_str());
        self.put_bytes(file, &self.admin.bytes(&statement));
        let (name, key) = (file.to_owned(), self.key(file));
        self.files.borrow_mut().push(DataFile { name, key, rows, format });
    }

    /// Writes any bytes under a name; the checker does not expect rows of it.
    pub fn put_bytes(&self, file: &str, bytes: &[u8]) {
        let key = self.key(file);
        self.bucket.put(&key, bytes);
        self.keys.borrow_mut().push(key);
    }

    /// Removes a file.
    pub fn delete(&self, file: &str) {
        self.bucket.delete(&self.key(file));
        self.files.borrow_mut().retain(|known| known.name != file);
    }

    /// The checker no longer expects rows of this file.
    pub fn forget(&self, file: &str) {
        self.files.borrow_mut().retain(|known| known.name != file);
    }

    /// The checker no longer expects rows of any file.
    pub fn forget_all(&self) {
        self.files.borrow_mut().clear();
    }

    /// The whole key of a file.
    pub fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.prefix)
    }

    /// Full address of files in the bucket; `glob` is taken as it is.
    pub fn url(&self, glob: &str) -> String {
        format!("{}/{}/{}", self.bed.s3_endpoint, self.bed.bucket, self.key(glob))
    }

    /// Leaves everything on the servers and in its folder, for somebody to look at.
    pub fn keep(mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.is_kept = true;
        self.folder.path().to_owned()
    }

    /// A folder that is gone after the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The coordinator.
    pub fn longshore<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        self.program("longshore").args(args)
    }

    /// A worker for one job that ends when there is nothing left to do.
    pub fn worker(&self, job: &str) -> Program {
        self.program("longshore-worker").args(["--job", job, "--exit-when-idle"])
    }

    /// A worker that waits for jobs.
    pub fn endless_worker(&self) -> Program {
        self.program("longshore-worker")
    }

    fn program(&self, bin: &str) -> Program {
        self.program_of(&bin_dir(), bin)
    }

    /// The program of another version, built in this folder, with the scene's environment.
    pub fn program_of(&self, folder: &Path, bin: &str) -> Program {
        let program = Program::new(&folder.join(bin), self.folder());
        self.settings().into_iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    /// The environment of the scene's programs, which are the first on its path.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        vec![
            ("PATH", format!("{}:{path}", bin_dir().display())),
            ("HOME", self.folder().to_string_lossy().into_owned()),
            ("CLICKHOUSE_URL", self.bed.clickhouse_url.clone()),
            ("CLICKHOUSE_USER", self.bed.user.clone()),
            ("CLICKHOUSE_PASSWORD", self.bed.password.clone()),
            ("LONGSHORE_DATABASE", self.control.clone()),
            ("LONGSHORE_STAGING_DATABASE", self.staging.clone()),
            ("LONGSHORE_LEASE", format!("{}ms", self.lease.as_millis())),
            // Most tests are about one task after the other: those about more say so.
            ("LONGSHORE_SLOTS", "1".to_owned()),
            ("LONGSHORE_LOAD_AHEAD", "false".to_owned()),
            // What `scripts/planted-bugs` wants to see found.
            ("LONGSHORE_PLANT", std::env::var("LONGSHORE_PLANT").unwrap_or_default()),
        ]
    }

    /// Plans a load of the files that match into a table of the target database.
    pub fn plan_program(&self, table: &str, glob: &str, more: &[&str]) -> Program {
        let target = format!("{}.{table}", self.db);
        // The collection holds the address of the bucket.
        let (key, collection) = (self.key(glob), self.bed.collection.clone());
        let args = ["plan", "files", "--json", "--target", &target, "--url", &key];
        self.longshore(args).args(["--named-collection", &collection]).args(more)
    }

    /// Plans a load of all files into `events`; the id of the plan.
    pub fn plan(&self, more: &[&str]) -> String {
        self.plan_into("events", "*", more)
    }

    /// Plans a load into a table; the id of the plan.
    pub fn plan_into(&self, table: &str, glob: &str, more: &[&str]) -> String {
        let planned = self.plan_program(table, glob, more).run().ok();
        planned.json()["plan_id"].as_str().expect("a plan id").to_owned()
    }

    /// Plans and submits; the id of the job.
    pub fn submit(&self, more: &[&str]) -> String {
        let id = self.plan(more);
        self.longshore(["submit", &id]).run().ok();
        id
    }

    /// Plans a load into a table and runs it with two workers to its end.
    pub fn load_into(&self, table: &str, glob: &str, more: &[&str]) -> Finished {
        let id = self.plan_into(table, glob, more);
        self.longshore(["run", &id, "--workers", "2"]).run()
    }

    /// The lease of workers of this scene, by what the machine can do.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// One worker finishes the job. Its own lease is long, so that nobody takes over from it when
    /// the machine is busy.
    pub fn finish(&self, job: &str) {
        self.worker(job).env("LONGSHORE_LEASE", LONG_LEASE).run().ok();
    }

    /// Workers go on until no task is left that one could do: all are done, failed or quarantined.
    ///
    /// # Panics
    /// When that does not come.
    pub fn finish_all(&self, job: &str) {
        wait_for("no task is left to do", || {
            self.worker(job).env("LONGSHORE_LEASE", LONG_LEASE).run();
            let tasks = self.tasks();
            let ended = ["done", "failed", "quarantined"].map(|state| tasks.count(state));
            (ended.iter().sum::<usize>() == tasks.0.len()).then_some(())
        });
    }

    /// Lets a worker finish the job, then checks everything.
    ///
    /// # Panics
    /// Naming what is not as it must be; `what` tells what had happened.
    pub fn settle(&self, job: &str, what: &str) {
        self.assert_completed(job, what);
        assert!(self.tasks().all("done"), "{what}: {:?}", self.tasks());
        self.assert_exact();
        self.assert_receipts(job);
        self.assert_clean(job);
    }

    /// Workers bring the job to its end, which is a good one.
    pub(crate) fn assert_completed(&self, job: &str, what: &str) {
        let ended = within(DEADLINE, || {
            self.finish(job);
            let state = self.status(job)["state"].clone();
            // What has ended badly will not get better.
            (state == "completed" || state == "failed" || state == "paused").then_some(state)
        });
        let state = ended.unwrap_or_default();
        assert_eq!(state, "completed", "{what}: {} {:?}", self.status(job)["reason"], self.tasks());
    }

    /// INSERT statements that the server ran for a job.
    pub fn loads(&self, job: &str) -> u64 {
        self.admin.run("SYSTEM FLUSH LOGS query_log");
        self.admin.number(&format!(
            "SELECT count() FROM system.query_log WHERE startsWith(query_id, '{job}-') \
             AND type = 'QueryStart' AND query_kind = 'Insert'"
        ))
    }

    /// Every worker counts as gone at once, however long its lease: for workers that are dead.
    pub fn sign_all_off(&self) {
        let workers = format!("{}.workers", self.control);
        self.admin.run(&format!("DELETE FROM {workers} WHERE worker_id != ''"));
    }

    /// Has somebody deleted the row of a task of this job?
    pub fn is_a_row_missing(&self, job: &str) -> bool {
        let control = &self.control;
        let count = |statement: &str| self.admin.number(statement);
        let there = count(&format!(
            "SELECT count() FROM {control}.tasks WHERE startsWith(task_id, '{job}-')"
        ));
        there < count(&format!("SELECT tasks FROM {control}.jobs WHERE job_id = '{job}'"))
    }

    /// The status as the command tells it.
    pub fn status(&self, job: &str) -> serde_json::Value {
        self.longshore(["status", job, "--json"]).run().ok().json()
    }

    /// Names of all tables and views in the staging database.
    pub fn staged(&self) -> Vec<String> {
        self.admin.column(&format!(
            "SELECT name FROM system.tables WHERE database = '{}' ORDER BY name",
            self.staging
        ))
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if std::env::var_os("LONGSHORE_TEST_KEEP").is_some() && thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("kept: {} {} {}", self.control, self.db, self.folder.path().display());
            return;
        }
        let databases = [&self.db, &self.twin_db, &self.staging, &self.control].map(Clone::clone);
        self.admin.drop_databases(&databases);
        for key in self.keys.borrow().iter().filter(|_| !thread::panicking()) {
            self.bucket.delete(key);
        }
    }
}
