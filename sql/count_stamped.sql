-- How many of these tasks one write has changed, and how many are still to be changed.
SELECT countIf(stamp = {stamp:String}) AS changed, countIf(state IN ('failed', 'done')) AS left
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
