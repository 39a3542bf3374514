//! The second replica of a bed of two: the same tables, and after a load the same rows.

use std::time::Duration;

use crate::bed::Bed;
use crate::files::Format;
use crate::scene::Scene;
use crate::sql::{Admin, literal, name};
use crate::wait::{seldom, within};

/// A drop that a kill interrupted has been finished after this (`DROP_DELAY_SECS` of the bed is 10), and
/// `gc` takes what a kill left in Keeper after a minute.
const DROPPED_AFTER: Duration = Duration::from_secs(120);
/// A server that lost its Keeper has a new session after this, or hangs.
const SESSION_MAX: Duration = Duration::from_secs(60);

/// [`crate::EVENTS`] on two replicas: each table has another kind of path in Keeper.
const REPLICATED_EVENTS: &str = "
CREATE TABLE {db}.events ON CLUSTER {cluster}
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64,
    PROJECTION by_kind (SELECT kind, sum(value) GROUP BY kind)
)
ENGINE = ReplicatedMergeTree('/pairs/{database}/events', '{replica}') PARTITION BY toYYYYMM(day) ORDER BY (kind, file, n);
CREATE TABLE {db}.daily ON CLUSTER {cluster} (day Date, kind String, events UInt64, value UInt64)
ENGINE = ReplicatedSummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind);
CREATE MATERIALIZED VIEW {db}.daily_mv ON CLUSTER {cluster} TO {db}.daily AS
SELECT day, kind, count() AS events, sum(value) AS value FROM {db}.events GROUP BY day, kind;
CREATE MATERIALIZED VIEW {db}.buys ON CLUSTER {cluster} (file String, n UInt64, twice UInt64)
ENGINE = ReplicatedMergeTree ORDER BY (file, n) AS
SELECT file, n, value * 2 AS twice FROM {db}.events WHERE kind = 'buy';
";

/// The scene's database on the second replica. Dropping it removes what the scene has there.
pub struct Replica {
    /// The second replica as its administrator.
    pub admin: Admin,
    /// Its address.
    pub url: String,
    databases: [String; 3],
}

impl Replica {
    /// Makes the scene's databases there: tables made `ON CLUSTER` are on both from then on, and
    /// workers can be at home there.
    ///
    /// # Panics
    /// When the bed has one server.
    pub fn of(scene: &Scene) -> Self {
        let url = scene.bed.second_url.clone().expect("a second replica");
        let admin = Admin::new(&url);
        admin.run(&format!("CREATE DATABASE {} ENGINE = Atomic", scene.db));
        scene.longshore(["init"]).env("CLICKHOUSE_URL", &url).run().ok();
        let databases = [&scene.db, &scene.staging, &scene.control].map(Clone::clone);
        Self { admin, url, databases }
    }

    /// A scene with the tables of [`crate::EVENTS`] on both replicas of a bed, and `files` Parquet
    /// files of `rows` rows.
    ///
    /// # Panics
    /// When the bed has no cluster.
    pub fn with_events(bed: &Bed, files: usize, rows: u64) -> (Scene, Self) {
        let scene = Scene::on(bed);
        let replica = Self::of(&scene);
        let cluster = bed.cluster.as_deref().expect("a cluster");
        scene.create(&REPLICATED_EVENTS.replace("{cluster}", cluster));
        for file in 0..files {
            scene.put_rows(&format!("events-{file:03}.parquet"), rows, Format::Parquet);
        }
        (scene, replica)
    }

    /// Both replicas hold the same rows in every table, and Keeper holds nothing of any staging table.
    ///
    /// # Panics
    /// Naming what differs or is left; `what` tells what had happened.
    pub fn assert_same(&self, scene: &Scene, what: &str) {
        let differences = self.differences(scene);
        assert_eq!(differences, Vec::<String>::new(), "{what}");
        let left = self.left_in_keeper(scene);
        assert_eq!(left, Vec::<String>::new(), "{what}");
    }

    /// Paths in Keeper of staging tables of the scene, whether their tables are there or not.
    ///
    /// # Errors
    /// The server's words.
    pub fn staged_in_keeper(&self, scene: &Scene) -> Result<Vec<String>, String> {
        let paths = format!(
            "SELECT concat(path, '/', name) FROM system.zookeeper \
             WHERE path IN (SELECT '/longshore/staging/{}/' || toString(serverUUID()))",
            scene.staging
        );
        match scene.admin.try_rows(&paths) {
            Ok(rows) => Ok(rows.into_iter().flatten().collect()),
            // Nobody ever staged there.
            Err(words) if words.contains("No node") => Ok(Vec::new()),
            Err(words) => Err(words),
        }
    }

