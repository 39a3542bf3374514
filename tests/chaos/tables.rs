//! Tables and files of a job.

use longshore_tests::{EVENTS, Format, SOURCE, Scene};

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

/// Makes the tables and files of a job: one file without rows and one with a single row among them.
pub(crate) fn prepare(scene: &Scene, shape: &Shape) {
    scene.create(EVENTS);
    if shape.deep {
        scene.create(DEEPER);
    }
    if shape.copies {
        scene.create(SOURCE);
    }
    for file in 0..shape.files {
        let rows = match file {
            0 => 0,
            1 => 1,
            _ => shape.rows,
        };
        let name = format!("events-{file:03}.parquet");
        scene.put_rows(&name, rows, Format::Parquet);
        if shape.copies {
            scene.put_into("source", &name, rows);
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
