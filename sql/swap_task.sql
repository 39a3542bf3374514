-- Compare-and-set of a task. Strict mode compares the Keeper version too.
-- Answers OK when nothing matched, and may answer an error although it was applied: read the row back.
-- One column a line: those that stay as they are need not be sent, each costs the server a millisecond.
ALTER TABLE {control:Identifier}.tasks
UPDATE
    format = {format:UInt8},
    state = {state:String},
    epoch = {epoch:UInt64},
    worker = {worker:String},
    endpoint = {endpoint:String},
    attempts = {attempts:UInt32},
    deaths = {deaths:UInt32},
    not_before = now64(3) + toIntervalMillisecond({delay_ms:UInt64}),
    manifest = unhex({manifest:String}),
    rows = {rows:UInt64},
    error = {error:String},
    changed_at = now64(3),
    stamp = {stamp:String}
WHERE task_id = {task:String} AND epoch = {was_epoch:UInt64} AND stamp = {was_stamp:String}
