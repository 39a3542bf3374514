-- Was this task published before? The last of its receipts that was not made void (one without a query).
SELECT epoch, toUnixTimestamp64Milli(published_at) AS published_ms
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id = {task:String} AND query_id != ''
ORDER BY published_at DESC
LIMIT 1
