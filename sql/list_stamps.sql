-- Reads the stamps of tasks by key (never a scan): a row that was made again has another.
SELECT task_id, stamp
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
