//! Tables of every kind of key are cut so that each row is in one slice and no slice is too large.

use std::time::Duration;

use longshore_shared::clickhouse::Server;
use longshore_shared::task::TableName;
use longshore_tests::{Admin, Bed};
use tokio::runtime::Runtime;

use crate::cut_check::{Worth, check};
use crate::planner::{Cut, CutOptions, Unit, cut};
use crate::{server, snapshot};

/// A database for tables to cut.
pub(crate) struct Yard {
    pub(crate) admin: Admin,
    pub(crate) server: Server,
    pub(crate) runtime: Runtime,
    pub(crate) database: String,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let bed = Bed::from_env();
        let admin = Admin::new(&bed.clickhouse_url);
        let database = format!("t_{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        admin.run(&format!("CREATE DATABASE {database} ENGINE = Atomic"));
        // Snapshots are made beside the staging tables of other tests.
        admin.run("CREATE DATABASE IF NOT EXISTS longshore_staging ENGINE = Atomic");
        let runtime = Runtime::new().expect("a runtime");
        Self { admin, server: server(&bed), runtime, database }
    }

    pub(crate) fn table(&self, table: &str) -> TableName {
        TableName { database: self.database.clone(), table: table.to_owned() }
    }

    pub(crate) fn run(&self, statement: &str) {
        self.admin.run(&statement.replace("{}", &self.database));
    }

    pub(crate) fn cut(&self, table: &str, options: &CutOptions) -> (Cut, Worth) {
        self.cut_about(table, options, 1.0)
    }

    pub(crate) fn cut_about(&self, table: &str, options: &CutOptions, slack: f64) -> (Cut, Worth) {
        let table = self.table(table);
        let made = self.runtime.block_on(cut(&self.server, &table, options)).expect("a cut");
        let worth = check(&self.admin, &table, &made, options, slack);
        (made, worth)
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run("DROP DATABASE {} SYNC");
        }
    }
}

pub(crate) fn options(budget_bytes: u64) -> CutOptions {
    CutOptions {
        budget_bytes,
        unit: Unit::Uncompressed,
        partitions_max: 100,
        has_snapshot: false,
        align: None,
        partitions_apart: false,
        partitions: None,
    }
}

#[test]
fn a_numeric_key_is_cut_evenly() {
    let yard = Yard::new();
    yard.run("CREATE TABLE {}.t (a UInt32, b UInt64) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity = 256");
    for start in [0, 1, 2] {
        yard.run(&format!(
            "INSERT INTO {{}}.t SELECT number * 3 + {start}, number FROM numbers(100000)"
        ));
    }
    let (made, worth) = yard.cut("t", &options(300_000));
    assert_eq!((worth.rows, made.bytes), (300_000, 3_600_000));
    assert!(made.is_bounded && made.over_budget == 0 && !made.needs_snapshot);
    assert!(worth.fill(300_000) > 0.9, "{}", worth.fill(300_000));
    // Each slice reads its own granules and those across its ends, one a part.
    let own = worth.granules_all.div_ceil(made.slices.len() as u64);
    assert!(worth.granules.iter().all(|read| *read <= own + 9), "{own}: {:?}", worth.granules);
}

