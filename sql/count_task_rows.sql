-- Task rows of each job. Lists every key: only for a person's question, never in a worker.
SELECT substring(task_id, 1, 16) AS job, count() AS rows FROM {control:Identifier}.tasks GROUP BY job
