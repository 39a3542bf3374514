-- How large the rows of some tasks are: many of them are written in one request to Keeper.
SELECT task_id, toUInt64(length(chunk) + length(manifest) + length(error)) AS bytes
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
