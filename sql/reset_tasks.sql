-- Puts ended tasks back to where they were planned, all of the request or none. Strict mode compares
-- the Keeper versions; answers OK when nothing matched: count the rows with the stamp.
ALTER TABLE {control:Identifier}.tasks
UPDATE format = 1, state = 'pending', stamp = {stamp:String}, worker = '', endpoint = '',
       attempts = 0, deaths = 0, not_before = now64(3), manifest = '', rows = 0, error = '', changed_at = now64(3)
WHERE task_id IN {tasks:Array(String)} AND state IN ('failed', 'done')
