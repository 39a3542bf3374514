-- What still runs of a task's older epochs (a MOVE cannot be killed, only waited for).
SELECT count() AS running FROM system.processes
WHERE startsWith(query_id, {prefix:String}) AND NOT startsWith(query_id, {keep:String})
