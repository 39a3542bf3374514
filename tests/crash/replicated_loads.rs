//! Loads into replicated tables on two real replicas: exact on each, whatever the Keeper path.

use longshore_tests::{Admin, Format, OwnBed, Scene, wait_for_seldom};

const COLUMNS: &str =
    "(file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64)";

/// Two replicas, and a scene at home on the first.
struct Pair {
    scene: Scene,
    second: Admin,
    second_url: String,
    // Dropped after the scene, which drops its databases there.
    _bed: Option<OwnBed>,
}

impl Pair {
    /// With `{db}.events` of this engine, a view with a table of its own and one with a target, on both.
    fn with(database: &str, engine: &str) -> Self {
        let bed = OwnBed::of_replicas(&[]);
        let pair = Self::on(&bed, database, engine);
        Self { _bed: Some(bed), ..pair }
    }

    /// The same on a bed that others use too.
    fn on(bed: &OwnBed, database: &str, engine: &str) -> Self {
        let scene = Scene::on(&bed.bed);
        let second_url = bed.bed.second_url.clone().expect("a second server");
        let second = Admin::new(&second_url);
        let db = &scene.db;
        let ddl = format!(
            "CREATE TABLE {{db}}.events {COLUMNS} ENGINE = {engine} PARTITION BY toYYYYMM(day) ORDER BY (kind, file, n);
             CREATE TABLE {{db}}.daily (day Date, kind String, events UInt64, value UInt64)
             ENGINE = ReplicatedSummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind);
             CREATE MATERIALIZED VIEW {{db}}.daily_mv TO {{db}}.daily AS
             SELECT day, kind, count() AS events, sum(value) AS value FROM {{db}}.events GROUP BY day, kind;"
        );
        for admin in [&scene.admin, &second] {
            admin.run(&format!("DROP DATABASE IF EXISTS {db} SYNC"));
            admin.run(&format!("CREATE DATABASE {db} {database}"));
        }
        if database.contains("Replicated") {
            scene.admin.run_all(&ddl.replace("{db}", db));
            second.run(&format!("SYSTEM SYNC DATABASE REPLICA {db}"));
        } else {
            // The default path holds the UUID, so both replicas need the same one.
            let cluster = bed.bed.cluster.as_deref().expect("a cluster");
            let shared = ddl
                .replace("{db}.events (file", &format!("{{db}}.events ON CLUSTER {cluster} (file"))
                .replace("{db}.daily (day", &format!("{{db}}.daily ON CLUSTER {cluster} (day"))
                .replace("{db}.daily_mv TO", &format!("{{db}}.daily_mv ON CLUSTER {cluster} TO"));
            scene.admin.run_all(&shared.replace("{db}", db));
        }
        // Workers may be at home there.
        scene.longshore(["init"]).env("CLICKHOUSE_URL", &second_url).run().ok();
        for file in 0..4 {
            scene.put_rows(&format!("events-{file}.parquet"), 300, Format::Parquet);
        }
        Self { scene, second, second_url, _bed: None }
    }

    /// Every row once and every view right on both, and nothing left in Keeper.
    fn assert_exact(&self) {
        let db = &self.scene.db;
        self.scene.assert_rows("events");
        self.scene.assert_view("daily_mv");
        for table in ["events", "daily"] {
            self.second.run(&format!("SYSTEM SYNC REPLICA {db}.{table}"));
            let digest = format!("SELECT count(), sum(cityHash64(*)) FROM {db}.{table} FINAL");
            let digest = if table == "events" { digest.replace(" FINAL", "") } else { digest };
            assert_eq!(self.scene.admin.run(&digest), self.second.run(&digest), "{table}");
        }
        let left = self.scene.admin.try_run(&format!(
            "SELECT count() FROM system.zookeeper WHERE path = '/longshore/staging/{}/' || toString(serverUUID())",
            self.scene.staging
        ));
        assert_eq!(left.as_deref(), Ok("0"), "twins are left in Keeper");
    }
}

