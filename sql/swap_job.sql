-- Compare-and-set of a job's state. Answers OK when nothing matched: read the row back.
ALTER TABLE {control:Identifier}.jobs
UPDATE format = {format:UInt8}, state = {state:String}, epoch = {epoch:UInt64}, stamp = {stamp:String}, reason = {reason:String},
       tasks = {tasks:UInt32}, files = {files:UInt64}, bytes = {bytes:UInt64},
       spec = if({spec:String} = '', spec, {spec:String}),
       submitted_at = if({mark:String} = 'submitted', now64(3), submitted_at),
       ended_at = multiIf({mark:String} = 'ended', now64(3), {mark:String} = 'reopened', toDateTime64(0, 3), ended_at)
WHERE job_id = {job:String} AND epoch = {was_epoch:UInt64} AND stamp = {was_stamp:String}
