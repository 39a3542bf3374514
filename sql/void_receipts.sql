-- Makes the proof rows of some tasks void: their rows are gone from the targets, and will be loaded again.
-- What they said stays; without a query they prove nothing. Their time is the old one's and a little more,
-- so that they replace it whatever the clocks say, and the next receipt replaces them.
INSERT INTO {control:Identifier}.receipts
SELECT * REPLACE ('' AS query_id, published_at + toIntervalMillisecond(1) AS published_at)
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND query_id != ''
