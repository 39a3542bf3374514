//! What the bed with replicas offers: tables, KeeperMap and users that all servers share, and
//! servers, Keepers and a balancer that go on when one of them dies.

use std::collections::HashSet;

use longshore_tests::{Admin, CLICKHOUSE, OwnBed, SECOND, Scene, wait_for};

/// A database whose tables are made on every replica by themselves, and two tables of one with a
/// fixed Keeper path, so that parts can be moved from one to the other.
const TABLES: &str = "\
CREATE DATABASE fixed ON CLUSTER {cluster} ENGINE = Atomic;
CREATE DATABASE shared ON CLUSTER {cluster} ENGINE = Replicated('/databases/shared', '{shard}', '{replica}');
CREATE TABLE fixed.target ON CLUSTER {cluster} (day Date, n UInt64)
ENGINE = ReplicatedMergeTree('/tables/{shard}/target', '{replica}') PARTITION BY toYYYYMM(day) ORDER BY n;
CREATE TABLE fixed.staged ON CLUSTER {cluster} (day Date, n UInt64)
ENGINE = ReplicatedMergeTree('/tables/{shard}/staged', '{replica}') PARTITION BY toYYYYMM(day) ORDER BY n;
CREATE TABLE fixed.map ON CLUSTER {cluster} (key String, value String)
ENGINE = KeeperMap('/replicas/map') PRIMARY KEY key;
CREATE TABLE shared.events (day Date, n UInt64) ENGINE = ReplicatedMergeTree PARTITION BY toYYYYMM(day) ORDER BY n;
";

/// TwoServers servers with [`TABLES`] on both.
struct Pair {
    bed: OwnBed,
    first: Admin,
    second: Admin,
    cluster: String,
}

impl Pair {
    fn start(more: &[&str]) -> Self {
        let bed = OwnBed::of_replicas(more);
        let first = Admin::new(&bed.bed.clickhouse_url);
        let second = Admin::new(bed.bed.second_url.as_ref().expect("a second server"));
        let cluster = bed.bed.cluster.clone().expect("a cluster");
        first.run_all(&TABLES.replace("{cluster}", &cluster));
        Self { bed, first, second, cluster }
    }

    /// Rows of one month, whose numbers tell months apart.
    fn insert(&self, table: &str, month: u64, rows: u64) {
        self.first.run(&insert(table, month, rows));
    }

    /// Both replicas have so many rows, all different.
    fn both_have(&self, table: &str, rows: u64) {
        for (name, server) in [(CLICKHOUSE, &self.first), (SECOND, &self.second)] {
            // A new table is read-only until its replica has compared itself with Keeper.
            wait_for("the replica is synced", || {
                server.try_run(&format!("SYSTEM SYNC REPLICA {table}")).ok()
            });
            let counts = server.run(&format!("SELECT count(), uniqExact(n) FROM {table}"));
            assert_eq!(counts, format!("{rows}\t{rows}"), "{table} on {name}");
        }
    }
}

fn insert(table: &str, month: u64, rows: u64) -> String {
    format!(
        "INSERT INTO {table} SELECT toDate('2026-01-01') + INTERVAL {month} MONTH, \
         {month} * 1000000 + number FROM numbers({rows})"
    )
}

#[test]
fn replicas_share_tables_maps_and_users() {
    let pair = Pair::start(&[]);
    let Pair { first, second, cluster, .. } = &pair;

    pair.insert("shared.events", 0, 1000);
    pair.both_have("shared.events", 1000);

    pair.insert("fixed.target", 0, 1000);
    pair.insert("fixed.staged", 1, 500);
    first.run("ALTER TABLE fixed.staged MOVE PARTITION ID '202602' TO TABLE fixed.target");
    pair.both_have("fixed.staged", 0);
    pair.both_have("fixed.target", 1500);
    let parts =
        "SELECT name, uuid FROM system.parts WHERE database = 'fixed' AND active ORDER BY name";
    assert_eq!(first.rows(parts), second.rows(parts), "a part has one name and one uuid");

    first.run("INSERT INTO fixed.map VALUES ('key', 'of the first')");
    assert_eq!(second.run("SELECT value FROM fixed.map WHERE key = 'key'"), "of the first");

    first.run(&format!("CREATE USER reader ON CLUSTER {cluster} IDENTIFIED BY 'word'"));
    first.run(&format!("GRANT ON CLUSTER {cluster} SELECT ON fixed.* TO reader"));
    let url = pair.bed.bed.second_url.as_ref().expect("a second server");
    let reader = Admin::of(url, "reader", "word");
    assert_eq!(reader.number("SELECT count() FROM fixed.target"), 1500);
    reader.try_run("SELECT count() FROM shared.events").expect_err("not granted");

    // The bed's own user is on both servers, and a query of it runs as itself on the other one.
    let longshore = Admin::of(url, &pair.bed.bed.user, &pair.bed.bed.password);
    let users =
        format!("SELECT DISTINCT currentUser() FROM clusterAllReplicas({cluster}, system.one)");
    assert_eq!(longshore.run(&users), pair.bed.bed.user);
    let rows = format!("SELECT count() FROM clusterAllReplicas({cluster}, fixed.target)");
    assert_eq!(longshore.number(&rows), 2 * 1500);
}

