-- Of a life of a plan that is over (void 3): what it was about to move says nothing about the next one.
INSERT INTO {control:Identifier}.manifests
SELECT * REPLACE (toUInt8(3) AS is_void, written_at + toIntervalMillisecond(1) AS written_at)
FROM (SELECT * FROM {control:Identifier}.manifests FINAL WHERE job_id = {job:String} AND is_void < 3)
