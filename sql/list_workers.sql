-- Every worker process that registered and did not leave.
SELECT worker_id, toUnixTimestamp64Milli(heartbeat) AS heartbeat_ms,
       toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(heartbeat) AS age_ms,
       lease_ms, slots, version, host, pid, draining
FROM {control:Identifier}.workers
