-- Reads the chunks of tasks by key (never a scan): what a plan loads.
SELECT task_id, chunk
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
