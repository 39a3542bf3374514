//! Tables and files of a job, and what destroys them.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Where the server keeps the parts of the job's tables: targets and staging tables. Empty when it
/// does not say.
pub(crate) fn folders(scene: &Scene) -> Vec<PathBuf> {
    let asked = scene.admin.try_rows(&format!(
        "SELECT arrayJoin(data_paths) FROM system.tables WHERE database IN ('{}', '{}') \
         AND engine LIKE '%MergeTree' AND name != 'source' AND name NOT LIKE '%snapshot%'",
        scene.db, scene.staging
    ));
    asked.unwrap_or_default().into_iter().flatten().map(PathBuf::from).collect()
}

/// Cuts a file of one part in half, as a disk does that lost its last writes. False: there is none.
pub(crate) fn cut_a_part(folders: &[PathBuf], pick: usize) -> bool {
    let mut files: Vec<PathBuf> =
        folders.iter().flat_map(|folder| below(folder)).flat_map(|part| below(&part)).collect();
    files.retain(|file| {
        file.extension().is_some_and(|ext| ext == "bin")
            && fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.len() > 1)
    });
    files.sort();
    let Some(file) = files.get(pick % files.len().max(1)) else { return false };
    let length = fs::metadata(file).map_or(0, |facts| facts.len());
    let opened = fs::OpenOptions::new().write(true).open(file);
    opened.and_then(|file| file.set_len(length / 2)).is_ok()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
