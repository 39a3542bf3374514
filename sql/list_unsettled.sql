-- The tasks of a job that were about to move parts which no receipt in force names: their staging tables are evidence.
WITH received AS
(
    SELECT task_id, groupUniqArrayArray(part_uuids) AS uuids
    FROM {control:Identifier}.receipts FINAL
    WHERE job_id = {job:String} AND query_id != ''
    GROUP BY task_id
)
SELECT DISTINCT manifest.task_id AS task_id
FROM (SELECT task_id, part_uuids FROM {control:Identifier}.manifests FINAL WHERE job_id = {job:String} AND is_void = 0) AS manifest
LEFT JOIN received ON received.task_id = manifest.task_id
WHERE NOT hasAll(received.uuids, manifest.part_uuids)
ORDER BY task_id
