//! Tables of every kind of key are cut so that each row is in one slice and no slice is too large.

use longshore_shared::clickhouse::Server;
use longshore_shared::task::TableName;
use longshore_tests::{Admin, Bed};
use tokio::runtime::Runtime;

use crate::cut_check::{Worth, check};
use crate::planner::{Cut, CutOptions, Unit, cut};
use crate::server;

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
        let table = self.table(table);
        let made = self.runtime.block_on(cut(&self.server, &table, options)).expect("a cut");
        let worth = check(&self.admin, &table, &made, options);
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
