-- Point read of a job's cursor.
SELECT job_id, format, epoch, stamp, frontier, finished, done, failed, quarantined, rows, bytes
FROM {control:Identifier}.cursors
WHERE job_id = {job:String}