#[test]
fn a_replicated_table_with_a_fixed_path_is_loaded_exactly_on_both_replicas() {
    let engine = "ReplicatedMergeTree('/fixed/{database}/events', '{replica}')";
    let pair = Pair::with("ENGINE = Atomic", engine);
    let job = pair.scene.submit(&["--chunk-files-max", "1"]);
    // One worker is at home on the other replica: it works on the replica of the plan.
    let away = pair.scene.worker(&job).env("CLICKHOUSE_URL", &pair.second_url).spawn();
    pair.scene.worker(&job).run().ok();
    away.wait();
    // Both may have left while the other one had a task in hand.
    pair.scene.worker(&job).run();
    assert_eq!(pair.scene.status(&job)["state"], "completed", "{}", pair.scene.status(&job));
    pair.assert_exact();
}

#[test]
fn a_replicated_table_with_its_uuid_in_the_path_is_loaded_exactly_on_both_replicas() {
    let pair = Pair::with("ENGINE = Atomic", "ReplicatedReplacingMergeTree");
    let job = pair.scene.submit(&["--chunk-files-max", "1"]);
    pair.scene.worker(&job).run().ok();
    assert_eq!(pair.scene.status(&job)["state"], "completed", "{}", pair.scene.status(&job));
    pair.assert_exact();
    let refused = pair.scene.plan_program("events", "*", &["--publish", "exchange"]).run();
    refused.exits_with(2).says(&["is replicated", "--publish append"]);
}

/// A server that is killed while it makes or drops a staging table leaves its path in Keeper.
#[test]
fn what_a_killed_server_left_in_keeper_is_told_and_removed() {
    let pair = Pair::with("ENGINE = Atomic", "ReplicatedMergeTree");
    let scene = &pair.scene;
    let job = scene.submit(&["--chunk-files-max", "1"]);
    scene.worker(&job).run().ok();
    // As a kill leaves it: the path is there, the table is not.
    let path = format!(
        "'/longshore/staging/{}/{{server_uuid}}/{}', 'only'",
        scene.staging, "0123456789abcdef0123456789abcdef"
    );
    let staging = &scene.staging;
    scene.admin.run(&format!(
        "CREATE TABLE {staging}.gone (n UInt8) ENGINE = ReplicatedMergeTree({path}) ORDER BY n"
    ));
    scene.admin.run(&format!("DETACH TABLE {staging}.gone PERMANENTLY"));
    // One that names parts may come back with them.
    scene.admin.run(&format!(
        "CREATE TABLE {staging}.kept (n UInt8) ENGINE = ReplicatedMergeTree({}) ORDER BY n",
        path.replace("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210")
    ));
    scene.admin.run(&format!("INSERT INTO {staging}.kept VALUES (7)"));
    scene.admin.run(&format!("DETACH TABLE {staging}.kept PERMANENTLY"));
    scene.longshore(["gc", "--yes"]).run().ok().says(&["There is nothing to remove."]);
    wait_for_seldom("it is older than a minute", || {
        let doctor = scene.longshore(["doctor"]).run();
        doctor.stdout.contains("1 path in Keeper without a table").then_some(())
    });
    scene.longshore(["gc"]).run().ok().says(&["PATH IN KEEPER", "1 path in Keeper"]);
    scene.longshore(["gc", "--yes"]).run().ok().says(&["Removed", "1 path in Keeper"]);
    scene.longshore(["gc"]).run().ok().says(&["There is nothing to remove."]);
    scene.admin.run(&format!("ATTACH TABLE {staging}.kept"));
    assert_eq!(scene.admin.run(&format!("SELECT n FROM {staging}.kept")), "7");
    scene.admin.run(&format!("DROP TABLE {staging}.kept SYNC"));
    pair.assert_exact();
}

