-- Proof rows: what one task put into one table. Written before the task is set done;
-- a receipt that is written again after a crash replaces itself (read with FINAL).
CREATE TABLE IF NOT EXISTS {control:Identifier}.receipts
(
    job_id String,
    task_id String,
    target String,
    epoch UInt64,
    worker String,
    query_id String,
    files UInt32,
    bytes UInt64,
    rows_read UInt64,
    rows_staged UInt64,
    partitions Array(String),
    part_uuids Array(UUID),
    part_hashes Array(String),
    published_at DateTime64(3, 'UTC'),
    part_names Array(String) DEFAULT [],
    taken_at DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    part_rows Array(UInt64) DEFAULT []
)
ENGINE = ReplacingMergeTree(published_at)
ORDER BY (job_id, task_id, target)
