//! Tables and files of a job.

use longshore_tests::{EVENTS, Format, SOURCE, Scene, name};

use crate::schedule::Shape;

/// Seconds for which tables that forget keep replaced and moved parts. The default is 480.
const FORGETS_AFTER: u32 = 10;

/// Tables that make the server merge states and write into views of views.
const DEEPER: &str = "
CREATE TABLE {db}.users (kind String, seen AggregateFunction(uniqExact, UInt64), value SimpleAggregateFunction(sum, UInt64))
ENGINE = AggregatingMergeTree ORDER BY kind;
CREATE MATERIALIZED VIEW {db}.users_mv TO {db}.users AS
SELECT kind, uniqExactState(n) AS seen, sum(value) AS value FROM {db}.events GROUP BY kind;
CREATE MATERIALIZED VIEW {db}.months (month UInt32, events UInt64)
ENGINE = SummingMergeTree ORDER BY month AS
SELECT toYYYYMM(day) AS month, sum(events) AS events FROM {db}.daily GROUP BY month;
";

/// [`EVENTS`] on two replicas, of which each table has another path; `buys` has rows on the first only.
const REPLICATED: &str = "
CREATE TABLE {db}.events ON CLUSTER {cluster}
(
    file String, n UInt64, day Date, kind LowCardinality(String), value UInt64, checksum UInt64,
    PROJECTION by_kind (SELECT kind, sum(value) GROUP BY kind)
)
ENGINE = ReplicatedMergeTree('/chaos/{database}/events', '{replica}') PARTITION BY toYYYYMM(day) ORDER BY (kind, file, n);
CREATE TABLE {db}.daily ON CLUSTER {cluster} (day Date, kind String, events UInt64, value UInt64)
ENGINE = ReplicatedSummingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, kind);
CREATE MATERIALIZED VIEW {db}.daily_mv ON CLUSTER {cluster} TO {db}.daily AS
SELECT day, kind, count() AS events, sum(value) AS value FROM {db}.events GROUP BY day, kind;
CREATE MATERIALIZED VIEW {db}.buys (file String, n UInt64, twice UInt64)
ENGINE = MergeTree ORDER BY (file, n) AS
SELECT file, n, value * 2 AS twice FROM {db}.events WHERE kind = 'buy';
";

/// [`DEEPER`] on two replicas.
const DEEPER_REPLICATED: &str = "
CREATE TABLE {db}.users ON CLUSTER {cluster} (kind String, seen AggregateFunction(uniqExact, UInt64), value SimpleAggregateFunction(sum, UInt64))
ENGINE = ReplicatedAggregatingMergeTree ORDER BY kind;
CREATE MATERIALIZED VIEW {db}.users_mv ON CLUSTER {cluster} TO {db}.users AS
SELECT kind, uniqExactState(n) AS seen, sum(value) AS value FROM {db}.events GROUP BY kind;
CREATE MATERIALIZED VIEW {db}.months ON CLUSTER {cluster} (month UInt32, events UInt64)
ENGINE = ReplicatedSummingMergeTree ORDER BY month AS
SELECT toYYYYMM(day) AS month, sum(events) AS events FROM {db}.daily GROUP BY month;
";

/// The files of a job, each with its number of rows.
pub(crate) fn files(shape: &Shape) -> impl Iterator<Item = (String, u64)> {
    (0..shape.files).map(|file| {
        let rows = match file {
            0 => 0,
            1 => 1,
            _ => shape.rows,
        };
        (format!("events-{file:03}.parquet"), rows)
    })
}

/// Makes the tables and files of a job: one file without rows and one with a single row among them.
pub(crate) fn prepare(scene: &Scene, shape: &Shape) {
    let cluster = scene.bed.cluster.as_deref();
    let [events, deeper] = match cluster {
        Some(cluster) => {
            [REPLICATED, DEEPER_REPLICATED].map(|ddl| ddl.replace("{cluster}", cluster))
        }
        None => [EVENTS, DEEPER].map(str::to_owned),
    };
    scene.create(&events);
    if shape.deep {
        scene.create(&deeper);
    }
    if shape.copies {
        scene.create(SOURCE);
    }
    for (file, rows) in files(shape) {
        scene.put_rows(&file, rows, Format::Parquet);
        if shape.copies {
            scene.put_into("source", &file, rows);
        }
    }
    if shape.forgets {
        for table in ["events", "daily"] {
            scene.admin.run(&format!(
                "ALTER TABLE {}.{table} MODIFY SETTING old_parts_lifetime = {FORGETS_AFTER}",
                scene.db
            ));
        }
    }
}

/// Takes all rows out of the target and out of the targets of its views.
pub(crate) fn empty(scene: &Scene, shape: &Shape) -> Result<(), String> {
    let deeper: &[_] = if shape.deep { &["users", "months"] } else { &[] };
    let mut tables = ["events", "daily", "buys"].iter().chain(deeper);
    tables.try_for_each(|table| {
        let statement = format!("TRUNCATE TABLE {}.{} SYNC", scene.db, name(table));
        scene.admin.try_run(&statement).map(drop)
    })
}
