-- The proof rows of a job that are in force, one row a task: how many tables, and the rows of each.
SELECT task_id, max(rows_read) AS rows_read, groupArray((target, rows_staged)) AS targets
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND query_id != ''
GROUP BY task_id
