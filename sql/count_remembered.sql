-- Rows of the ledger about a task, whatever became of them; none is certain for a task that was never loaded.
SELECT count() AS rows FROM
(
    SELECT epoch FROM {control:Identifier}.receipts WHERE job_id = {job:String} AND task_id = {task:String}
    UNION ALL
    SELECT epoch FROM {control:Identifier}.manifests WHERE job_id = {job:String} AND task_id = {task:String}
)
