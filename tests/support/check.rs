//! The checker: compares what is in the source files with what is in the targets, and nothing else.
//!
//! It asks neither Longshore's tables nor its programs. Files are read one at a time by the server
//! as its administrator, under a key in which every unusual character is a one-character wildcard
//! and `_path` picks the one file: a rule of its own, not the product's.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{DataFile, STRUCTURE};
use crate::scene::Scene;
use crate::sql::{literal, name};

const COLUMNS: &str = "file, n, day, kind, value, checksum";

/// What a set of rows amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    /// Number of different (row number, checksum).
    pub distinct: u64,
    /// Sum of the rows' hashes.
    pub sum: u64,
    /// Rows whose checksum is not that of the rest of the row.
    pub changed: u64,
}

/// A table compared with the files.
#[derive(Debug, Default)]
pub struct Audit {
    /// Rows in the table.
    pub rows: u64,
    /// Rows of the files that are not in the table.
    pub lost: u64,
    /// Rows that are in the table once more than in the files.
    pub duplicated: u64,
    /// Each file that differs.
    pub wrong: Vec<String>,
}

impl Scene {
    /// Every row of every file is in `events` once, and both views have exactly their share.
    ///
    /// # Panics
    /// Naming the file or view that differs.
    pub fn assert_exact(&self) {
        self.assert_rows("events");
        for view in ["daily_mv", "buys"] {
            self.assert_view(view);
        }
    }

    /// Every row of every file is in the table once, and none that belongs to no file.
    ///
    /// # Panics
    /// Naming the files that differ.
    pub fn assert_rows(&self, table: &str) {
        let wrong = self.audit_rows(table).wrong;
        assert!(wrong.is_empty(), "rows of {table} differ from the source:\n{}", wrong.join("\n"));
    }

    /// Every row of these files is in the table once; rows of `open` files may be there, of others not.
    ///
    /// # Panics
    /// Naming the files that differ.
    pub fn assert_files(&self, table: &str, whole: &BTreeSet<String>, open: &BTreeSet<String>) {
        let mut found = self.digests(&format!("{}.{}", self.db, name(table)));
        found.retain(|file, _| !open.contains(file));
        let files = self.files.borrow();
        let mut wrong = Vec::new();
        for file in files.iter().filter(|file| whole.contains(&file.name)) {
            let (source, target) = (self.digest_of_file(file), found.remove(&file.name));
            if Some(source) != target {
                wrong.push(format!("{}: {source:?}, found {target:?}", file.name));
            }
        }
        wrong.extend(found.keys().map(|file| format!("{file}: no task of it is done")));
        assert!(wrong.is_empty(), "rows of {table} differ from the tasks:\n{}", wrong.join("\n"));
    }

    /// Compares a table with the files, one by one, and counts what is lost and what is there twice.
    pub fn audit_rows(&self, table: &str) -> Audit {
        let expected: BTreeMap<String, Digest> = self
            .files
            .borrow()
            .iter()
            .filter(|file| file.rows > 0)
            .map(|file| (file.name.clone(), self.digest_of_file(file)))
            .collect();
        let mut found = self.digests(&format!("{}.{}", self.db, name(table)));
        found.retain(|file, _| !self.pardoned.borrow().contains(file));
        let mut audit = Audit::default();
        let none = Digest::default();
        let strangers = found.keys().filter(|file| !expected.contains_key(*file));
        for file in expected.keys().chain(strangers) {
            let source = expected.get(file).unwrap_or(&none);
            let target = found.get(file).unwrap_or(&none);
            audit.rows += target.rows;
            audit.lost += source.distinct.saturating_sub(target.distinct);
            audit.duplicated += target.rows.saturating_sub(target.distinct)
                + target.distinct.saturating_sub(source.distinct);
            if source != target {
                audit.wrong.push(format!("{file}: {source:?}, found {target:?}"));
            }
        }
        audit
    }

    /// The checker expects nothing of this file, and does not mind what is there of it.
    pub fn pardon(&self, file: &str) {
        self.forget(file);
        self.pardoned.borrow_mut().insert(file.to_owned());
    }

    /// A view whose target holds states of aggregates: its merged results are those of its query
    /// over the whole table that it reads. `shown` are the columns that can be compared.
    ///
    /// # Panics
    /// When they differ.
    pub fn assert_states(&self, view: &str, keys: &str, shown: &str) {
        let select = self.select_of(view);
        let target = format!("{}.{}", self.db, name(view));
        let [found, expected] = [target, format!("({select})")].map(|from| {
            self.admin.rows(&format!(
                "SELECT {keys}, {shown} FROM {from} GROUP BY {keys} ORDER BY {keys}"
            ))
        });
        assert_eq!(found, expected, "the target of {view} differs from its query");
    }

    fn digest_of_file(&self, file: &DataFile) -> Digest {
        let digests = self.digests(&self.read_file(file));
        let digest = digests.get(&file.name).copied().unwrap_or_default();
        // The checker must see what the test wrote, or it would prove nothing.
        assert_eq!(digests.len(), 1, "{} holds rows of one file", file.key);
        assert_eq!((digest.rows, digest.distinct), (file.rows, file.rows), "{}", file.key);
        assert_eq!(digest.changed, 0, "{}", file.key);
        digest
    }

    /// A table expression of the rows in one file.
    pub(crate) fn read_file(&self, file: &DataFile) -> String {
        let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "-._/".contains(symbol);
        let key: String =
            file.key.chars().map(|symbol| if plain(symbol) { symbol } else { '?' }).collect();
        format!(
            "(SELECT {COLUMNS} FROM s3({}, {}, {}, {}, {}) WHERE _path = {})",
            literal(&format!("{}/{}/{key}", self.bed.s3_endpoint, self.bed.bucket)),
            literal(&self.bed.access_key_id),
            literal(&self.bed.secret_access_key),
            literal(file.format.as_str()),
            literal(STRUCTURE),
            literal(&format!("{}/{}", self.bed.bucket, file.key)),
        )
    }

