-- Makes the proof rows of some tasks void: their rows are gone from the targets, and will be loaded again.
-- What they said stays; without a query they prove nothing. Their time is the old one's and a little more,
-- so that they replace it whatever the clocks say, and the next receipt replaces them.
-- Only those of the epoch that was looked at: a task that was loaded again meanwhile keeps its new ones.
-- The subquery: a condition beside REPLACE would mean the new text instead of the column.
INSERT INTO {control:Identifier}.receipts
SELECT * REPLACE ('' AS query_id, published_at + toIntervalMillisecond(1) AS published_at)
FROM
(
    SELECT * FROM {control:Identifier}.receipts FINAL
    WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND query_id != ''
      AND epoch <= transform(task_id, {tasks:Array(String)}, {epochs:Array(UInt64)}, toUInt64(0))
)
