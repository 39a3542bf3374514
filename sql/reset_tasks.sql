-- Puts ended tasks back to where they were planned, all of the request or none: each only in the epoch that
-- it was looked at in, so that one which ran again meanwhile, or a request that arrives late, changes nothing.
-- Strict mode compares the Keeper versions; answers OK when nothing matched: count the rows with the stamp.
ALTER TABLE {control:Identifier}.tasks
UPDATE format = 1, state = 'pending', stamp = {stamp:String}, worker = '', endpoint = '',
       attempts = 0, deaths = 0, not_before = now64(3), manifest = '', rows = 0, error = '', changed_at = now64(3)
WHERE task_id IN {tasks:Array(String)} AND state = {was:String}
  AND epoch = transform(task_id, {tasks:Array(String)}, {epochs:Array(UInt64)}, toUInt64(0))
