-- Compare-and-set of a job's state. Answers OK when nothing matched: read the row back.
-- One column a line: those that stay as they are need not be sent.
ALTER TABLE {control:Identifier}.jobs
UPDATE
    format = {format:UInt8},
    state = {state:String},
    epoch = {epoch:UInt64},
    reason = {reason:String},
    tasks = {tasks:UInt32},
    files = {files:UInt64},
    bytes = {bytes:UInt64},
    spec = {spec:String},
    submitted_at = now64(3),
    ended_at = if({is_over:Bool}, now64(3), toDateTime64(0, 3)),
    stamp = {stamp:String}
WHERE job_id = {job:String} AND epoch = {was_epoch:UInt64} AND stamp = {was_stamp:String}
