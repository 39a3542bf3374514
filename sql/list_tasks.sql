-- Reads tasks by key (never a scan), without their chunk and manifest.
SELECT task_id, state, epoch, worker, attempts, deaths, files, bytes, rows, error,
       not_before <= now64(3) AS due, toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
