-- Compare-and-set of a job's cursor. Answers OK when nothing matched: read the row back.
-- One column a line: those that stay as they are need not be sent.
ALTER TABLE {control:Identifier}.cursors
UPDATE
    epoch = {epoch:UInt64},
    frontier = {frontier:UInt32},
    finished = {finished:String},
    done = {done:UInt64},
    failed = {failed:UInt64},
    quarantined = {quarantined:UInt64},
    rows = {rows:UInt64},
    bytes = {bytes:UInt64},
    stamp = {stamp:String}
WHERE job_id = {job:String} AND epoch = {was_epoch:UInt64} AND stamp = {was_stamp:String}
