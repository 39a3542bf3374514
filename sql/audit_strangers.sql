-- Parts of a job in its tables that no receipt in force names: an attempt that does not count has moved them.
-- Parts of a MOVE that was rolled back are not there; they are inactive and have no time of removal. What a person has
-- taken out (void 2) may be listed inactive for a while. A life of the plan that is over (void 3) does not count.
SELECT part.database AS in_database, part.table AS in_table,
       toUInt64(uniqExact(part.uuid)) AS parts, toUInt64(sumIf(part.rows, part.active)) AS rows,
       toString(any(part.uuid)) AS example
FROM system.parts AS part
WHERE part.database IN {databases:Array(String)} AND part.table IN {tables:Array(String)}
  AND (part.database, part.table) IN {names:Array(Tuple(String, String))}
  AND (part.active OR toUnixTimestamp(part.remove_time) > 0)
  AND part.uuid IN (SELECT arrayJoin(part_uuids) FROM {control:Identifier}.manifests FINAL WHERE job_id = {job:String} AND is_void < 3)
  AND (part.active OR part.uuid NOT IN
      (SELECT arrayJoin(part_uuids) FROM {control:Identifier}.manifests FINAL WHERE job_id = {job:String} AND is_void = 2))
  AND part.uuid NOT IN
      (SELECT arrayJoin(part_uuids) FROM {control:Identifier}.receipts FINAL WHERE job_id = {job:String} AND query_id != '')
GROUP BY part.database, part.table
ORDER BY in_database, in_table
