-- What the ledger says of tasks that were published, one row a task. Void receipts do not count.
SELECT task_id, max(epoch) AS epoch, max(rows_read) AS rows_read,
       groupArray((target, rows_staged)) AS targets
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND query_id != ''
GROUP BY task_id
ORDER BY task_id
