-- Settles what some tasks were about to move, up to the epoch that was looked at: 1 when nothing of it ever came into a
-- target, 2 when a person has taken it out again. The time is the old one's and a little more, so that this row replaces
-- it whatever the clocks say. The subquery: a condition beside REPLACE would mean the new text instead of the column.
INSERT INTO {control:Identifier}.manifests
SELECT * REPLACE ({void:UInt8} AS is_void, written_at + toIntervalMillisecond(1) AS written_at)
FROM
(
    SELECT * FROM {control:Identifier}.manifests FINAL
    WHERE job_id = {job:String} AND task_id IN {tasks:Array(String)} AND is_void < {void:UInt8}
      AND epoch <= transform(task_id, {tasks:Array(String)}, {epochs:Array(UInt64)}, toUInt64(0))
)
