//! What the server still lists of a part that was moved: the evidence that publishing stands on.

use std::collections::BTreeMap;

use longshore_shared::clickhouse::{Code, Failure, Server};
use longshore_shared::ledger::{Seen, find_parts};
use longshore_shared::task::TableName;
use longshore_tests::{Admin, Bed, CLICKHOUSE, KEEPER, OwnBed, Tracer, wait_for};
use tokio::runtime::Runtime;

use crate::server;

/// A target and a staging table with parts of known identity.
struct Tables {
    server: Server,
    runtime: Runtime,
    admin: Admin,
    database: String,
}

impl Tables {
    /// Tables with three staged parts.
    fn on(bed: &Bed) -> Self {
        Self::of(bed, ["MergeTree"; 2])
    }

    /// The same; engines of the target and of the staging table.
    fn of(bed: &Bed, engines: [&str; 2]) -> Self {
        let admin = Admin::new(&bed.clickhouse_url);
        let database = format!("t_{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        admin.run(&format!("CREATE DATABASE {database} ENGINE = Atomic"));
        let table = |engine| format!("(a UInt64) ENGINE = {engine} ORDER BY a");
        let [target, staged] = engines.map(table);
        admin.run(&format!("CREATE TABLE {database}.target {target}"));
        let staged = format!("{staged} SETTINGS assign_part_uuids = 1");
        admin.run(&format!("CREATE TABLE {database}.staged {staged}"));
        let runtime = Runtime::new().expect("a runtime");
        let tables = Self { server: server(bed), runtime, admin, database };
        // Parts stay apart on both sides until a test merges them.
        for name in ["target", "staged"] {
            tables.run(&format!("SYSTEM STOP MERGES {{}}.{name}"));
        }
        for start in [0, 100, 200] {
            tables.run(&format!("INSERT INTO {{}}.staged SELECT number FROM numbers({start}, 10)"));
        }
        tables
    }

    fn run(&self, statement: &str) {
        self.admin.run(&statement.replace("{}", &self.database));
    }

    fn try_move(&self) -> Result<String, String> {
        let database = &self.database;
        self.admin.try_run(&format!(
            "ALTER TABLE {database}.staged MOVE PARTITION ID 'all' TO TABLE {database}.target"
        ))
    }

    /// Identities of the staged parts.
    fn staged(&self) -> Vec<String> {
        self.admin.column(&format!(
            "SELECT uuid FROM system.parts WHERE database = '{}' AND table = 'staged' AND active AND rows > 0",
            self.database
        ))
    }

    /// What the product's own statement says of these identities.
    fn find(&self, uuids: &[String]) -> BTreeMap<String, bool> {
        self.try_find(uuids).expect("rows")
    }

    fn try_find(&self, uuids: &[String]) -> Result<BTreeMap<String, bool>, Failure> {
        let name = |table: &str| TableName { database: self.database.clone(), table: table.into() };
        // The staging table is asked beside the target: what is in one is not told of the other.
        let (target, staged) = (name("target"), name("staged"));
        let asked = [
            (&staged, Vec::new()),
            (&target, uuids.iter().map(|uuid| uuid.parse().expect("a UUID")).collect()),
        ];
        let found = self.runtime.block_on(find_parts(&self.server, &asked))?;
        let Seen { published, rolled_back } = &found[1];
        assert!(published.values().all(|name| !name.is_empty()), "{published:?}");
        let published = published.keys().map(|uuid| (uuid.to_string(), true));
        let rolled_back = rolled_back.iter().map(|uuid| (uuid.to_string(), false));
        Ok(published.chain(rolled_back).collect())
    }

    fn drop(&self) {
        self.run("DROP DATABASE {} SYNC");
    }
}

fn all(uuids: &[String], is_published: bool) -> BTreeMap<String, bool> {
    uuids.iter().map(|uuid| (uuid.clone(), is_published)).collect()
}

#[test]
fn a_replicated_table_that_is_read_only_proves_nothing() {
    let bed = OwnBed::of_replicas(&[]);
    let engines = ["target", "staged"].map(|name| format!("ReplicatedMergeTree('/{name}', 'one')"));
    let tables = Tables::of(&bed.bed, engines.each_ref().map(String::as_str));
    let uuids = tables.staged();
    tables.try_move().expect("moved");
    assert_eq!(tables.find(&uuids), all(&uuids, true));
    bed.signal(KEEPER, "STOP");
    let read_only = "SELECT count() FROM system.replicas WHERE table = 'target' AND is_readonly";
    wait_for("the table is read-only", || (tables.admin.number(read_only) > 0).then_some(()));
    let failure = tables.try_find(&uuids).expect_err("it may list parts that Keeper does not know");
    assert_eq!(failure.code(), Some(Code::TABLE_IS_READ_ONLY), "{failure}");
    bed.signal(KEEPER, "CONT");
    wait_for("the table is writable", || tables.try_find(&uuids).ok());
    assert_eq!(tables.find(&uuids), all(&uuids, true));
}

#[test]
fn a_moved_part_is_found_by_its_identity_and_after_it_was_merged() {
    let tables = Tables::on(&Bed::from_env());
    let uuids = tables.staged();
    assert_eq!(uuids.len(), 3);
    assert_eq!(tables.find(&uuids), BTreeMap::new(), "nothing was moved yet");
    tables.try_move().expect("moved");
    assert_eq!(tables.find(&uuids), all(&uuids, true));
    tables.run("SYSTEM START MERGES {}.target");
    tables.run("OPTIMIZE TABLE {}.target FINAL");
    let active = tables.admin.column(&format!(
        "SELECT uuid FROM system.parts WHERE database = '{}' AND table = 'target' AND active",
        tables.database
    ));
    assert!(active.iter().all(|uuid| !uuids.contains(uuid)), "merged: {active:?}");
    assert_eq!(tables.find(&uuids), all(&uuids, true));
    let stranger = [uuid::Uuid::new_v4().to_string()];
    assert_eq!(tables.find(&stranger), BTreeMap::new());
    tables.drop();
}

#[test]
fn a_merged_part_is_found_after_the_server_died() {
    let own = OwnBed::start();
    let tables = Tables::on(&own.bed);
    let uuids = tables.staged();
    tables.try_move().expect("moved");
    tables.run("SYSTEM START MERGES {}.target");
    tables.run("OPTIMIZE TABLE {}.target FINAL");
    own.signal(CLICKHOUSE, "KILL");
    own.restart(CLICKHOUSE);
    assert_eq!(tables.find(&uuids), all(&uuids, true));
}

#[test]
fn the_remains_of_a_move_that_failed_are_no_published_parts() {
    let own = OwnBed::start();
    let tables = Tables::on(&own.bed);
    let uuids = tables.staged();
    // The first renames give the target's parts their names. Which of them fails depends on what
    // else the server renames meanwhile, so a few are tried.
    let failed = (1..=3).find_map(|rename| {
        let tracer = Tracer::on_renames(own.pid(CLICKHOUSE), &format!("error=EIO:when={rename}"));
        let error = tables.try_move().err();
        drop(tracer);
        error.filter(|_| !tables.find(&uuids).values().all(|published| *published))
    });
    failed.expect("a MOVE fails and is rolled back");
    assert_eq!(tables.staged().len(), 3, "the rows are still staged");
    assert_eq!(tables.find(&uuids), all(&uuids, false), "listed, but never published");
    let rows = tables.admin.number(&format!("SELECT count() FROM {}.target", tables.database));
    assert_eq!(rows, 0);
    // They go by themselves: about that long publishing waits.
    wait_for("the server clears the remains", || tables.find(&uuids).is_empty().then_some(()));
    // The staging table has remains of its own, and refuses a MOVE as long as they are there.
    wait_for("the rows are moved", || tables.try_move().ok());
    assert_eq!(tables.find(&uuids), all(&uuids, true));
}
