-- Point read of one task with its chunk and manifest.
SELECT task_id, format, state, epoch, stamp, worker, endpoint, attempts, deaths,
       toUnixTimestamp64Milli(not_before) AS not_before_ms, chunk, files, bytes, manifest, rows, error,
       toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM {control:Identifier}.tasks
WHERE task_id = {task:String}