    /// The tables of the scene whose rows both replicas share.
    ///
    /// # Errors
    /// The server's words.
    pub fn tables(&self, scene: &Scene) -> Result<Vec<String>, String> {
        let rows = scene.admin.try_rows(&format!(
            "SELECT name FROM system.tables WHERE database = '{}' AND engine LIKE 'Replicated%' ORDER BY name",
            scene.db
        ))?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// An empty server takes the place of the replica, as far as this table goes: it is dropped there
    /// with everything of it, and made again with the same name, path and UUID.
    ///
    /// # Errors
    /// The server's words: it may be away. The table may be missing then; call it again.
    pub fn empty(&self, scene: &Scene, table: &str) -> Result<(), String> {
        let (db, of) = (&scene.db, format!("{}.{}", scene.db, name(table)));
        let facts = format!(
            "SELECT uuid, create_table_query FROM system.tables WHERE database = '{db}' AND name = {}",
            literal(table)
        );
        let facts = scene.admin.try_rows(&facts)?.pop().ok_or("the table is gone")?;
        let (uuid, query) = (&facts[0], &facts[1]);
        let query = query.replacen(&of, &format!("{of} UUID '{uuid}'"), 1);
        self.admin.try_run(&format!("DROP TABLE IF EXISTS {of} SYNC"))?;
        self.admin.try_run(&query).map(drop)
    }

    /// Fetches again, and has every table again that was to be emptied.
    ///
    /// # Errors
    /// The server's words.
    pub fn mend(&self, scene: &Scene) -> Result<(), String> {
        self.admin.try_run("SYSTEM START FETCHES")?;
        let there = format!("SELECT name FROM system.tables WHERE database = '{}'", scene.db);
        let there: Vec<_> = self.admin.try_rows(&there)?.into_iter().flatten().collect();
        let tables = self.tables(scene)?;
        let mut missing = tables.iter().filter(|table| !there.contains(table));
        missing.try_for_each(|table| self.empty(scene, table))
    }

    /// Tables of which the two replicas do not hold the same, once the second one has fetched
    /// everything. Rows of a table that folds them are compared when they are folded.
    pub fn differences(&self, scene: &Scene) -> Vec<String> {
        let compare = |table: &String| -> Result<Option<String>, String> {
            let of = format!("{}.{}", scene.db, name(table));
            self.admin.try_run(&format!("SYSTEM SYNC REPLICA {of}"))?;
            // What is made of states depends on the order in which they were merged.
            let columns = scene.admin.column(&format!(
                "SELECT if(type LIKE 'AggregateFunction%', 'finalizeAggregation(' || name || ')', name) FROM system.columns \
                 WHERE database = '{}' AND table = {}",
                scene.db,
                literal(table)
            ));
            let digest = format!(
                "SELECT count(), sum(cityHash64({})) FROM {of} SETTINGS final = 1",
                columns.join(", ")
            );
            let (first, second) = (scene.admin.try_run(&digest)?, self.admin.try_run(&digest)?);
            Ok((first != second)
                .then(|| format!("{table}: {first} on the first, {second} on the second")))
        };
        // A server that was started again just now may have no session yet.
        let compare = |table: &String| {
            let mut error = String::new();
            let answer = within(SESSION_MAX, || compare(table).map_err(|words| error = words).ok());
            answer.unwrap_or(Some(error))
        };
        let tables = match self.tables(scene) {
            Ok(tables) => tables,
            Err(words) => return vec![words],
        };
        let compared = tables.iter().filter_map(compare);
        compared.map(|words| format!("the replicas differ in {words}")).collect()
    }

    /// What is left in Keeper of staging tables that are gone.
    pub fn left_in_keeper(&self, scene: &Scene) -> Vec<String> {
        let tables = "SELECT zookeeper_path FROM system.replicas";
        let orphans = || -> Result<Vec<String>, String> {
            let paths = self.staged_in_keeper(scene)?;
            let known: Vec<_> = scene.admin.try_rows(tables)?.into_iter().flatten().collect();
            Ok(paths.into_iter().filter(|path| !known.contains(path)).collect())
        };
        let (mut left, mut said) = (Vec::new(), String::new());
        // A server goes on dropping what was dropped before it was killed, and a path is a minute old before
        // it is taken: a program at each look.
        let is_clean = seldom(DROPPED_AFTER, || {
            said = scene.longshore(["gc", "--yes", "--older-than", "0s"]).run().to_string();
            left = orphans().unwrap_or_else(|words| vec![words]);
            left.is_empty().then_some(())
        });
        if is_clean.is_some() {
            return Vec::new();
        }
        vec![format!(
            "{} paths of staging tables are left in Keeper: {left:?}; gc said: {said}",
            left.len()
        )]
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.admin.drop_databases(&self.databases);
    }
}