#[test]
fn a_table_of_a_replicated_database_is_loaded_exactly_on_both_replicas() {
    let database = "ENGINE = Replicated('/databases/{uuid}', '{shard}', '{replica}')";
    let database = database.replace("{uuid}", &uuid::Uuid::new_v4().simple().to_string());
    let pair = Pair::with(&database, "ReplicatedMergeTree");
    let job = pair.scene.submit(&["--chunk-files-max", "1"]);
    pair.scene.worker(&job).run().ok();
    assert_eq!(pair.scene.status(&job)["state"], "completed", "{}", pair.scene.status(&job));
    pair.assert_exact();
}

/// Where replicas share the files of their parts, a MOVE would share them between tables too.
#[test]
fn a_table_whose_replicas_share_files_is_refused() {
    let pair = Pair::with("ENGINE = Atomic", "ReplicatedMergeTree");
    let scene = &pair.scene;
    let bed = &scene.bed;
    let disk = format!(
        "disk(type = s3, endpoint = '{}/{}/{}/disk/', access_key_id = '{}', secret_access_key = '{}')",
        bed.s3_endpoint, bed.bucket, scene.prefix, bed.access_key_id, bed.secret_access_key
    );
    let zero_copy = "allow_remote_fs_zero_copy_replication = 1";
    for (table, settings) in
        [("shared", format!("disk = {disk}, {zero_copy}")), ("local", zero_copy.to_owned())]
    {
        scene.admin.run(&format!(
            "CREATE TABLE {}.{table} {COLUMNS} ENGINE = ReplicatedMergeTree('/zero/{{database}}/{table}', '{{replica}}') \
             ORDER BY n SETTINGS {settings}",
            scene.db
        ));
    }
    let refused = scene.plan_program("shared", "*", &[]).run();
    refused.exits_with(2).says(&[
        "uses zero-copy replication",
        "SETTINGS allow_remote_fs_zero_copy_replication = 0",
    ]);
    // On a disk of the server each replica has files of its own, whatever the setting says.
    scene.plan_program("local", "*", &[]).run().ok();
    scene.admin.run(&format!("DROP TABLE {}.shared SYNC", scene.db));
}

/// A snapshot links the parts of one replica into a table of that server alone.
#[test]
fn a_replicated_table_is_copied_from_a_snapshot_of_one_moment() {
    let bed = OwnBed::of_replicas(&[]);
    for engine in [
        "ReplicatedMergeTree('/sources/{database}/source', '{replica}')",
        "ReplicatedMergeTree",
        "ReplicatedReplacingMergeTree",
    ] {
        let pair = Pair::on(&bed, "ENGINE = Atomic", "ReplicatedMergeTree");
        let (scene, db) = (&pair.scene, &pair.scene.db);
        for file in 0..4 {
            scene.forget(&format!("events-{file}.parquet"));
        }
        let cluster = scene.bed.cluster.as_deref().expect("a cluster");
        scene.admin.run(&format!(
            "CREATE TABLE {db}.source ON CLUSTER {cluster} {COLUMNS} ENGINE = {engine} \
             PARTITION BY toYYYYMM(day) ORDER BY (file, n) SETTINGS index_granularity = 512"
        ));
        scene.put_source("first.parquet", 1_000);
        // Parts that this replica has fetched are its own as well.
        scene.put_rows("second.parquet", 1_000, Format::Parquet);
        let rows = longshore_tests::rows_sql("second.parquet", 1_000);
        pair.second.run(&format!("INSERT INTO {db}.source {rows}"));
        scene.admin.run(&format!("SYSTEM SYNC REPLICA {db}.source"));
        let job = scene.submit_copy(&["--snapshot", "--chunk-bytes", "20K"]);
        // What comes later is not of that moment, and a merge takes the parts away that were linked.
        scene.put_into("source", "later.parquet", 100);
        scene.admin.run(&format!("OPTIMIZE TABLE {db}.source FINAL"));
        scene.worker(&job).run().ok();
        assert_eq!(scene.status(&job)["state"], "completed", "{engine}: {}", scene.status(&job));
        assert!(scene.tasks().0.len() > 1, "{engine}: it is cut");
        pair.assert_exact();
        assert_eq!(scene.staged(), Vec::<String>::new(), "the snapshot is gone");
    }
}