#[test]
fn the_product_reaches_a_server_by_https() {
    let bed = OwnBed::of_replicas(&[]);
    let scene = Scene::on(&bed.bed);
    let https = bed.bed.https_url.as_ref().expect("an https address");
    let at = |name: &str| {
        let program = scene.longshore(["init"]).env("CLICKHOUSE_URL", https);
        program.env(name, bed.bed.ca_file.as_ref().expect("a certificate")).run()
    };
    at("CLICKHOUSE_CA_FILE").ok();
    // Nobody else trusts the bed's authority.
    at("IGNORED").says(&["certificate"]);
}

#[test]
fn an_ensemble_of_three_keepers_goes_on_without_its_leader() {
    let pair = Pair::start(&["--keepers", "3"]);
    pair.insert("fixed.target", 0, 100);
    let leader = pair.bed.leading_keeper();
    pair.bed.signal(&leader, "KILL");
    for month in 1..4 {
        let statement = insert("fixed.target", month, 100);
        // The same block again is skipped, whether the first answer said so or not.
        wait_for("an insert without the leader", || pair.first.try_run(&statement).ok());
    }
    wait_for("KeeperMap without the leader", || {
        pair.second.try_run("INSERT INTO fixed.map VALUES ('key', 'value')").ok()
    });
    pair.both_have("fixed.target", 400);
    let next = pair.bed.leading_keeper();
    assert_ne!(next, leader);

    pair.bed.restart(&leader);
    assert_eq!(pair.bed.leading_keeper(), next, "one that comes back follows");
    pair.bed.signal(&next, "KILL");
    wait_for("an insert after the second failure", || {
        pair.first.try_run(&insert("fixed.target", 4, 100)).ok()
    });
    wait_for("the second replica has a session", || {
        pair.second.try_run("SYSTEM SYNC REPLICA fixed.target").ok()
    });
    pair.both_have("fixed.target", 500);
}

#[test]
fn a_replica_that_was_killed_catches_up() {
    let pair = Pair::start(&[]);
    pair.insert("fixed.target", 0, 1000);
    pair.insert("fixed.staged", 1, 1000);
    // A replica killed inside its first fetch has a part that Keeper does not know, and the table stays
    // read-only (`docs/replicas.md`). That is no question of this test.
    pair.both_have("fixed.target", 1000);
    pair.both_have("fixed.staged", 1000);
    pair.bed.signal(SECOND, "KILL");
    pair.insert("fixed.target", 2, 1000);
    pair.first.run("ALTER TABLE fixed.staged MOVE PARTITION ID '202602' TO TABLE fixed.target");
    pair.bed.restart(SECOND);
    pair.both_have("fixed.target", 3000);
    pair.both_have("fixed.staged", 0);
}

#[test]
fn a_balancer_sends_each_request_to_a_server_that_lives() {
    let pair = Pair::start(&["--balancer"]);
    let balancer = Admin::new(pair.bed.bed.balancer_url.as_ref().expect("a balancer"));
    let who = || -> HashSet<String> {
        (0..4).map(|_| balancer.run("SELECT getMacro('replica')")).collect()
    };
    assert_eq!(who().len(), 2, "round robin, request by request");
    pair.bed.signal(SECOND, "KILL");
    // Until its port is closed, a request can still be sent to it: that one is lost, not repeated.
    wait_for("the second server is gone", || pair.second.try_run("SELECT 1").err());
    assert_eq!(who(), HashSet::from([CLICKHOUSE.to_owned()]), "no request fails");
    pair.bed.restart(SECOND);
    wait_for("the second server gets requests again", || (who().len() == 2).then_some(()));
}
