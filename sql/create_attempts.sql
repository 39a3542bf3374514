-- History for people: how each attempt ended. Nothing reads it to decide anything.
CREATE TABLE IF NOT EXISTS {control:Identifier}.attempts
(
    job_id String,
    task_id String,
    epoch UInt64,
    attempt UInt32,
    worker String,
    event LowCardinality(String),
    message String,
    elapsed_ms UInt64,
    at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (job_id, task_id, at)