#[test]
fn half_a_million_granules_are_cut_from_their_index() {
    let yard = Yard::new();
    yard.run(
        "CREATE TABLE {}.t (a UInt32, s String, ts DateTime) ENGINE = MergeTree \
         PARTITION BY intDiv(a, 25) ORDER BY (a, s, ts) SETTINGS index_granularity = 10",
    );
    yard.run(
        "INSERT INTO {}.t SELECT number % 100, toString(cityHash64(number) % 10000000), \
         toDateTime(1704067200 + number * 30) FROM numbers(5000000)",
    );
    let began = std::time::Instant::now();
    let made = yard.runtime.block_on(cut(&yard.server, &yard.table("t"), &options(2_000_000)));
    let (made, took) = (made.expect("a cut"), began.elapsed());
    println!("{} slices in {took:?}", made.slices.len());
    assert!(made.is_bounded && made.rows == Some(5_000_000));
    let fill = made.bytes as f64 / 2_000_000.0 / made.slices.len() as f64;
    assert!(fill > 0.9, "{fill}");
    // A second is the goal of the real program; this one is built for debugging, on a busy machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// A hot value holds nearly half of the rows; the next key column splits it.
#[test]
fn a_hot_value_is_split_on_the_next_column() {
    let yard = Yard::new();
    yard.run(
        "CREATE TABLE {}.t (project UInt32, ts DateTime) ENGINE = MergeTree \
         PARTITION BY toYYYYMM(ts) ORDER BY (project, ts) SETTINGS index_granularity = 256",
    );
    for part in [0, 1, 2] {
        yard.run(&format!(
            "INSERT INTO {{}}.t SELECT if(number % 20 < 9, 7, number % 40), \
             toDateTime(1704067200 + number * 60 + {part}) FROM numbers(100000)"
        ));
    }
    let (made, worth) = yard.cut("t", &options(200_000));
    assert!(made.is_bounded, "{made:?}");
    assert!(worth.fill(200_000) > 0.9, "{}", worth.fill(200_000));
}

#[test]
fn a_key_that_no_bound_splits_needs_a_snapshot() {
    let yard = Yard::new();
    yard.run(
        "CREATE TABLE {}.t (a UInt8, v UInt64) ENGINE = MergeTree ORDER BY a \
         SETTINGS index_granularity = 128",
    );
    for value in [1, 1, 2] {
        yard.run(&format!("INSERT INTO {{}}.t SELECT {value}, number FROM numbers(50000)"));
    }
    let (made, _) = yard.cut("t", &options(90_000));
    assert!(made.needs_snapshot && made.over_budget > 0 && !made.is_bounded, "{made:?}");
    let name = format!("snapshot_{}", yard.database);
    let link = || yard.runtime.block_on(snapshot::make(&yard.server, &yard.table("t"), &name));
    let clone = link().expect("a snapshot");
    let parts = |table: &TableName| {
        yard.admin.rows(&format!(
            "SELECT hash_of_all_files FROM system.parts \
             WHERE database = '{}' AND table = '{}' AND active ORDER BY 1",
            table.database, table.table
        ))
    };
    let linked = parts(&clone);
    assert_eq!(linked, parts(&yard.table("t")));
    // The source changes and merges; the snapshot does not.
    yard.run("INSERT INTO {}.t SELECT 3, number FROM numbers(1000)");
    yard.run("OPTIMIZE TABLE {}.t FINAL");
    assert_eq!(link().expect("the same snapshot"), clone);
    yard.admin.run(&format!("OPTIMIZE TABLE {}", clone.quoted()));
    assert_eq!(parts(&clone), linked, "nothing merges in it");
    let options = CutOptions { has_snapshot: true, ..options(90_000) };
    let made = yard.runtime.block_on(cut(&yard.server, &clone, &options)).expect("a cut");
    let worth = check(&yard.admin, &clone, &made, &options, 1.0);
    assert!(made.is_bounded && made.over_budget == 0 && !made.needs_snapshot);
    assert_eq!((worth.rows, made.rows), (150_000, Some(150_000)));
    assert!(made.slices.iter().all(|slice| slice.rows.min == slice.rows.max), "rows are known");
    assert!(worth.fill(90_000) > 0.9, "{}", worth.fill(90_000));
    let read: u64 = worth.granules.iter().sum();
    assert!(read < 2 * worth.granules_all, "{read} of {}", worth.granules_all);
    yard.runtime.block_on(snapshot::drop(&yard.server, &name)).expect("dropped");
    let left =
        yard.admin.number(&format!("SELECT count() FROM system.tables WHERE name LIKE '{name}%'"));
    assert_eq!(left, 0);
}

/// One tenant of a hundred has large rows: its granules are larger, which only their marks tell.
#[test]
fn large_rows_of_a_hot_tenant_make_no_chunk_too_large() {
    for wide in [0, 1_000_000_000] {
        let yard = Yard::new();
        yard.run(&format!(
            "CREATE TABLE {{}}.t (tenant UInt32, id UInt64, text String, tags Array(String)) \
             ENGINE = MergeTree ORDER BY (tenant, id) \
             SETTINGS min_bytes_for_wide_part = {wide}, index_granularity = 32"
        ));
        for part in 0..3 {
            yard.run(&format!(
                "INSERT INTO {{}}.t SELECT number % 100, number * 3 + {part}, \
                 if(number % 100 = 37, randomPrintableASCII(1500), randomPrintableASCII(5)), \
                 if(number % 100 = 55, arrayMap(n -> hex(cityHash64(number, n)), range(60)), []) \
                 FROM numbers(100000)"
            ));
        }
        for budget in [2_000_000, 1_000_000] {
            let (made, worth) = yard.cut("t", &options(budget));
            let most = worth.bytes.iter().max().expect("a slice");
            println!(
                "wide {wide}, budget {budget}: {} slices, most {most}, fill {:.2}, bounded {}",
                made.slices.len(),
                worth.fill(budget),
                made.is_bounded
            );
            assert!(*most <= budget, "{most} of {budget}");
            // Parts in one file are small; what their marks leave open is counted twice.
            let least = if wide == 0 { 0.85 } else { 0.4 };
            assert!(worth.fill(budget) > least, "{}", worth.fill(budget));
        }
    }
}

/// Rows that wait in a part of their own cannot be linked; the server says what to do.
#[test]
fn a_table_with_lightweight_updates_is_refused_as_a_snapshot() {
    let yard = Yard::new();
    yard.run(
        "CREATE TABLE {}.t (a UInt32, v String) ENGINE = MergeTree ORDER BY a \
         SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1",
    );
    yard.run("INSERT INTO {}.t SELECT number, 'old' FROM numbers(1000)");
    let before = yard.cut("t", &options(1_000_000)).0;
    yard.run(
        "UPDATE {}.t SET v = 'new' WHERE a < 10 SETTINGS allow_experimental_lightweight_update = 1",
    );
    let after = yard.cut("t", &options(1_000_000)).0;
    assert_ne!(before.digest, after.digest, "other rows are another table");
    assert_eq!(after.rows, Some(1000));
    let name = format!("snapshot_{}", yard.database);
    let made = yard.runtime.block_on(snapshot::make(&yard.server, &yard.table("t"), &name));
    let error = made.expect_err("it cannot be linked").to_string();
    assert!(error.contains("APPLY PATCHES"), "{error}");
    let left =
        yard.admin.number(&format!("SELECT count() FROM system.tables WHERE name LIKE '{name}%'"));
    assert_eq!(left, 0);
}

/// Small partitions share a chunk; the same parts give the same cut.
#[test]
fn many_small_partitions_fill_their_chunks() {
    let yard = Yard::new();
    yard.run("CREATE TABLE {}.t (d Date, v UInt64) ENGINE = MergeTree PARTITION BY d ORDER BY v");
    yard.run(
        "INSERT INTO {}.t SELECT toDate('2024-01-01') + number % 90, number FROM numbers(90000)",
    );
    let (made, worth) = yard.cut("t", &options(95_000));
    assert_eq!(made.slices.len(), 10, "nine partitions of 10,000 bytes each");
    assert!(made.slices.iter().all(|slice| slice.pieces.len() == 1));
    assert!(worth.fill(95_000) > 0.9);
    let again = yard.cut("t", &options(95_000)).0;
    assert_eq!((again.digest, again.slices), (made.digest, made.slices));
    let mut some = options(95_000);
    some.partitions = Some(vec!["20240102".into(), "20240301".into()]);
    let table = yard.table("t");
    let made = yard.runtime.block_on(cut(&yard.server, &table, &some)).expect("a cut");
    assert_eq!((made.slices.len(), made.rows, made.bytes), (1, Some(2000), 20_000));
    assert_eq!(made.slices[0].pieces[0].partitions, ["20240102", "20240301"]);
}

#[test]
fn what_has_no_index_is_refused() {
    let yard = Yard::new();
    yard.run("CREATE TABLE {}.m (a UInt32) ENGINE = Memory");
    let refuse = |table: &str| {
        let made = yard.runtime.block_on(cut(&yard.server, &yard.table(table), &options(1)));
        made.expect_err("refused").to_string()
    };
    assert!(refuse("m").contains("engine Memory"));
    assert!(refuse("none").contains("there is no table"));
}
