-- How many of these tasks one write has changed, and how many are still to be changed.
SELECT countIf(stamp = {stamp:String}) AS changed,
       countIf(state = {was:String} AND epoch = transform(task_id, {tasks:Array(String)}, {epochs:Array(UInt64)}, toUInt64(0))) AS left
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
