-- What each task was about to move, written before its first MOVE. It outlives the task's row in Keeper: a row
-- that is put back or made again does not know that parts of the task may be in a target.
-- `manifest` is compressed, as in the task's row. A void one was settled by a person.
CREATE TABLE IF NOT EXISTS {control:Identifier}.manifests
(
    job_id String,
    task_id String,
    epoch UInt64,
    worker String,
    part_uuids Array(UUID),
    rows UInt64,
    manifest String,
    is_void UInt8,
    taken_at DateTime64(3, 'UTC'),
    written_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (job_id, task_id, epoch)
