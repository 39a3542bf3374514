-- How the last attempts of one task ended, newest first. For people only.
SELECT epoch, attempt, worker, event, message, elapsed_ms, toUnixTimestamp64Milli(at) AS at_ms
FROM {control:Identifier}.attempts
WHERE job_id = {job:String} AND task_id = {task:String}
ORDER BY at DESC, epoch DESC
LIMIT {limit:UInt32}
