//! Jobs that publish at their end: what must be under the target's name, in the kept table, and in
//! the views.

use crate::files::{Format, rows_sql};
use crate::scene::{EVENTS, Scene};

/// Rows in the months that the files have too.
const OLD_ROWS: u64 = 400;
/// Rows in a month of their own.
const EXTRA_ROWS: u64 = 50;

impl Scene {
    /// [`EVENTS`] with old rows, and `files` files that are to take their place.
    #[must_use]
    pub fn with_old_events(self, files: usize, rows: u64) -> Self {
        self.create(EVENTS);
        let events = format!("{}.events", self.db);
        self.admin.run(&format!("INSERT INTO {events} {}", rows_sql("old", OLD_ROWS)));
        self.admin.run(&format!(
            "INSERT INTO {events} SELECT file, n, toDate('2023-06-01') AS day, kind, value, checksum FROM ({})",
            rows_sql("extra", EXTRA_ROWS)
        ));
        for file in 0..files {
            self.put_rows(&format!("events-{file:03}.parquet"), rows, Format::Parquet);
        }
        self
    }

    /// Rows of one file in a table.
    pub fn rows_of(&self, table: &str, file: &str) -> u64 {
        self.admin.number(&format!(
            "SELECT count() FROM {}.{} WHERE file = '{file}'",
            self.db,
            crate::sql::name(table)
        ))
    }

    /// Tables of the target and staging databases that are a shadow of some job, or its old table.
    pub fn shadows(&self) -> Vec<String> {
        self.admin.column(&format!(
            "SELECT database || '.' || name FROM system.tables WHERE database IN ('{}', '{}') \
             AND match(name, '_shadow_[0-9a-f]') ORDER BY name",
            self.db, self.staging
        ))
    }

    /// The target is untouched: the old rows and nothing else, nothing kept.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_untouched(&self) {
        let rows = self.admin.number(&format!("SELECT count() FROM {}.events", self.db));
        assert_eq!(rows, OLD_ROWS + EXTRA_ROWS, "the target was touched");
        let kept = self.admin.column(&format!(
            "SELECT name FROM system.tables WHERE database = '{}' AND position(name, '_before_') > 0",
            self.db
        ));
        assert_eq!(kept, Vec::<String>::new(), "an old table is kept");
    }

    /// Lets a worker finish the job, then checks everything.
    ///
    /// # Panics
    /// Naming what is not as it must be; `what` tells what had happened.
    pub fn settle_swap(&self, job: &str, mode: &str, what: &str) {
        self.assert_completed(job, what);
        assert!(self.tasks().all("done"), "{what}: {:?}", self.tasks());
        self.assert_swapped(job, mode, what);
        self.assert_clean(job);
    }

    /// The rows of the files and no old ones are in the target, the old ones where they belong,
    /// and the views go on.
    ///
    /// # Panics
    /// Naming what is not as it must be.
    pub fn assert_swapped(&self, job: &str, mode: &str, what: &str) {
        assert_eq!(self.shadows(), Vec::<String>::new(), "{what}: a shadow is left");
        let extra = if mode == "replace" { EXTRA_ROWS } else { 0 };
        assert_eq!(
            self.rows_of("events", "extra"),
            extra,
            "{what}: a partition that was not loaded"
        );
        assert_eq!(self.rows_of("events", "old"), 0, "{what}: old rows are there still");
        self.pardon("extra");
        self.pardon("probe");
        self.assert_rows("events");
        if mode == "exchange" {
            let kept = format!("events_before_{job}");
            assert_eq!(self.rows_of(&kept, "old"), OLD_ROWS, "{what}: rows of the kept table");
            assert_eq!(self.rows_of(&kept, "extra"), EXTRA_ROWS, "{what}: rows of the kept table");
            let rows = self.admin.number(&format!("SELECT count() FROM {}.{kept}", self.db));
            assert_eq!(rows, OLD_ROWS + EXTRA_ROWS, "{what}: the kept table has others too");
        }
        self.assert_views_fire(what);
    }

    /// A row that is inserted under the target's name reaches both views, once.
    fn assert_views_fire(&self, what: &str) {
        let seen = || {
            let daily = format!("SELECT sum(events) FROM {}.daily", self.db);
            let buys = format!("SELECT count() FROM {}.buys", self.db);
            (self.admin.number(&daily), self.admin.number(&buys))
        };
        let before = seen();
        self.admin.run(&format!(
            "INSERT INTO {}.events (file, n, day, kind) VALUES ('probe', 0, '2024-02-02', 'buy')",
            self.db
        ));
        let after = seen();
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{what}: the views of the target");
    }
}
