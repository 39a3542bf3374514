-- How many tasks of a job have a proof row of one table here, and the rows that they read and staged.
SELECT uniqExact(task_id) AS tasks, sum(rows_read) AS read, sum(rows_staged) AS staged
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND target = {target:String} AND query_id != ''
