-- Every job; the table is small (one row a plan).
SELECT job_id, format, state, epoch, stamp, spec, target, tasks, segment_tasks, files, bytes, reason,
       toUnixTimestamp64Milli(created_at) AS created_ms, toUnixTimestamp64Milli(submitted_at) AS submitted_ms,
       toUnixTimestamp64Milli(ended_at) AS ended_ms
FROM {control:Identifier}.jobs