    /// Each row's checksum is made again here, from the rest of the row.
    fn digests(&self, from: &str) -> BTreeMap<String, Digest> {
        let rows = self.admin.rows(&format!(
            "SELECT file, count(), uniqExact(n, checksum), sum(cityHash64({COLUMNS})), \
             countIf(checksum != cityHash64(file, n, day, toString(kind), value)) \
             FROM {from} GROUP BY file"
        ));
        let number = |text: &str| text.parse().expect("a number");
        rows.into_iter()
            .map(|row| {
                let [file, rows, distinct, sum, changed] = row.try_into().expect("five columns");
                let digest = Digest {
                    rows: number(&rows),
                    distinct: number(&distinct),
                    sum: number(&sum),
                    changed: number(&changed),
                };
                (file, digest)
            })
            .collect()
    }

    /// The query of a view.
    pub(crate) fn select_of(&self, view: &str) -> String {
        self.admin.run(&format!(
            "SELECT as_select FROM system.tables WHERE database = '{}' AND name = {} FORMAT TSVRaw",
            self.db,
            literal(view)
        ))
    }

    /// The view's target holds what the view's query makes of the whole table it reads.
    ///
    /// Only for views whose result does not depend on where a block ends.
    ///
    /// # Panics
    /// When it differs.
    pub fn assert_view(&self, view: &str) {
        let select = self.select_of(view);
        let sum = "count() AS c, sum(cityHash64(*)) AS s";
        let expected = self.admin.run(&format!("SELECT {sum} FROM ({select})"));
        let target = format!("{}.{}", self.db, name(view));
        let found = self.admin.run(&format!("SELECT {sum} FROM {target} SETTINGS final = 1"));
        assert_eq!(found, expected, "the target of {view} differs from its query");
    }

    /// Makes an identical twin of the scene's tables and views in a database of its own, and lets
    /// the server insert the same files directly.
    pub fn make_twin(&self, table: &str, columns: &str) {
        self.admin.run(&format!("CREATE DATABASE {} ENGINE = Atomic", self.twin_db));
        self.admin.run_all(&self.ddl.borrow().replace("{db}", &self.twin_db));
        for file in self.files.borrow().iter() {
            self.admin.run(&format!(
                "INSERT INTO {}.{} ({columns}) SELECT {columns} FROM {}",
                self.twin_db,
                name(table),
                self.read_file(file)
            ));
        }
    }

    /// Every table of the scene and of its twin holds the same rows; the names of those compared.
    ///
    /// # Panics
    /// Naming the first that differs.
    pub fn assert_like_twin(&self) -> Vec<String> {
        let tables = self.admin.column(&format!(
            "SELECT name FROM system.tables WHERE database = '{}' AND name NOT LIKE '.inner%' \
             AND engine NOT IN ('View', 'Null') AND NOT (engine = 'MaterializedView' AND create_table_query LIKE '% TO %') \
             ORDER BY name",
            self.db
        ));
        for table in &tables {
            let expected = self.whole(&self.twin_db, table);
            assert_eq!(self.whole(&self.db, table), expected, "{table} differs from its twin");
        }
        tables
    }

    /// Count and hash of a whole table, with every column that can be read.
    pub fn whole(&self, database: &str, table: &str) -> Vec<Vec<String>> {
        let columns = self.admin.rows(&format!(
            "SELECT name, type FROM system.columns WHERE database = {} AND table = {} \
             AND default_kind != 'EPHEMERAL' ORDER BY position",
            literal(database),
            literal(table)
        ));
        let shown: Vec<String> = columns
            .iter()
            .map(|column| {
                let quoted = name(&column[0]);
                let state = column[1].starts_with("AggregateFunction");
                if state { format!("finalizeAggregation({quoted})") } else { quoted }
            })
            .collect();
        self.admin.rows(&format!(
            "SELECT count(), sum(cityHash64(toString(tuple({})))) FROM {}.{} SETTINGS final = 1",
            shown.join(", "),
            name(database),
            name(table)
        ))
    }

    /// Nothing of the job is left behind: no staging table and no query.
    ///
    /// # Panics
    /// Naming what is left.
    pub fn assert_clean(&self, job: &str) {
        assert_eq!(self.staged(), Vec::<String>::new(), "staging tables are left");
        let running = self.admin.column(&format!(
            "SELECT query_id FROM system.processes WHERE startsWith(query_id, '{job}')"
        ));
        assert_eq!(running, Vec::<String>::new(), "queries still run");
    }

    /// The receipts of `events` and `buys` add up to the rows that are there. (`daily` merges rows.)
    ///
    /// # Panics
    /// When they do not.
    pub fn assert_receipts(&self, job: &str) {
        let inner = self.admin.run(&format!(
            "SELECT uuid FROM system.tables WHERE database = '{}' AND name = 'buys'",
            self.db
        ));
        for (table, target) in [("events", ".events"), ("buys", &inner)] {
            let receipts = self.admin.number(&format!(
                "SELECT sum(rows_staged) FROM {}.receipts FINAL WHERE job_id = '{job}' \
                 AND position(target, '{target}') > 0",
                self.control
            ));
            let rows = self.admin.number(&format!("SELECT count() FROM {}.{table}", self.db));
            assert_eq!(receipts, rows, "receipts of {table}");
        }
    }
}
