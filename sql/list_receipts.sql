-- The proof rows of one task, the last of each target. Void ones have no query.
SELECT target, epoch, worker, query_id, rows_read, rows_staged, partitions,
       toUInt64(length(part_uuids)) AS parts, toUnixTimestamp64Milli(published_at) AS published_ms
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id = {task:String} AND query_id != ''
ORDER BY target
