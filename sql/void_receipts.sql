-- Makes receipts of tasks void: somebody vouches for it that nothing of them is in their targets any
-- more, and lets them be loaded again. The row stays, without its query and its numbers.
INSERT INTO {control:Identifier}.receipts
SELECT job_id, task_id, target, epoch, worker, '', files, bytes, 0, 0, [], [], [],
       published_at + toIntervalMillisecond(1)
FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND query_id != ''
