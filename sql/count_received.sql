-- How many of these parts the receipts in force of a task name.
SELECT uniqExact(part) AS parts
FROM (SELECT arrayJoin(part_uuids) AS part FROM {control:Identifier}.receipts FINAL
      WHERE job_id = {job:String} AND task_id = {task:String} AND query_id != '')
WHERE part IN {uuids:Array(UUID)}
