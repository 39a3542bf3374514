-- What a task was about to move, the latest first, where no receipt in force names all of its parts and no person made it void.
WITH (SELECT groupUniqArrayArray(part_uuids) FROM {control:Identifier}.receipts FINAL
      WHERE job_id = {job:String} AND task_id = {task:String} AND query_id != '') AS received
SELECT epoch, manifest
FROM {control:Identifier}.manifests FINAL
WHERE job_id = {job:String} AND task_id = {task:String} AND is_void = 0 AND NOT hasAll(received, part_uuids)
ORDER BY epoch DESC
