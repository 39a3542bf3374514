-- Registers a worker process before its first claim.
INSERT INTO {control:Identifier}.workers (worker_id, heartbeat, lease_ms, slots, version, host, pid, draining, started_at)
SELECT {worker:String}, now64(3), {lease_ms:UInt64}, {slots:UInt32}, {version:String}, {host:String}, {pid:UInt32}, 0, now64(3)
