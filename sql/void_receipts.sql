-- Makes the proof rows of some tasks void: their rows are gone from the targets, and will be loaded again.
-- What they said stays; without a query they prove nothing.
INSERT INTO {control:Identifier}.receipts
SELECT * REPLACE ('' AS query_id, now64(3) AS published_at)
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND query_id != ''
