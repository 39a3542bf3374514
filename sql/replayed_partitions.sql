-- Where the rows of some tasks went: each target with the partitions, and how many of the tasks have a proof row there.
SELECT target, groupUniqArrayArray(partitions) AS partitions, uniqExact(task_id) AS tasks
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)}
GROUP BY target
ORDER BY target
